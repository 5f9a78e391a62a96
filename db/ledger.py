"""The ledger: what was true, for ever. Written in bulk from the board's events; each write idempotent."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from callboard.errors import ChainStateError

from .connection import driver_error, execute, session
from .events import ChainState, Event
from .models import ChainExecution, ProcessStatus
from .status_rows import ChainRecord, read_chain, stage_results, status_array
from .upsert import CHAINS, TASKS, chain_row, task_row
from .values import clean_text, encode_json, utc_now

logger = logging.getLogger(__name__)

_CHAINS_PER_INSERT = 300
_NAME_LENGTH = 255
_LOGGED_LENGTH = 4_000
#: What a new row holds beside what its chain tells.
_NEW = {
    "status": ProcessStatus.PENDING.value,
    "completed_tasks": 0,
    "failed_tasks": 0,
    "revoked_tasks": 0,
    "seq": 0,
}


@dataclass(frozen=True)
class NewChain:
    """A chain that is about to start.

    Attributes:
        stages: the plan (see :class:`~db.models.ChainExecution`).
        input_data: what the first stage is given, as JSON.
        idempotency_key: at most one chain holds it.
        channel: where its progress messages go; None for the usual one.

    Raises:
        ValueError: an id or the key is too long for its column.
    """

    chain_id: str
    chain_name: str
    total_tasks: int
    stages: list[dict[str, Any]]
    input_data: Any = None
    initiated_by: str | None = None
    idempotency_key: str | None = None
    batch_id: str | None = None
    channel: str | None = None

    def __post_init__(self) -> None:
        for name in (self.chain_id, self.idempotency_key or "", self.batch_id or ""):
            if len(name) > _NAME_LENGTH or clean_text(name) != name:
                raise ValueError(f"ids and keys have up to {_NAME_LENGTH} characters and no NUL: {name!r}")


class Ledger:
    """Writes and reads chains and tasks. Every method may raise ``LedgerUnavailable``.

    Parameters:
        database: of :func:`db.connection.open_database`. Threads may share the ledger.
    """

    def __init__(self, database: peewee.Database) -> None:
        self.database = database

    def record(self, events: Sequence[Event]) -> None:
        """Apply ``events`` in one transaction; in any order and any number of times it comes to the same.

        An event that the database cannot hold is logged and left out; the others are written.

        Raises:
            LedgerUnavailable: the database did not answer; record the same events again later.
        """
        try:
            self._write(events)
        except Exception as error:
            if not _is_refusal(error):
                raise
            if len(events) == 1:
                logger.error("the ledger cannot hold this event (%s): %s", error, _excerpt(events[0]))
                return
            half = len(events) // 2
            self.record(events[:half])
            self.record(events[half:])

    def _write(self, events: Iterable[Event]) -> None:
        chains: dict[str, tuple[int, ChainState]] = {}
        tasks: dict[str, Event] = {}
        for event in events:
            chain, task = event.chain, event.task
            if chain is not None and event.seq > chains.get(chain.chain_id, (-1, chain))[0]:
                chains[chain.chain_id] = (event.seq, chain)
            if task is not None and (task.task_id not in tasks or event.seq > tasks[task.task_id].seq):
                tasks[task.task_id] = event
        # Sorted, so that two recorders lock rows in the same order.
        chain_rows = [chain_row(*chains[chain_id]) for chain_id in sorted(chains)]
        task_rows = [
            task_row(event.seq, task, event.chain_id)
            for _, event in sorted(tasks.items())
            if (task := event.task) is not None
        ]
        with session(self.database) as database, database.atomic():
            CHAINS.write(database, chain_rows)
            TASKS.write(database, task_rows)

    def create_chains(self, chains: Sequence[NewChain]) -> None:
        """Insert rows for ``chains``, all or none, PENDING.

        Raises:
            ChainStateError: a row has the chain id or the idempotency key of one of them already.
            LedgerUnavailable: the database did not answer.
        """
        now = utc_now()
        with session(self.database) as database:
            # One statement is atomic by itself; a transaction around it costs two round trips more.
            whole = database.atomic() if len(chains) > _CHAINS_PER_INSERT else nullcontext()
            try:
                with whole:
                    for start in range(0, len(chains), _CHAINS_PER_INSERT):
                        rows = [_new_row(chain, now) for chain in chains[start : start + _CHAINS_PER_INSERT]]
                        _insert(database, rows)
            except peewee.IntegrityError as error:
                raise self._conflict(chains) from error

    def create_chain_once(self, chain: NewChain) -> str:
        """Insert the row of ``chain`` unless a row holds its idempotency key.

        Returns:
            The id of the chain that holds the key: ``chain.chain_id`` when it was inserted.

        Raises:
            ChainStateError: a row has the chain id already, with another key or none.
            LedgerUnavailable: the database did not answer.
        """
        if chain.idempotency_key is None:
            self.create_chains([chain])
            return chain.chain_id
        insert = ChainExecution.insert(_new_row(chain, utc_now())).on_conflict_ignore().as_rowcount()
        holder = ChainExecution.select(ChainExecution.chain_id).where(
            ChainExecution.idempotency_key == chain.idempotency_key
        )
        with session(self.database) as database:
            # The row found in the way may be withdrawn before it is read: then the key is free again.
            for _ in range(10):
                if insert.clone().execute(database):
                    return chain.chain_id
                found = list(holder.clone().tuples().execute(database))
                if found:
                    return str(found[0][0])
        raise self._conflict([chain])

    def open_chains(self, after: int, limit: int, *, older_than: float) -> list[tuple[int, str]]:
        """Chains that have not ended as far as the ledger knows, by the number of their row.

        Parameters:
            after: the number of the last row that was read; 0 for the first page.
            older_than: seconds since their creation, at least.

        Returns:
            Up to ``limit`` pairs of a row's number and a chain id.

        Raises:
            LedgerUnavailable: the database did not answer.
        """
        model: Any = ChainExecution
        rows = (
            model.select(model.id, model.chain_id)
            .where(
                model.id > after,
                model.status.in_([ProcessStatus.PENDING.value, ProcessStatus.STARTED.value]),
                model.created_at < utc_now() - timedelta(seconds=older_than),
            )
            .order_by(model.id)
            .limit(limit)
            .tuples()
        )
        with session(self.database) as database:
            return list(rows.execute(database))

    def withdraw_chains(self, chain_ids: Sequence[str]) -> int:
        """Delete rows that no event has reached: the undo of a start that could not reach Redis.

        Returns:
            How many were deleted.
        """
        deleted = 0
        with session(self.database) as database, database.atomic():
            for start in range(0, len(chain_ids), _CHAINS_PER_INSERT):
                part = chain_ids[start : start + _CHAINS_PER_INSERT]
                deleted += _withdrawal(part).execute(database)
        return deleted

    def read_chain(self, chain_id: str) -> ChainRecord | None:
        """The chain's row and its tasks, ordered by stage and member; None when there is no such chain."""
        return read_chain(self.database, chain_id)

    def stage_results(self, chain_id: str) -> dict[tuple[int, int], Any]:
        """Results of the chain's SUCCESS tasks by (stage, member)."""
        return stage_results(self.database, chain_id)

    def status_array(self, chain_id: str) -> list[dict[str, Any]] | None:
        """The chain's status array as the board would show it; None when there is no such chain."""
        record = self.read_chain(chain_id)
        return None if record is None else status_array(record)

    def _conflict(self, chains: Sequence[NewChain]) -> ChainStateError:
        for start in range(0, len(chains), _CHAINS_PER_INSERT):
            part = chains[start : start + _CHAINS_PER_INSERT]
            ids = [chain.chain_id for chain in part]
            keys = [chain.idempotency_key for chain in part if chain.idempotency_key is not None]
            query = ChainExecution.select().where(
                ChainExecution.chain_id.in_(ids) | ChainExecution.idempotency_key.in_(keys)
            )
            for row in query.execute(self.database):
                reason = f"holds the idempotency key {row.idempotency_key!r}"
                if row.chain_id in ids:
                    reason = "is in the ledger already; give each chain an id of its own"
                return ChainStateError(row.chain_id, row.status, f"chain {row.chain_id!r} {reason}")
        first = chains[0].chain_id
        return ChainStateError(
            first, "", f"two of the chains from {first!r} on share an id or an idempotency key"
        )


def _withdrawal(chain_ids: Sequence[str]) -> Any:
    model: Any = ChainExecution  # mypy takes its fields for ambiguous in one order of files, not in another
    untouched = (model.status == ProcessStatus.PENDING.value) & (model.seq == 0)
    return model.delete().where(model.chain_id.in_(chain_ids) & untouched)


def _new_row(chain: NewChain, now: datetime) -> dict[str, Any]:
    return {
        "chain_id": chain.chain_id,
        "chain_name": clean_text(chain.chain_name, 255),
        "total_tasks": chain.total_tasks,
        "stages": chain.stages,
        "input_data": chain.input_data,
        "initiated_by": None if chain.initiated_by is None else clean_text(chain.initiated_by, 100),
        "idempotency_key": chain.idempotency_key,
        "batch_id": chain.batch_id,
        "channel": chain.channel,
        "created_at": now,
    }


def _insert(database: peewee.Database, rows: Sequence[dict[str, Any]]) -> None:
    """Insert new rows. Peewee's query builder takes longer for one row than the database does."""
    ready = [
        {
            **row,
            **_NEW,
            "stages": encode_json(row["stages"]),
            "input_data": None if row["input_data"] is None else encode_json(row["input_data"]),
            "created_at": row["created_at"].isoformat(" "),
        }
        for row in rows
    ]
    marks = f"({', '.join([database.param] * len(ready[0]))})"
    statement = (
        f"INSERT INTO chain_executions ({', '.join(ready[0])}) VALUES {', '.join([marks] * len(ready))}"
    )
    execute(database, statement, [value for row in ready for value in row.values()])


def _is_refusal(error: Exception) -> bool:
    """Whether the database (or its driver) refuses a value, rather than being out of reach."""
    if isinstance(
        error, (peewee.DataError, peewee.IntegrityError, ValueError, OverflowError, RecursionError)
    ):
        return True
    # Class 54: beyond the server's limits, such as the depth of JSON.
    return (getattr(driver_error(error), "pgcode", None) or "").startswith("54")


def _excerpt(event: Event) -> str:
    text = repr(event)
    return text if len(text) <= _LOGGED_LENGTH else f"{text[:_LOGGED_LENGTH]}… ({len(text)} characters)"
