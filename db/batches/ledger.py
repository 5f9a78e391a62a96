"""Batches in the ledger: the row, what the chunks hold, and what the rows of the chains say of the images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import peewee

from db.connection import in_parts, read_tuples, session
from db.models import BatchChunk, BatchExecution, ChainExecution, TaskLog, read_rows
from db.status_rows import ENDED
from db.values import clean_text, from_epoch, to_epoch, utc_now

from .facts import BatchFacts
from .live import FAILED_UNSTARTED, LETTERS, RETRY_WAITS, Counts, LiveBatch

_ROWS_PER_INSERT = 200

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
            "auto": facts.auto,
            "callbacks": facts.callbacks,
            "private_webhooks": facts.private_webhooks,
        },
        "seq": 0,
    }
    chunks = [
        {"batch_id": batch_id, "number": number, "items": items[first : first + facts.piece]}
        for number, first in enumerate(range(0, len(items), facts.piece))
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
        # Of an automatic size it is the present one; the first is among the segments, once there is another.
        chunk_size=row.chunk_size,
        created=to_epoch(row.created_at),
        segments=row.segments or (),
        **row.plan,
    )


def items_of(database: peewee.Database, batch_id: str, first: int, last: int | None = None) -> list[Item]:
    """What rows of a batch's chunks hold, from one number to another (see ``BatchFacts.pieces_of``)."""
    number: Any = BatchChunk.number
    query = (
        BatchChunk.select()
        .where(BatchChunk.batch_id == batch_id, number.between(first, first if last is None else last))
        .order_by(number)
    )
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
    return [batch_id for (batch_id,) in read_tuples(database, query)]


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
    return {task_id for (task_id,) in read_tuples(database, query)}


def run_of(finished: datetime) -> int:
    """The number of a batch's run by the moment of its end, in milliseconds: a later run has a higher one."""
    return round(to_epoch(finished) * 1000)


def statuses(database: peewee.Database, chain_ids: Sequence[str]) -> dict[str, str]:
    """The status of each of these chains that the ledger has."""
    chain: Any = ChainExecution
    found: dict[str, str] = {}
    with session(database):
        for part in in_parts(chain_ids):
            query = chain.select(chain.chain_id, chain.status).where(chain.chain_id.in_(part))
            found.update(query.tuples().execute(database))
    return found


def letters_of(database: peewee.Database, row: BatchExecution, facts: BatchFacts) -> bytes:
    """The letters of a batch's items as the rows of its chains and chunks have them.

    Of a batch that has not ended, what had failed when a retry was asked for waits to be retried.
    """
    chain: Any = ChainExecution
    letters = bytearray(row.total_images)
    asked = row.retried_at if row.finished_at is None and row.revoked_at is None else None
    chains = chain.select(chain.chain_id, chain.status, chain.finished_at).where(
        chain.batch_id == row.batch_id
    )
    failed = BatchChunk.select(BatchChunk.number).where(
        BatchChunk.batch_id == row.batch_id, BatchChunk.error.is_null(False)
    )
    with session(database):
        for (number,) in failed.tuples().execute(database):
            own = facts.items_of_piece(number)
            letters[own.start : own.stop] = FAILED_UNSTARTED.encode() * len(own)
        for chain_id, status, finished in chains.tuples().execute(database):
            prefix, _, number = (chain_id or "").rpartition(".")
            if prefix == row.batch_id and number.isdigit() and int(number) < row.total_images:
                letter = ord(LETTERS.get(status, "p"))
                if asked is not None and status == "FAILURE" and (finished is None or finished <= asked):
                    letter = RETRY_WAITS[0]
                letters[int(number)] = letter
    if row.status == "REVOKED" or row.revoked_at is not None:
        return bytes(letters).replace(b"\0", b"r")
    return bytes(letters)


def ask_retry(database: peewee.Database, batch_id: str, seq: int | None) -> None:
    """Note that what has failed of a batch is to be retried: it has not ended any more.

    Parameters:
        seq: of the newest reading of the board; older ones are not written any more. None where it has none.

    Raises:
        LedgerUnavailable: the database did not answer; nothing was noted.
    """
    batch: Any = BatchExecution
    chain: Any = ChainExecution
    newest = (
        chain.select(chain.finished_at)
        .where(chain.batch_id == batch_id, chain.status == "FAILURE", chain.finished_at.is_null(False))
        .order_by(chain.finished_at.desc())
        .limit(1)
    )
    with session(database), database.atomic():
        # The clock of a worker may be ahead of ours.
        failed = [moment for (moment,) in newest.tuples().execute(database)]
        values: dict[str, Any] = {
            "retried_at": max([utc_now(), *failed]),
            "finished_at": None,
            "status": "STARTED",
        }
        if seq is not None:
            values["seq"] = seq
        batch.update(**values).where(batch.batch_id == batch_id).execute(database)
        _clear_errors(database, batch_id)


def _clear_errors(database: peewee.Database, batch_id: str) -> None:
    BatchChunk.update(error=None).where(
        BatchChunk.batch_id == batch_id, BatchChunk.error.is_null(False)
    ).execute(database)


def record(
    database: peewee.Database,
    batch_id: str,
    live: LiveBatch,
    finished: float | None,
    error: str,
    *,
    cleared: bool = False,
) -> None:
    """Write a reading of the board into the batch's row; a newer one that is there stays.

    Parameters:
        error: of the chunks that have failed for good.
        cleared: whether chunks that had failed may not have any more.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    batch: Any = BatchExecution
    pieces = [piece for chunk in live.failed_chunks() for piece in live.facts.pieces_of(chunk)]
    cut = {"segments": live.facts.segments or None} if live.facts.auto else {}
    whole = database.atomic() if pieces or cleared or live.revoked is not None else nullcontext()
    with session(database), whole:
        is_newest = (
            batch.update(**values_of(live, finished), **cut, seq=live.seq)
            .where(batch.batch_id == batch_id, batch.seq < live.seq)
            .execute(database)
        )
        if not is_newest:
            return
        if cleared:
            _clear_errors(database, batch_id)
        for part in in_parts(pieces):
            BatchChunk.update(error=clean_text(error)).where(
                BatchChunk.batch_id == batch_id,
                BatchChunk.number.in_(part),
                BatchChunk.error.is_null(),
            ).execute(database)
        if live.revoked is not None:
            batch.update(revoked_at=utc_now()).where(
                batch.batch_id == batch_id, batch.revoked_at.is_null()
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
        "chunk_size": live.facts.size,
        "total_chunks": live.facts.chunks,
        "completed_chunks": complete,
        "failed_chunks": failed,
        "started_at": None if live.started is None else from_epoch(live.started),
        "finished_at": None if finished is None else from_epoch(finished),
    }
