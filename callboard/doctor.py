"""What ``callboard doctor`` looks at: connections, versions, and settings that make loss possible."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import redis
from fsspec.core import url_to_fs

from .doctor_stores import look_at_database, look_at_redis
from .doctor_workers import look_at_broker, look_at_clock, look_at_workers
from .errors import CallboardError
from .findings import Finding, client_of, sleeps
from .settings import without_password

if TYPE_CHECKING:
    from actors.application import Application

#: Events in the stream above which the recorder counts as behind.
BACKLOG = 10_000


def examine(application: Application) -> Iterator[Finding]:
    """Look at everything that this process works with. Starts nothing; of what it writes, nothing stays."""
    for subject, look in (
        ("redis", look_at_redis),
        ("recorder", _recorder),
        ("workers", look_at_workers),
        ("clock", look_at_clock),
        ("broker", look_at_broker),
        ("database", look_at_database),
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


def _recorder(application: Application) -> Iterator[Finding]:
    if sleeps(application):
        return
    client, keys = client_of(application), application.board.keys
    waiting: Any = client.xlen(keys.events)
    level = "ok" if waiting < BACKLOG else "warning"
    if waiting and not client.xinfo_groups(keys.events):
        level = "warning"
    oldest = application.board.oldest_event()
    lag = "" if oldest is None else f", the oldest {time.time() - oldest:.1f} s old"
    yield Finding(level, "recorder", f"{waiting} events on their way to the ledger{lag}")


def _storage(application: Application) -> Iterator[Finding]:
    folder = application.storage.folder("callboard-doctor")
    url = folder.write_json("probe.json", {"written": time.time()})
    application.storage.read_json(url)
    with suppress(Exception):
        files, path = url_to_fs(folder.url)
        files.rm(path, recursive=True)
    yield Finding("ok", "storage", without_password(application.storage.url))


def _workflows(application: Application) -> Iterator[Finding]:
    from actors.availability import shortages  # noqa: PLC0415 (the command line imports actors late)

    short = shortages(application)
    ready = sorted(application.workflows.keys() - short.keys())
    if ready or not short:
        yield Finding("ok", "workflows", ", ".join(ready) or "none declared; set WORKFLOWS")
    for name in sorted(short):
        yield Finding("warning", "workflows", str(short[name]))


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
