"""Servers, proxies and environment of an installation that exists to be broken."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import redis

from db.connection import execute, session
from db.migrate import migrate

from .postgres import PostgresServer
from .proxy import Proxy
from .servers import RedisServer, Unavailable

if TYPE_CHECKING:
    # Importing it configures the process from its environment, which is ours to set first.
    from actors.application import Application

#: The module that declares the sample workflows.
SAMPLES = "callboard.chaos.workflow"
#: Variables that name what belongs to the user; none of them is used.
THEIRS = ("REDIS_URL", "DATABASE_URL", "BROKER_URL", "STORAGE_URL", "CALLBOARD_HOME", "CALLBOARD_NAMESPACE")
#: Seconds of a worker's proof of life: shorter than usual, so that a run need not wait long.
LEASE = 6


@dataclass
class Installation:
    """Private servers, and what reaches them.

    Attributes:
        folder: of everything; deleted at the end.
        redis, database: servers; without PostgreSQL the ledger is in SQLite.
        redis_proxy, database_proxy: the way of the workers.
        application: of this process, on direct connections.
        environment: of the workers.
        missing: why there is no PostgreSQL, or empty.
    """

    folder: Path
    redis: RedisServer
    database: PostgresServer | None
    redis_proxy: Proxy
    database_proxy: Proxy | None
    application: Application
    environment: dict[str, str]
    missing: str
    lease: float = LEASE

    def clear(self) -> None:
        """Empty both stores, for the next seed."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()
        with session(self.application.database) as database:
            for table in ("task_logs", "chain_executions", "batch_executions"):
                execute(database, f"DELETE FROM {table}")


@contextmanager
def install(*, broker_url: str | None = None) -> Iterator[Installation]:
    """Start everything but the workers; it sets this process's environment and declares the workflows.

    Parameters:
        broker_url: a RabbitMQ virtual host that may be filled; None for the private Redis.

    Raises:
        Unavailable: there is no Redis server to start.
        SettingsError: a module in ``WORKFLOWS`` cannot be imported.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callboard-chaos-")))
        server = stack.enter_context(RedisServer())
        redis_proxy = stack.enter_context(Proxy(server.port))
        database, database_proxy, missing = None, None, ""
        try:
            database = stack.enter_context(PostgresServer())
            database_proxy = stack.enter_context(Proxy(database.port))
        except Unavailable as error:
            missing = str(error)
        own = {
            "REDIS_URL": f"{server.url}/0",
            "DATABASE_URL": database.url if database else f"sqlite:///{folder}/ledger.sqlite3",
            "STORAGE_URL": f"file://{folder}/storage",
            "CALLBOARD_HOME": str(folder / "home"),
            "LEASE_TTL": os.environ.get("LEASE_TTL", str(LEASE)),
            "MAX_WORKER_DEATHS": "100",
            "WORKFLOWS": ",".join(filter(None, [os.environ.get("WORKFLOWS", ""), SAMPLES])),
        }
        if broker_url:
            own["BROKER_URL"] = broker_url
        for name in THEIRS:
            os.environ.pop(name, None)
        os.environ.update(own)
        application = _declare()
        migrate(application.database)
        theirs = {"REDIS_URL": _through(own["REDIS_URL"], redis_proxy)}
        if database_proxy is not None:
            theirs["DATABASE_URL"] = _through(own["DATABASE_URL"], database_proxy)
        environment = {
            **os.environ,
            **theirs,
            "PYTHONPATH": os.pathsep.join(["", *filter(None, sys.path)]),
            "PYTHONUNBUFFERED": "1",
        }
        yield Installation(
            folder,
            server,
            database,
            redis_proxy,
            database_proxy,
            application,
            environment,
            missing,
            float(own["LEASE_TTL"]),
        )


def _declare() -> Application:
    import_module("actors")
    current: Application = import_module("actors.application").current()
    return current


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}").geturl()
