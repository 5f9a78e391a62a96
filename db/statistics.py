"""Sums over the ledger, for the metrics: how many chains and tasks of each kind, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import peewee

from .connection import execute, session
from .values import utc_now

#: How far back durations are looked at.
WINDOW = timedelta(hours=1)
#: Ended rows at most that durations are taken from.
SAMPLE = 20_000


@dataclass(frozen=True)
class Durations:
    """Of what has ended within the window: how many, and seconds in sum and at most."""

    count: int
    total: float
    longest: float


@dataclass(frozen=True)
class Statistics:
    """Counts by (name, status), durations by name; of chains by workflow, of tasks by actor."""

    chains: dict[tuple[str, str], int]
    tasks: dict[tuple[str, str], int]
    chain_durations: dict[str, Durations]
    task_durations: dict[str, Durations]


def read_statistics(database: peewee.Database) -> Statistics:
    """Count everything. On a large ledger that takes seconds: ask seldom.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    with session(database):
        return Statistics(
            chains=_counts(database, "chain_name", "chain_executions"),
            tasks=_counts(database, "task_name", "task_logs"),
            chain_durations=_durations(database, "chain_name", "chain_executions", "created_at"),
            task_durations=_durations(database, "task_name", "task_logs", "started_at"),
        )


def _counts(database: peewee.Database, name: str, table: str) -> dict[tuple[str, str], int]:
    statement = f"SELECT {name}, status, COUNT(*) FROM {table} GROUP BY {name}, status"
    return {(row[0], row[1]): row[2] for row in execute(database, statement).fetchall()}


def _durations(database: peewee.Database, name: str, table: str, begun: str) -> dict[str, Durations]:
    """Of the newest rows; by ``begun``, as that has an index and the end has none."""
    seconds = "EXTRACT(EPOCH FROM finished_at - started_at)"
    since: Any = utc_now() - WINDOW
    if isinstance(database, peewee.SqliteDatabase):
        seconds = "(julianday(finished_at) - julianday(started_at)) * 86400"
        since = str(since)
    statement = (
        f"SELECT name, COUNT(*), SUM(seconds), MAX(seconds) FROM (SELECT {name} AS name, {seconds} AS seconds"
        f" FROM {table} WHERE {begun} >= {database.param} AND finished_at IS NOT NULL"
        f" AND started_at IS NOT NULL ORDER BY {begun} DESC LIMIT {SAMPLE}) AS newest GROUP BY name"
    )
    rows = execute(database, statement, (since,)).fetchall()
    return {row[0]: Durations(row[1], float(row[2]), float(row[3])) for row in rows}
