"""Bounded deletes of what the ledger need not keep: old chains with their tasks, lone tasks, batches, keys.

Each function is a generator: it deletes up to a thousand rows in a short transaction, says what it has
deleted, and goes on when asked for more. With ``dry_run`` it counts and deletes nothing. Nothing that is at
work is ever taken: a chain that has not ended, here or on the board, and what belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee
from peewee import fn

from .batches.ledger import statuses
from .connection import in_parts, read_tuples, session
from .models import BatchChunk, BatchExecution, ChainExecution, TaskLog
from .status_rows import ENDED

#: Rows that one transaction deletes.
BATCH = 1000
#: Variables that one statement has beside the ids: an old SQLite takes 999 in all.


@dataclass(frozen=True)
class Removed:
    """What one step has removed, or would remove.

    Attributes:
        kind: ``chains``, ``tasks``, …
        count: how many.
        oldest: the moment (naive UTC) of the oldest of them; None where that is not known.
    """

    kind: str
    count: int
    oldest: datetime | None = None


def old_chains(
    database: peewee.Database,
    before: datetime,
    *,
    at_work: Callable[[list[str]], set[str]] = lambda chain_ids: set(),
    dry_run: bool = False,
) -> Iterator[Removed]:
    """Chains that ended before a moment, and their tasks first.

    A batch goes as a whole: its chains stay until it has ended, and that before the moment, too.

    Parameters:
        at_work: which of these chains have not ended on the board: a resume may not have reached the ledger.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    chain: Any = ChainExecution
    ended_at = fn.COALESCE(chain.finished_at, chain.created_at)
    batch: Any = BatchExecution
    batch_ended_at = fn.COALESCE(batch.finished_at, batch.created_at)
    kept_batch = batch.select().where(
        batch.batch_id == chain.batch_id, batch.status.not_in(ENDED) | (batch_ended_at >= before)
    )
    position: tuple[Any, int] = (datetime.min, 0)
    while True:
        query = (
            chain.select(chain.id, chain.chain_id, chain.created_at, ended_at)
            # The first two conditions are for the index on created_at.
            .where(chain.created_at < before, chain.created_at >= position[0])
            .where((chain.created_at > position[0]) | (chain.id > position[1]))
            .where(chain.status.in_(ENDED), ended_at < before, ~fn.EXISTS(kept_batch))
            .order_by(chain.created_at, chain.id)
            .limit(BATCH)
        )
        found = read_tuples(database, query)
        if not found:
            return
        position = (found[-1][2], found[-1][0])
        busy = at_work([row[1] for row in found if row[1] is not None])
        doomed = [row for row in found if row[1] not in busy]
        ids = [row[0] for row in doomed]
        yield from _tasks_of(database, ids, dry_run)
        count = len(ids)
        if not dry_run:
            # Asked again: a resume may have been recorded meanwhile.
            count = _delete(database, ChainExecution, ids, chain.status.in_(ENDED))
        if count:
            yield Removed("chains", count, _oldest(row[3] for row in doomed))


def lone_tasks(database: peewee.Database, before: datetime, *, dry_run: bool = False) -> Iterator[Removed]:
    """Tasks of no chain that ended before a moment.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    task: Any = TaskLog
    ended_at = fn.COALESCE(task.finished_at, task.started_at)
    own = (task.chain_execution.is_null()) & (task.status.in_(ENDED)) & (ended_at < before)
    yield from _walk(database, TaskLog, "tasks", ended_at, own & (task.started_at < before), dry_run)


def old_batches(database: peewee.Database, before: datetime, *, dry_run: bool = False) -> Iterator[Removed]:
    """Batches that ended before a moment and of which no chain is left.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    batch: Any = BatchExecution
    ended_at = fn.COALESCE(batch.finished_at, batch.created_at)
    chain_left = ChainExecution.select().where(ChainExecution.batch_id == batch.batch_id)
    own = (batch.status.in_(ENDED)) & (ended_at < before) & ~fn.EXISTS(chain_left)
    yield from _walk(database, BatchExecution, "batches", ended_at, own, dry_run)
    if not dry_run:
        _drop_chunks(database)


def _drop_chunks(database: peewee.Database) -> None:
    """Delete what the chunks of deleted batches held. A batch and its chunks are inserted as one."""
    chunk: Any = BatchChunk
    orphan = ~fn.EXISTS(BatchExecution.select().where(BatchExecution.batch_id == chunk.batch_id))
    while found := read_tuples(database, chunk.select(chunk.id).where(orphan).limit(BATCH)):
        _delete(database, BatchChunk, [row[0] for row in found], orphan)


def old_keys(database: peewee.Database, before: datetime, *, dry_run: bool = False) -> Iterator[Removed]:
    """Idempotency keys of ended chains that were created before a moment: their chains let go of them.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    chain: Any = ChainExecution
    last = None
    while True:
        # Along the index of the keys: a range of it holds no chain without one.
        onwards = chain.idempotency_key >= "" if last is None else chain.idempotency_key > last
        query = (
            chain.select(chain.id, chain.idempotency_key, chain.created_at)
            .where(onwards, chain.created_at < before, chain.status.in_(ENDED))
            .order_by(chain.idempotency_key)
            .limit(BATCH)
        )
        found = read_tuples(database, query)
        if not found:
            return
        last = found[-1][1]
        if not dry_run:
            _release(database, [row[0] for row in found])
        yield Removed("idempotency keys", len(found), _oldest(row[2] for row in found))


def states_of(database: peewee.Database, chain_ids: Sequence[str]) -> dict[str, bool]:
    """Which of these chains the ledger has, and of each whether it has ended.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    return {chain_id: status in ENDED for chain_id, status in statuses(database, chain_ids).items()}


def batch_states_of(database: peewee.Database, batch_ids: Sequence[str]) -> dict[str, bool]:
    """Which of these batches the ledger has, and of each whether it has ended.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    batch: Any = BatchExecution
    known: dict[str, bool] = {}
    for part in in_parts(batch_ids):
        query = batch.select(batch.batch_id, batch.finished_at).where(batch.batch_id.in_(part))
        known.update({batch_id: ended is not None for batch_id, ended in read_tuples(database, query)})
    return known


def _tasks_of(database: peewee.Database, keys: Sequence[int], dry_run: bool) -> Iterator[Removed]:
    """The tasks of these chains; a chain may have thousands."""
    task: Any = TaskLog
    chain: Any = ChainExecution
    moment = fn.COALESCE(task.finished_at, task.started_at)
    for part in in_parts(keys):
        ended = chain.select(chain.id).where(chain.id.in_(part), chain.status.in_(ENDED))
        yield from _walk(database, TaskLog, "tasks", moment, task.chain_execution.in_(ended), dry_run)


def _walk(
    database: peewee.Database, model: Any, kind: str, moment: Any, condition: Any, dry_run: bool
) -> Iterator[Removed]:
    """Rows that meet a condition, a thousand at a time."""
    if dry_run:
        ((count, oldest),) = read_tuples(
            database, model.select(fn.COUNT(model.id), fn.MIN(moment)).where(condition)
        )
        if count:
            yield Removed(kind, count, _moment(oldest))
        return
    while True:
        # In no order: the planner would walk along the ids, through all that is not to be deleted.
        found = read_tuples(database, model.select(model.id, moment).where(condition).limit(BATCH))
        count = _delete(database, model, [row[0] for row in found], condition)
        if not count:
            return
        yield Removed(kind, count, _oldest(row[1] for row in found))


def _delete(database: peewee.Database, model: Any, ids: Sequence[int], condition: Any) -> int:
    count = 0
    for part in in_parts(ids):
        with session(database):
            count += model.delete().where(model.id.in_(part), condition).execute(database)
    return count


def _release(database: peewee.Database, ids: Sequence[int]) -> None:
    for part in in_parts(ids):
        with session(database):
            ChainExecution.update(idempotency_key=None).where(ChainExecution.id.in_(part)).execute(database)


def _oldest(moments: Any) -> datetime | None:
    return min((found for moment in moments if (found := _moment(moment)) is not None), default=None)


def _moment(value: Any) -> datetime | None:
    """A moment as a function of the database returns it: SQLite's is text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
