"""PostgreSQL connections whose every wait has an end.

TCP keepalives find a dead machine, and a server's own statement_timeout a slow statement; neither finds a
server that is stopped or hung but whose kernel still answers. So the connections are psycopg2's asynchronous
ones, and the wait for each answer is ours, with a bound.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from typing import Any

import psycopg2  # type: ignore[import-untyped]
from psycopg2 import extensions
from psycopg2.extras import register_default_json, register_default_jsonb  # type: ignore[import-untyped]

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 30.0
_DEFAULTS = {
    "client_encoding": "utf8",
    "application_name": "callboard",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "connect_timeout": str(int(CONNECT_SECONDS)),
}


def parse_url(url: str) -> dict[str, str]:
    """libpq's connection parameters of ``url``, with ours where it says nothing.

    Raises:
        psycopg2.Error: libpq cannot read it.
    """
    return {**_DEFAULTS, **extensions.parse_dsn(url)}


class BoundedConnection(extensions.connection):  # type: ignore[misc]
    """A connection in autocommit. ``statement_seconds``: how long one statement may take; None: for ever."""

    statement_seconds: float | None = STATEMENT_SECONDS

    def is_usable(self) -> bool:
        """Whether it is open, in no transaction, and has not been hung up on by the server."""
        if self.closed or self.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            return False
        # An idle connection has nothing to read: what arrived is the server's goodbye.
        return not _poller(self, select.POLLIN).poll(0)

    def wait(self, seconds: float | None) -> None:
        """Wait until the server has answered.

        Raises:
            psycopg2.OperationalError: it did not within ``seconds``; the connection is closed.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            while (state := self.poll()) != extensions.POLL_OK:
                rest = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
                wanted = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
                if not _poller(self, wanted).poll(rest):
                    self.close()
                    raise psycopg2.OperationalError(f"no answer from PostgreSQL within {seconds:g} s")
        except psycopg2.Error:
            raise
        except BaseException:
            # Also when a time limit of Dramatiq's strikes this thread: an answer still on its way would
            # be taken for that of the next statement.
            self.close()
            raise


class _BoundedCursor(extensions.cursor):  # type: ignore[misc]
    def execute(self, query: str, parameters: Any = None) -> None:
        super().execute(query, parameters)
        self.connection.wait(self.connection.statement_seconds)


def connect_bounded(parameters: Mapping[str, str]) -> BoundedConnection:
    """A new connection; JSON columns arrive as text.

    Raises:
        psycopg2.OperationalError: no connection within ``connect_timeout``.
    """
    connection: BoundedConnection = psycopg2.connect(
        async_=1, connection_factory=BoundedConnection, cursor_factory=_BoundedCursor, **parameters
    )
    connection.wait(float(parameters["connect_timeout"]) or None)
    register_default_json(connection, loads=_as_text)
    register_default_jsonb(connection, loads=_as_text)
    return connection


def _poller(connection: BoundedConnection, events: int) -> select.poll:
    poller = select.poll()
    poller.register(connection.fileno(), events)
    return poller


def _as_text(text: str) -> str:
    return text
