"""What ``callboard doctor`` says of Redis and of the ledger's database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import peewee

from db.connection import execute, session
from db.migrate import pending

from .findings import Finding, client_of, sleeps
from .settings import without_password

if TYPE_CHECKING:
    from actors.application import Application

#: The oldest Redis whose Lua and commands the board needs.
OLDEST_REDIS = (6, 2)
#: The oldest servers that the tests have run on.
OLDEST_POSTGRESQL = 15
OLDEST_SQLITE = (3, 35)
#: Seconds that this machine's clock may be away from a server's, and those that break what has a due time.
CLOCK_TOLERANCE, CLOCK_LIMIT = 1.0, 10.0
#: The part of its memory with which Redis counts as nearly full.
NEARLY_FULL = 0.9


def look_at_redis(application: Application) -> Iterator[Finding]:
    """Version, role, what makes loss possible, and the clock."""
    url = application.board.clients.url
    if sleeps(application):
        yield Finding(
            "warning", "redis", "embedded and not running: `callboard up` starts it, or set REDIS_URL"
        )
        return
    client = client_of(application)
    facts: Any = client.info()
    version = tuple(int(part) for part in str(facts["redis_version"]).split(".")[:2])
    kind = "embedded" if application.settings.embedded else without_password(url)
    yield Finding(
        "ok" if version >= OLDEST_REDIS else "error",
        "redis",
        f"{facts.get('server_name', 'redis')} {facts.get('valkey_version', facts['redis_version'])} ({kind})"
        + ("" if version >= OLDEST_REDIS else ": 6.2 or later is needed"),
    )
    if facts.get("role") != "master":
        yield Finding(
            "error", "redis", "this is a replica, which takes no writes; let REDIS_URL name its master"
        )
    yield from _memory(facts)
    yield from _durability(facts)

    def moment() -> float:
        seconds, microseconds = client.time()
        return float(seconds + microseconds / 1e6)

    yield from _clock("redis", "Redis'", moment)


def _memory(facts: Mapping[str, Any]) -> Iterator[Finding]:
    policy = facts.get("maxmemory_policy")
    if policy != "noeviction":
        yield Finding(
            "error", "redis", f"maxmemory-policy is {policy}: a full server drops chains; set noeviction"
        )
    else:
        yield Finding("ok", "redis", "maxmemory-policy is noeviction")
    limit, used = int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    if limit and used >= limit:
        yield Finding(
            "error", "redis", f"{_size(used)} used of a maxmemory of {_size(limit)}: nothing can start"
        )
    elif limit and used >= NEARLY_FULL * limit:
        yield Finding("warning", "redis", f"{_size(used)} used of a maxmemory of {_size(limit)}: nearly full")


def _durability(facts: Mapping[str, Any]) -> Iterator[Finding]:
    if not facts.get("aof_enabled"):
        yield Finding(
            "warning", "redis", "no append-only file: a restart loses what happened since the last snapshot"
        )
    elif facts.get("aof_last_write_status", "ok") != "ok":
        yield Finding("error", "redis", "the append-only file cannot be written: is its disk full?")
    else:
        yield Finding("ok", "redis", "append-only file is on")


def look_at_database(application: Application) -> Iterator[Finding]:
    """Connection, version, migrations and the clock."""
    database = application.database
    with session(database):
        execute(database, "SELECT 1").fetchall()
    kind = type(database).__name__.removeprefix("Pooled")
    version, oldest = _version(database)
    place = without_password(application.settings.database_url)
    yield Finding("ok", "database", f"{kind} {'.'.join(map(str, version))} at {place}")
    if version < oldest:
        needed = ".".join(map(str, oldest))
        yield Finding("warning", "database", f"{kind} before {needed} has not been tested; update it")
    waiting = pending(database)
    if waiting:
        yield Finding(
            "error", "database", f"{len(waiting)} pending: {', '.join(waiting)}; run `callboard migrate`"
        )
    else:
        yield Finding("ok", "database", "no migrations pending")
    if isinstance(database, peewee.PostgresqlDatabase):

        def moment() -> float:
            with session(database):
                ((seconds,),) = execute(database, "SELECT EXTRACT(EPOCH FROM clock_timestamp())").fetchall()
            return float(seconds)

        yield from _clock("database", "PostgreSQL's", moment)


def _version(database: peewee.Database) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The server's version, and the oldest one that was tested."""
    if not isinstance(database, peewee.PostgresqlDatabase):
        return sqlite3.sqlite_version_info, OLDEST_SQLITE
    with session(database):
        ((number,),) = execute(database, "SHOW server_version_num").fetchall()
    return divmod(int(number), 10_000), (OLDEST_POSTGRESQL,)


def _clock(subject: str, whose: str, moment: Callable[[], float]) -> Iterator[Finding]:
    before = time.time()
    there = moment()
    after = time.time()
    # Anywhere between the two it may have been read: only what lies outside is certain.
    drift = before - there if there < before else min(0.0, after - there)
    if abs(drift) > CLOCK_TOLERANCE:
        level = "error" if abs(drift) > CLOCK_LIMIT else "warning"
        yield Finding(
            level, subject, f"this machine's clock is {drift:+.1f} s away from {whose}; set both by NTP"
        )


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"
