"""Rows from events, written in bulk: INSERT … ON CONFLICT … DO UPDATE … WHERE the row is older.

The statements are put together here and not by Peewee's query builder, which spends more time on each value
than the databases do, in a process whose other threads run stages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from .connection import execute
from .events import ChainState, TaskState
from .models import ERROR_LIMIT
from .values import clean_text, encode_json, from_epoch

_SQLITE_VARIABLES = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999
_POSTGRESQL_ROWS = 5_000
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Upsert:
    """How rows of one table are written.

    Attributes:
        table: its name.
        key: the unique column that identifies a row.
        columns: of each row, in order; ``seq`` among them.
        replaced: columns that a newer event replaces.
        kept: columns that a newer event replaces only where it has a value.
    """

    table: str
    key: str
    columns: tuple[str, ...]
    replaced: tuple[str, ...]
    kept: tuple[str, ...]

    def write(self, database: peewee.Database, rows: Sequence[Row]) -> None:
        """Write ``rows`` (in the order in which rows are to be locked)."""
        for chunk in _chunks(rows, rows_per_statement(database, len(self.columns))):
            parameters = [value for row in chunk for value in row]
            execute(database, self._statement(database.param, len(chunk)), parameters)

    def _statement(self, mark: str, rows: int) -> str:
        values = f"({', '.join([mark] * len(self.columns))})"
        changes = [f"{name} = excluded.{name}" for name in self.replaced]
        changes += [f"{name} = COALESCE(excluded.{name}, {self.table}.{name})" for name in self.kept]
        return (
            f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES {', '.join([values] * rows)} "
            f"ON CONFLICT ({self.key}) DO UPDATE SET {', '.join(changes)} "
            f"WHERE {self.table}.seq < excluded.seq"
        )


def rows_per_statement(database: peewee.Database, columns: int) -> int:
    """How many rows of ``columns`` values one statement may hold."""
    return _SQLITE_VARIABLES // columns if isinstance(database, peewee.SqliteDatabase) else _POSTGRESQL_ROWS


def _chunks(rows: Sequence[Row], size: int) -> Iterable[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


_CHAIN_CHANGES = (
    "chain_name status total_tasks completed_tasks failed_tasks revoked_tasks created_at started_at "
    "finished_at final_result error_message seq"
)
CHAINS = Upsert(
    table="chain_executions",
    key="chain_id",
    columns=("chain_id", *_CHAIN_CHANGES.split(), "batch_id", "channel", "initiated_by"),
    replaced=tuple(_CHAIN_CHANGES.split()),
    kept=("batch_id", "channel"),
)
_TASK_CHANGES = (
    "task_name status error started_at finished_at retries attempt result worker traceback metadata "
    "progress seq"
)
TASKS = Upsert(
    table="task_logs",
    key="task_id",
    columns=("task_id", *_TASK_CHANGES.split(), "chain_execution_id", "stage", "member"),
    replaced=tuple(_TASK_CHANGES.split()),
    kept=("chain_execution_id", "stage", "member"),
)


def chain_row(seq: int, state: ChainState) -> Row:
    """The row of ``CHAINS`` for a chain's state."""
    return (
        state.chain_id,
        clean_text(state.chain_name, 255),
        state.status,
        state.total_tasks,
        state.completed_tasks,
        state.failed_tasks,
        state.revoked_tasks,
        _moment(state.created_at),
        _moment(state.started_at),
        _moment(state.finished_at),
        _json(state.final_result),
        _text(state.error_message),
        seq,
        state.batch_id,
        _text(state.channel),
        _text(state.initiated_by, 100),
    )


def task_row(seq: int, state: TaskState, chain_key: int | None) -> Row:
    """The row of ``TASKS`` for a task's state; ``chain_key`` is the id of its chain's row."""
    return (
        state.task_id,
        clean_text(state.task_name, 255),
        state.status,
        _text(state.error, ERROR_LIMIT),
        _moment(state.started_at),
        _moment(state.finished_at),
        state.retries,
        state.attempt,
        _json(state.result),
        _text(state.worker),
        _text(state.traceback),
        _json(state.metadata),
        state.progress,
        seq,
        chain_key,
        state.stage,
        state.member,
    )


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else from_epoch(seconds).isoformat(" ")


def _text(text: str | None, limit: int | None = None) -> str | None:
    return None if text is None else clean_text(text, limit)


def _json(value: Any) -> str | None:
    return None if value is None else encode_json(value)
