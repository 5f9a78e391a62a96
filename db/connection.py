"""The ledger's database: opened from a URL, used in sessions, healed by itself.

``open_database`` makes the object and does no I/O. Every access to the database stands in a
``with session(database):``, which takes a connection for this thread, gives it back at the end, and turns
"the database does not answer" into :class:`~callboard.errors.LedgerUnavailable`. Sessions nest.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import peewee
import psycopg2  # type: ignore[import-untyped]

from callboard.errors import LedgerUnavailable, SettingsError

from .bounded import BoundedConnection, connect_bounded, parse_url

SQLITE_PREFIX = "sqlite:///"
SQLITE_BUSY_SECONDS = 10
_PARAMETERS = 900
T = TypeVar("T")

_NOT_MIGRATED = ("42P01", "42703")  # PostgreSQL: undefined table, undefined column
_NO_PRIVILEGE = "42501"


def open_database(url: str) -> peewee.Database:
    """The database of ``DATABASE_URL``; connections are made on first use.

    Args:
        url: ``postgresql://user:password@host:5432/name`` (with libpq's parameters, if any, after ``?``) or
            ``sqlite:////absolute/path`` (taken literally; the parent folder is made when missing).

    Raises:
        SettingsError: the URL cannot be used.
    """
    if url.startswith(SQLITE_PREFIX):
        path = url.removeprefix(SQLITE_PREFIX)
        if not path or path == ":memory:":
            raise SettingsError("DATABASE_URL", url, "a file, as each process and thread opens its own")
        return PooledSqlite(path)
    try:
        return PooledPostgresql(url)
    except psycopg2.Error as error:
        reason = str(error).strip()
        raise SettingsError("DATABASE_URL", url.partition("@")[2], f"a PostgreSQL URL ({reason})") from None


@contextmanager
def session(database: peewee.Database) -> Iterator[peewee.Database]:
    """A connection for this thread while the block runs.

    Raises:
        LedgerUnavailable: the database did not answer, or has not been migrated. The connection is dropped,
            so that the next session makes a new one.
    """
    opened = False
    try:
        opened = database.connect(reuse_if_open=True)
        yield database
    except Exception as error:
        reason = _unavailability(error)
        if reason is None:
            raise
        if not opened and not database.is_closed() and not database.in_transaction():
            database.close()
        raise LedgerUnavailable(reason) from error
    finally:
        if opened and not database.is_closed():
            database.close()


def execute(database: peewee.Database, statement: str, parameters: Sequence[Any] = ()) -> Any:
    """The driver's cursor after one statement, inside a session."""
    return database.execute_sql(statement, parameters)


def read_tuples(database: peewee.Database, query: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, as tuples."""
    with session(database):
        return list(query.tuples().execute(database))


def in_parts(values: Sequence[T]) -> Iterator[list[T]]:
    """Values by the hundred, few enough for one statement's parameters on either database."""
    return (list(values[start : start + _PARAMETERS]) for start in range(0, len(values), _PARAMETERS))


def close_idle(database: peewee.Database) -> None:
    """Close the connections that no thread uses, as at the end of a process."""
    if isinstance(database, (PooledPostgresql, PooledSqlite)):
        database.idle.clear()


def driver_error(error: BaseException) -> BaseException:
    """The driver's own exception behind a Peewee one (or ``error`` itself)."""
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error


def _unavailability(error: Exception) -> str | None:
    original = driver_error(error)
    lines = str(original).strip().splitlines() or [type(original).__name__]
    code = getattr(original, "pgcode", None) or ""
    if code in _NOT_MIGRATED or "no such table" in lines[0] or "no such column" in lines[0]:
        return f"the database lacks a table or column; run `callboard migrate` ({lines[0]})"
    if code == _NO_PRIVILEGE:
        return f"the database refuses this user ({lines[0]})"
    if code.startswith("54"):  # a value beyond the server's limits: the value's fault, not the server's
        return None
    unavailable = (
        isinstance(error, (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError))
        or type(error) is peewee.DatabaseError
        or isinstance(error, (sqlite3.OperationalError, psycopg2.OperationalError, psycopg2.InterfaceError))
    )
    return f"the database does not answer ({lines[0]})" if unavailable else None


class IdleConnections:
    """Connections that no thread uses now, the last used first.

    Nothing else refers to a connection in use but the thread that has it: a thread that ends without closing
    lets its connection go, where a pool with a register of its own would run dry.
    """

    def __init__(self, usable: Callable[[Any], bool]) -> None:
        self._usable = usable
        self._idle: deque[tuple[int, Any]] = deque()
        self._inherited: list[Any] = []

    def take(self) -> Any | None:
        """A usable connection, or None."""
        while True:
            try:
                process, connection = self._idle.pop()
            except IndexError:
                return None
            if process != os.getpid():
                # Closing what a parent process opened would end it for the parent too.
                self._inherited.append(connection)
            elif self._usable(connection):
                return connection
            else:
                _close_quietly(connection)

    def give(self, connection: Any) -> None:
        """Keep ``connection`` for later, or close it when it is not usable."""
        if self._usable(connection):
            self._idle.append((os.getpid(), connection))
        else:
            _close_quietly(connection)

    def clear(self) -> None:
        """Close them all."""
        while (connection := self.take()) is not None:
            _close_quietly(connection)


def _close_quietly(connection: Any) -> None:
    with suppress(Exception):
        connection.close()


class PooledPostgresql(peewee.PostgresqlDatabase):
    """PostgreSQL through connections that wait only so long (see :mod:`db.bounded`)."""

    def __init__(self, url: str) -> None:
        self._parameters = parse_url(url)
        super().__init__(self._parameters["dbname"])
        # Peewee's lock guards state that is per thread anyway, and would be held while connecting: with
        # the server hung, each thread would wait for the time-outs of all others first.
        self._lock = nullcontext()
        self.idle = IdleConnections(BoundedConnection.is_usable)

    def _connect(self) -> BoundedConnection:
        return self.idle.take() or connect_bounded(self._parameters)

    def _close(self, connection: BoundedConnection) -> None:
        self.idle.give(connection)


class PooledSqlite(peewee.SqliteDatabase):
    """A SQLite file in WAL mode. Transactions take the write lock at once, so that none fails half-way."""

    def __init__(self, path: str) -> None:
        pragmas = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": "normal"}
        super().__init__(
            path,
            pragmas=pragmas,
            lock_type="IMMEDIATE",
            timeout=SQLITE_BUSY_SECONDS,
            check_same_thread=False,
        )
        self._lock = nullcontext()  # as above
        self.idle = IdleConnections(_sqlite_usable)

    def _connect(self) -> sqlite3.Connection:
        connection = self.idle.take()
        if connection is None:
            try:
                Path(self.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise sqlite3.OperationalError(str(error)) from error
            connection = self._connect_patiently()
        return connection

    def _connect_patiently(self) -> sqlite3.Connection:
        # The first connection to a new file switches it to WAL; SQLite's busy time-out does not cover that.
        deadline = time.monotonic() + SQLITE_BUSY_SECONDS
        while True:
            try:
                return super()._connect()  # type: ignore[misc, no-any-return]
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _close(self, connection: sqlite3.Connection) -> None:
        self.idle.give(connection)


def _sqlite_usable(connection: sqlite3.Connection) -> bool:
    try:
        return not connection.in_transaction
    except sqlite3.ProgrammingError:
        return False
