"""What was: pages of chains, newest first, and batches. Each page costs the same, however deep it lies."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from .models import BatchExecution, ChainExecution, read_rows
from .values import clean_text

_COLUMNS = (
    ChainExecution.id,
    ChainExecution.chain_id,
    ChainExecution.chain_name,
    ChainExecution.status,
    ChainExecution.completed_tasks,
    ChainExecution.total_tasks,
    ChainExecution.created_at,
    ChainExecution.started_at,
    ChainExecution.finished_at,
)
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Filters:
    """Which chains: None leaves a column unasked. Moments are naive UTC, of the chain's creation.

    Attributes:
        error: a part of the error message, upper or lower case.
    """

    status: str | None = None
    workflow: str | None = None
    batch: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class Page:
    """Some chains (without their JSON columns), and the cursor of the page after; None on the last one."""

    chains: list[ChainExecution]
    cursor: str | None


def page(
    database: peewee.Database,
    filters: Filters,
    *,
    limit: int,
    offset: int = 0,
    cursor: str | None = None,
) -> Page:
    """One page of the chains that ``filters`` let through, newest first.

    Parameters:
        offset: chains to skip; the database walks over them, so that a deep page is better asked by cursor.
        cursor: of the page before.

    Raises:
        ValueError: the cursor is none of ours.
        LedgerUnavailable: the database did not answer.
    """
    order = (ChainExecution.created_at.desc(), ChainExecution.id.desc())
    conditions = _conditions(filters, cursor)
    # One more tells whether there is a page after.
    query = ChainExecution.select(*_COLUMNS).order_by(*order).limit(limit + 1)
    if offset:
        # What is skipped is counted in the index, without reading its rows.
        skipped = ChainExecution.select(ChainExecution.id).order_by(*order).limit(limit + 1).offset(offset)
        query = query.where(ChainExecution.id.in_(skipped.where(*conditions) if conditions else skipped))
    elif conditions:
        query = query.where(*conditions)
    chains = read_rows(database, query)
    more = len(chains) > limit
    return Page(chains[:limit], _cursor_of(chains[limit - 1]) if more else None)


def batch(database: peewee.Database, batch_id: str) -> BatchExecution | None:
    """The batch of that id; None when there is none."""
    rows = read_rows(database, BatchExecution.select().where(BatchExecution.batch_id == batch_id))
    return rows[0] if rows else None


def batches(
    database: peewee.Database, *, limit: int, offset: int = 0, status: str | None = None
) -> list[BatchExecution]:
    """The newest batches; ``status``: only those that have it in the ledger."""
    query = BatchExecution.select().order_by(BatchExecution.created_at.desc(), BatchExecution.id.desc())
    if status is not None:
        query = query.where(BatchExecution.status == status)
    return read_rows(database, query.limit(limit).offset(offset))


def _conditions(filters: Filters, cursor: str | None) -> list[Any]:
    chain, conditions = ChainExecution, []
    if filters.status is not None:
        conditions.append(chain.status == filters.status)
    if filters.workflow is not None:
        conditions.append(chain.chain_name == clean_text(filters.workflow))
    if filters.batch is not None:
        conditions.append(chain.batch_id == clean_text(filters.batch))
    if filters.since is not None:
        conditions.append(chain.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(chain.created_at < filters.until)
    if filters.error is not None:
        conditions += [
            chain.error_message.is_null(False),
            chain.error_message.contains(clean_text(filters.error)),
        ]
    if cursor is not None:
        created, key = _read_cursor(cursor)
        # The first condition is for the index, the second for chains of the same moment.
        conditions += [chain.created_at <= created, (chain.created_at < created) | (chain.id < key)]
    return conditions


def _cursor_of(chain: ChainExecution) -> str:
    text = f"{(chain.created_at - _EPOCH) // _MICROSECOND}.{chain.id}"
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        moment, _, key = text.partition(".")
        return _EPOCH + int(moment) * _MICROSECOND, min(int(key), (1 << 62))
    except (ValueError, OverflowError, binascii.Error):
        raise ValueError(f"{cursor[:80]!r} is no cursor of ours") from None
