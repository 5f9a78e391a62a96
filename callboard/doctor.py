"""What ``callboard doctor`` looks at: connections, versions, and settings that make loss possible."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import redis
from fsspec.core import url_to_fs

from db.connection import execute, session
from db.migrate import pending
from db.redis_client import connect

from .errors import CallboardError
from .follow import workers_alive
from .settings import without_password

if TYPE_CHECKING:
    from actors.application import Application

#: The oldest Redis whose Lua and commands the board needs.
OLDEST_REDIS = (6, 2)
#: Seconds that this machine's clock may be away from Redis'.
CLOCK_TOLERANCE = 2.0
#: Events in the stream above which the recorder counts as behind.
BACKLOG = 10_000


@dataclass(frozen=True)
class Finding:
    """One line of the report: ``level`` is ``ok``, ``warning`` or ``error``."""

    level: str
    subject: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The finding as a JSON object."""
        return asdict(self)


def examine(application: Application) -> Iterator[Finding]:
    """Look at everything that this process works with. Starts nothing; of what it writes, nothing stays."""
    for subject, look in (
        ("redis", _redis),
        ("recorder", _recorder),
        ("broker", _broker),
        ("database", _database),
        ("storage", _storage),
        ("workflows", _workflows),
        ("hangul", _hangul),
        ("llm", _llm),
    ):
        yield from _guarded(subject, look, application)


def _guarded(
    subject: str, look: Callable[[Application], Iterator[Finding]], application: Application
) -> Iterator[Finding]:
    try:
        yield from look(application)
    except (redis.RedisError, CallboardError, OSError, ImportError) as error:
        yield Finding("error", subject, str(error))
    except Exception as error:
        # A storage driver or a broker client raises errors of its own.
        yield Finding("error", subject, f"{type(error).__name__}: {error}")


def _client(application: Application) -> redis.Redis:
    return connect(application.board.clients.url)


def _sleeps(application: Application) -> bool:
    """Whether the embedded Redis is the one to use and does not run now."""
    if not application.settings.embedded:
        return False
    try:
        _client(application).ping()
    except redis.ConnectionError:
        return True
    return False


def _redis(application: Application) -> Iterator[Finding]:
    url = application.board.clients.url
    if _sleeps(application):
        yield Finding(
            "warning", "redis", "embedded and not running: `callboard up` starts it, or set REDIS_URL"
        )
        return
    client = _client(application)
    facts: Any = client.info()
    version = tuple(int(part) for part in str(facts["redis_version"]).split(".")[:2])
    kind = "embedded" if application.settings.embedded else without_password(url)
    yield Finding(
        "ok" if version >= OLDEST_REDIS else "error",
        "redis",
        f"{facts.get('server_name', 'redis')} {facts.get('valkey_version', facts['redis_version'])} ({kind})"
        + ("" if version >= OLDEST_REDIS else ": 6.2 or later is needed"),
    )
    policy = facts.get("maxmemory_policy")
    if policy != "noeviction":
        yield Finding(
            "error", "redis", f"maxmemory-policy is {policy}: a full server drops chains; set noeviction"
        )
    else:
        yield Finding("ok", "redis", "maxmemory-policy is noeviction")
    if not facts.get("aof_enabled"):
        yield Finding(
            "warning", "redis", "no append-only file: a restart loses what happened since the last snapshot"
        )
    else:
        yield Finding("ok", "redis", "append-only file is on")
    seconds, microseconds = client.time()
    drift = time.time() - (seconds + microseconds / 1e6)
    if abs(drift) > CLOCK_TOLERANCE:
        yield Finding("warning", "redis", f"this machine's clock is {drift:+.1f} s away from Redis'")


def _recorder(application: Application) -> Iterator[Finding]:
    if _sleeps(application):
        return
    client, keys = _client(application), application.board.keys
    waiting: Any = client.xlen(keys.events)
    level = "ok" if waiting < BACKLOG else "warning"
    if waiting and not client.xinfo_groups(keys.events):
        level = "warning"
    first: Any = client.xrange(keys.events, count=1)
    lag = f", the oldest {time.time() - int(first[0][0].split(b'-')[0]) / 1000:.1f} s old" if first else ""
    yield Finding(level, "recorder", f"{waiting} events on their way to the ledger{lag}")
    alive = workers_alive(application.board)
    if alive:
        count = "1 worker process is" if alive == 1 else f"{alive} worker processes are"
        yield Finding("ok", "workers", f"{count} at work")
    else:
        yield Finding("warning", "workers", "no worker is at work: chains wait until `callboard up` runs")


def _broker(application: Application) -> Iterator[Finding]:
    names = [type(middleware).__name__ for middleware in application.broker.middleware]
    if names[0] != "Tracking":
        yield Finding("error", "broker", f"Tracking must be the first middleware, it stands after {names[0]}")
    url = application.settings.broker_url or application.board.clients.url
    if url.startswith("amqp"):
        connection = application.broker.connection
        connection.process_data_events()
    yield Finding("ok", "broker", f"{type(application.broker).__name__} on {without_password(url)}")


def _database(application: Application) -> Iterator[Finding]:
    database = application.database
    with session(database):
        execute(database, "SELECT 1").fetchall()
    kind = type(database).__name__.removeprefix("Pooled")
    yield Finding("ok", "database", f"{kind} at {without_password(application.settings.database_url)}")
    waiting = pending(database)
    if waiting:
        yield Finding(
            "error", "database", f"{len(waiting)} pending: {', '.join(waiting)}; run `callboard migrate`"
        )
    else:
        yield Finding("ok", "database", "no migrations pending")


def _storage(application: Application) -> Iterator[Finding]:
    folder = application.storage.folder("callboard-doctor")
    url = folder.write_json("probe.json", {"written": time.time()})
    application.storage.read_json(url)
    with suppress(Exception):
        files, path = url_to_fs(folder.url)
        files.rm(path, recursive=True)
    yield Finding("ok", "storage", without_password(application.storage.url))


def _workflows(application: Application) -> Iterator[Finding]:
    yield Finding(
        "ok", "workflows", ", ".join(sorted(application.workflows)) or "none declared; set WORKFLOWS"
    )


def _hangul(application: Application) -> Iterator[Finding]:
    program = shutil.which("tesseract")
    if program is None:
        yield Finding("warning", "hangul", "tesseract is not installed: Korean text on pictures stays unread")
        return
    listed = subprocess.run(
        [program, "--list-langs"], capture_output=True, text=True, check=False, timeout=20
    )
    if "kor" in listed.stdout.split():
        yield Finding("ok", "hangul", "tesseract reads Korean")
    else:
        yield Finding("warning", "hangul", "tesseract lacks the language kor (Debian: tesseract-ocr-kor)")


def _llm(application: Application) -> Iterator[Finding]:
    settings = application.settings
    if settings.llm_base_url is None:
        yield Finding("ok", "llm", "no LLM_BASE_URL: the built-in rules read the fields")
    else:
        yield Finding("ok", "llm", f"{settings.llm_model} at {settings.llm_base_url}")
