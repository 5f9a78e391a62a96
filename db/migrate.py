"""Brings a database's tables up to date with the numbered scripts of ``db/migrations``."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee
from playhouse.migrations import Runner

from callboard.errors import LedgerUnavailable

from .bounded import BoundedConnection
from .connection import execute, session

DIRECTORY = Path(__file__).parent / "migrations"
LOCK_SECONDS = 60.0
_LOCK_KEY = 0x63616C6C  # "call"


def migrate(database: peewee.Database) -> list[str]:
    """Apply what is pending; two processes may do so at once.

    Returns:
        The names of the applied migrations, in order.

    Raises:
        LedgerUnavailable: the database did not answer, or another process has been migrating for a minute.
    """
    with session(database), _alone(database):
        return list(_runner(database).up())


def pending(database: peewee.Database) -> list[str]:
    """The names of the migrations that have not been applied, in order.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    with session(database):
        steps = _runner(database).status()
        return [step.name for step in steps if step.path and not step.applied]


def _runner(database: peewee.Database) -> Runner:
    return Runner(database, str(DIRECTORY))


@contextmanager
def _alone(database: peewee.Database) -> Iterator[None]:
    """Hold the lock of migrations. It is not a transaction: a migration may need to choose its own."""
    if isinstance(database, peewee.SqliteDatabase):
        with Path(f"{database.database}.migrate").open("w") as file:
            _wait_for(lambda: _lock_file(file.fileno()))
            yield
        return
    connection = database.connection()
    if isinstance(connection, BoundedConnection):
        connection.statement_seconds = None
    try:
        _wait_for(lambda: _scalar(database, "SELECT pg_try_advisory_lock(%s)"))
        try:
            yield
        finally:
            _scalar(database, "SELECT pg_advisory_unlock(%s)")
    finally:
        if isinstance(connection, BoundedConnection):
            del connection.statement_seconds


def _wait_for(try_lock: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while not try_lock():
        if time.monotonic() > deadline:
            raise LedgerUnavailable(f"another process has been migrating for {LOCK_SECONDS:g} s")
        time.sleep(0.05)


def _lock_file(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _scalar(database: peewee.Database, statement: str) -> bool:
    return bool(execute(database, statement, (_LOCK_KEY,)).fetchone()[0])
