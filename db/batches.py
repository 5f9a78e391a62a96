"""Batches in the ledger: the row, what the chunks hold, and what the rows of the chains say of the images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import peewee

from .batch_board import FAILED_UNSTARTED, LETTERS, BatchFacts, Counts, LiveBatch
from .connection import session
from .models import BatchChunk, BatchExecution, ChainExecution, TaskLog, read_rows
from .status_rows import ENDED
from .values import clean_text, from_epoch, to_epoch, utc_now

_ROWS_PER_INSERT = 200
_IDS = 900

#: The columns of a batch's row that :func:`values_of` tells.
CHANGING = (
    "status",
    "completed_images",
    "failed_images",
    "revoked_images",
    "completed_chunks",
    "failed_chunks",
    "started_at",
    "finished_at",
)

#: What a chunk holds of one image: its path, and its public path where it has one.
Item = tuple[str, str | None]


def chain_id_of(batch_id: str, item: int) -> str:
    """The id of the chain of a batch's image, counted from 0."""
    return f"{batch_id}.{item}"


def create(
    database: peewee.Database,
    batch_id: str,
    facts: BatchFacts,
    options: dict[str, Any],
    items: Sequence[Item],
) -> bool:
    """Insert the rows of a batch and of its chunks, all or none. Returns False where one of that id is there.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    row = {
        "batch_id": batch_id,
        "batch_name": facts.name,
        "total_images": facts.images,
        "total_chunks": facts.chunks,
        "chunk_size": facts.chunk_size,
        "created_at": from_epoch(facts.created),
        "options": options,
        "plan": {
            "workflow": facts.workflow,
            "window": facts.window,
            "priority": facts.priority,
            "success_threshold": facts.success_threshold,
            "by": facts.by,
            "callbacks": facts.callbacks,
            "private_webhooks": facts.private_webhooks,
        },
        "seq": 0,
    }
    chunks = [
        {"batch_id": batch_id, "number": number, "items": [items[item] for item in facts.range_of(number)]}
        for number in range(facts.chunks)
    ]
    with session(database), database.atomic():
        if not BatchExecution.insert(row).on_conflict_ignore().as_rowcount().execute(database):
            return False
        for start in range(0, len(chunks), _ROWS_PER_INSERT):
            BatchChunk.insert_many(chunks[start : start + _ROWS_PER_INSERT]).execute(database)
    return True


def withdraw(database: peewee.Database, batch_id: str) -> bool:
    """Delete a batch that no reading of the board has reached. Returns whether it was there to delete."""
    batch: Any = BatchExecution
    with session(database), database.atomic():
        deleted = batch.delete().where(batch.batch_id == batch_id, batch.seq == 0).execute(database)
        if deleted:
            BatchChunk.delete().where(BatchChunk.batch_id == batch_id).execute(database)
    return bool(deleted)


def read(database: peewee.Database, batch_id: str) -> BatchExecution | None:
    """The row of a batch; None when there is none."""
    rows = read_rows(database, BatchExecution.select().where(BatchExecution.batch_id == batch_id))
    return rows[0] if rows else None


def facts_of(row: BatchExecution) -> BatchFacts | None:
    """What a batch's row says; None for one that was not started here."""
    if not isinstance(row.plan, dict):
        return None
    return BatchFacts(
        name=row.batch_name or "",
        images=row.total_images,
        chunk_size=row.chunk_size,
        created=to_epoch(row.created_at),
        **row.plan,
    )


def items_of(database: peewee.Database, batch_id: str, chunk: int) -> list[Item]:
    """What a chunk holds; empty when there is no such chunk."""
    query = BatchChunk.select().where(BatchChunk.batch_id == batch_id, BatchChunk.number == chunk)
    return [(path, public) for row in read_rows(database, query) for path, public in row.items]


def open_batches(database: peewee.Database, *, older_than: float) -> list[str]:
    """Batches that were started here and have not ended as far as the ledger knows.

    Parameters:
        older_than: seconds since their creation, at least.
    """
    batch: Any = BatchExecution
    query = batch.select(batch.batch_id).where(
        batch.finished_at.is_null(),
        batch.seq.is_null(False),
        batch.created_at < utc_now() - timedelta(seconds=older_than),
    )
    with session(database):
        return [batch_id for (batch_id,) in query.tuples().execute(database)]


def ended_lately(database: peewee.Database, *, after: float, until: float) -> list[BatchExecution]:
    """Batches that were started here and ended so many seconds ago, at least ``after``, at most ``until``."""
    batch: Any = BatchExecution
    now = utc_now()
    query = batch.select().where(
        batch.seq.is_null(False),
        batch.finished_at <= now - timedelta(seconds=after),
        batch.finished_at > now - timedelta(seconds=until),
    )
    return read_rows(database, query)


def ended_tasks(database: peewee.Database, task_ids: Sequence[str]) -> set[str]:
    """Which of these tasks have ended as far as the ledger knows."""
    task: Any = TaskLog
    query = task.select(task.task_id).where(task.task_id.in_(task_ids), task.status.in_(ENDED))
    with session(database):
        return {task_id for (task_id,) in query.tuples().execute(database)}


def run_of(finished: datetime) -> int:
    """The number of a batch's run by the moment of its end, in milliseconds: a later run has a higher one."""
    return round(to_epoch(finished) * 1000)


def statuses(database: peewee.Database, chain_ids: Sequence[str]) -> dict[str, str]:
    """The status of each of these chains that the ledger has."""
    chain: Any = ChainExecution
    found: dict[str, str] = {}
    with session(database):
        for start in range(0, len(chain_ids), _IDS):
            part = chain_ids[start : start + _IDS]
            query = chain.select(chain.chain_id, chain.status).where(chain.chain_id.in_(part))
            found.update(query.tuples().execute(database))
    return found


def letters_of(database: peewee.Database, row: BatchExecution, facts: BatchFacts) -> bytes:
    """The letters of a batch's items as the rows of its chains and chunks have them."""
    chain: Any = ChainExecution
    letters = bytearray(row.total_images)
    chains = chain.select(chain.chain_id, chain.status).where(chain.batch_id == row.batch_id)
    failed = BatchChunk.select(BatchChunk.number).where(
        BatchChunk.batch_id == row.batch_id, BatchChunk.error.is_null(False)
    )
    with session(database):
        for (number,) in failed.tuples().execute(database):
            own = facts.range_of(number)
            letters[own.start : own.stop] = FAILED_UNSTARTED.encode() * len(own)
        for chain_id, status in chains.tuples().execute(database):
            prefix, _, number = (chain_id or "").rpartition(".")
            if prefix == row.batch_id and number.isdigit() and int(number) < row.total_images:
                letters[int(number)] = ord(LETTERS.get(status, "p"))
    if row.status == "REVOKED":
        return bytes(letters).replace(b"\0", b"r")
    return bytes(letters)


def note_failed(database: peewee.Database, batch_id: str, chunks: Iterable[int], error: str) -> None:
    """Note that chunks have failed for good."""
    wanted = list(chunks)
    with session(database), database.atomic():
        for start in range(0, len(wanted), _IDS):
            BatchChunk.update(error=clean_text(error)).where(
                BatchChunk.batch_id == batch_id,
                BatchChunk.number.in_(wanted[start : start + _IDS]),
                BatchChunk.error.is_null(),
            ).execute(database)


def record(database: peewee.Database, batch_id: str, live: LiveBatch, finished: float | None) -> None:
    """Write a reading of the board into the batch's row; a newer one that is there stays.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    batch: Any = BatchExecution
    with session(database):
        batch.update(**values_of(live, finished), seq=live.seq).where(
            batch.batch_id == batch_id, batch.seq < live.seq
        ).execute(database)


def values_of(live: LiveBatch, finished: float | None) -> dict[str, Any]:
    """The columns of a batch's row that change, as a reading of the board has them."""
    counts: Counts = live.counts
    complete, failed, _ = live.chunk_counts()
    return {
        "status": live.status.value,
        "completed_images": counts.succeeded,
        "failed_images": counts.failed,
        "revoked_images": counts.revoked,
        "completed_chunks": complete,
        "failed_chunks": failed,
        "started_at": None if live.started is None else from_epoch(live.started),
        "finished_at": None if finished is None else from_epoch(finished),
    }
