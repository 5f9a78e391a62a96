"""Rows from events, written in bulk: INSERT … ON CONFLICT … DO UPDATE … WHERE the row is older.

PostgreSQL is given all rows of a statement as one JSON text (``json_to_recordset``), which costs both sides
less than half of what a parameter for each value does; SQLite gets parameters. The statements are put
together here and not by Peewee's query builder, which spends more time on each value than the databases do,
in a process whose other threads run stages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import peewee

from .connection import execute
from .events import ChainState, TaskState
from .models import ERROR_LIMIT
from .values import clean_text, encode_json, from_epoch

_SQLITE_VARIABLES = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999
_POSTGRESQL_ROWS = 5_000
#: Column → value, in the form that :func:`db.values.encode_json` takes; a column left out is NULL.
Row = dict[str, Any]


@dataclass(frozen=True)
class Upsert:
    """How rows of one table are written.

    Attributes:
        table: its name.
        key: the unique column that identifies a row.
        replaced: columns that a newer event replaces, each with its PostgreSQL type; ``seq`` among them.
        kept: likewise, columns that a newer event replaces only where it has a value.
        initial: likewise, columns that stay as they were inserted.
        lookups: SQL that finds a column's value by what the row says (``{}``).
    """

    table: str
    key: str
    replaced: Mapping[str, str]
    kept: Mapping[str, str]
    initial: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, str] = field(default_factory=dict)

    def write(self, database: peewee.Database, rows: Sequence[Row]) -> None:
        """Write ``rows`` (in the order in which rows are to be locked)."""
        columns = {self.key: "text", **self.replaced, **self.kept, **self.initial}
        sqlite = isinstance(database, peewee.SqliteDatabase)
        size = _SQLITE_VARIABLES // len(columns) if sqlite else _POSTGRESQL_ROWS
        for chunk in _chunks(rows, size):
            source, parameters = (_parameters if sqlite else _recordset)(columns, self.lookups, chunk)
            statement = f"INSERT INTO {self.table} ({', '.join(columns)}) {source} {self._on_conflict()}"
            execute(database, statement, parameters)

    def _on_conflict(self) -> str:
        changes = [f"{name} = excluded.{name}" for name in self.replaced]
        changes += [f"{name} = COALESCE(excluded.{name}, {self.table}.{name})" for name in self.kept]
        return (
            f"ON CONFLICT ({self.key}) DO UPDATE SET {', '.join(changes)} "
            f"WHERE {self.table}.seq < excluded.seq"
        )


def _recordset(
    columns: Mapping[str, str], lookups: Mapping[str, str], rows: Sequence[Row]
) -> tuple[str, list[Any]]:
    """PostgreSQL's source of ``rows`` with its parameters."""
    values = ", ".join(lookups.get(name, "{}").format(f"new.{name}") for name in columns)
    types = ", ".join(
        f"{name} {'text' if name in lookups else type_name}" for name, type_name in columns.items()
    )
    return f"SELECT {values} FROM json_to_recordset(%s) AS new ({types})", [encode_json(rows)]


def _parameters(
    columns: Mapping[str, str], lookups: Mapping[str, str], rows: Sequence[Row]
) -> tuple[str, list[Any]]:
    """SQLite's source of ``rows`` with its parameters."""
    marks = f"({', '.join(lookups.get(name, '{}').format('?') for name in columns)})"
    values = [
        encode_json(row[name]) if type_name == "json" and name in row else row.get(name)
        for row in rows
        for name, type_name in columns.items()
    ]
    return f"VALUES {', '.join([marks] * len(rows))}", values


def _chunks(rows: Sequence[Row], size: int) -> Iterable[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


CHAINS = Upsert(
    table="chain_executions",
    key="chain_id",
    replaced={
        "chain_name": "text",
        "status": "text",
        "total_tasks": "integer",
        "completed_tasks": "integer",
        "failed_tasks": "integer",
        "revoked_tasks": "integer",
        "created_at": "timestamp",
        "started_at": "timestamp",
        "finished_at": "timestamp",
        "final_result": "json",
        "error_message": "text",
        "seq": "bigint",
    },
    kept={"batch_id": "text", "channel": "text"},
    initial={"initiated_by": "text"},
)
TASKS = Upsert(
    table="task_logs",
    key="task_id",
    replaced={
        "task_name": "text",
        "status": "text",
        "error": "text",
        "started_at": "timestamp",
        "finished_at": "timestamp",
        "retries": "integer",
        "attempt": "integer",
        "result": "json",
        "worker": "text",
        "traceback": "text",
        "metadata": "json",
        "progress": "integer",
        "seq": "bigint",
    },
    kept={"chain_execution_id": "integer", "stage": "integer", "member": "integer"},
    lookups={"chain_execution_id": "(SELECT id FROM chain_executions WHERE chain_id = {})"},
)


def chain_row(seq: int, state: ChainState) -> Row:
    """The row of ``CHAINS`` for a chain's state."""
    return _known(
        chain_id=state.chain_id,
        chain_name=clean_text(state.chain_name, 255),
        status=state.status,
        total_tasks=state.total_tasks,
        completed_tasks=state.completed_tasks,
        failed_tasks=state.failed_tasks,
        revoked_tasks=state.revoked_tasks,
        created_at=_moment(state.created_at),
        started_at=_moment(state.started_at),
        finished_at=_moment(state.finished_at),
        final_result=state.final_result,
        error_message=_text(state.error_message),
        seq=seq,
        batch_id=state.batch_id,
        channel=_text(state.channel),
        initiated_by=_text(state.initiated_by, 100),
    )


def task_row(seq: int, state: TaskState, chain_id: str) -> Row:
    """The row of ``TASKS`` for a task's state; ``chain_id`` is empty for a task of no chain."""
    return _known(
        task_id=state.task_id,
        task_name=clean_text(state.task_name, 255),
        status=state.status,
        error=_text(state.error, ERROR_LIMIT),
        started_at=_moment(state.started_at),
        finished_at=_moment(state.finished_at),
        retries=state.retries,
        attempt=state.attempt,
        result=state.result,
        worker=_text(state.worker),
        traceback=_text(state.traceback),
        metadata=state.metadata,
        progress=state.progress,
        seq=seq,
        chain_execution_id=chain_id or None,
        stage=state.stage,
        member=state.member,
    )


def _known(**values: Any) -> Row:
    return {name: value for name, value in values.items() if value is not None}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else from_epoch(seconds).isoformat(" ")


def _text(text: str | None, limit: int | None = None) -> str | None:
    return None if text is None else clean_text(text, limit)
