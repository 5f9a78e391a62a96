"""Fixtures: a Redis, a database, a RabbitMQ for each test, on real servers that start when first asked for.

A URL in the environment (REDIS_URL, DATABASE_URL, BROKER_URL) names the server to use; nothing that was
there before is touched. What a machine lacks is skipped, and listed at the end by name; with CI=true a skip
for want of Redis or PostgreSQL is a failure.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import fsspec
import psycopg2  # type: ignore[import-untyped]
import pytest
import redis
from servers import (
    PostgresServer,
    RabbitServer,
    RedisServer,
    S3Server,
    Server,
    Unavailable,
    execute,
    fresh_database,
)

from callboard.embedded_binary import find_server
from callboard.errors import EmbeddedError
from callboard.settings import Settings

# What the tests were given is read once. No test sees it, nor the settings and the home of whoever runs it.
GIVEN = {name: os.environ.pop(name, "").strip() for name in ("REDIS_URL", "DATABASE_URL", "BROKER_URL")}
_names: set[str] = set()


class _Noting(dict[str, str]):
    """An empty environment that notes what it is asked for."""

    def get(self, name: str, default: Any = None) -> Any:
        _names.add(name)
        return default


Settings.from_environment(_Noting())
for _name in _names:
    os.environ.pop(_name, None)
# A proxy leads elsewhere, not to this machine.
for _name in ("NO_PROXY", "no_proxy"):
    os.environ[_name] = "127.0.0.1,localhost"
_home = tempfile.TemporaryDirectory(prefix="callboard-test-home-")
os.environ["CALLBOARD_HOME"] = _home.name
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
NEEDED_IN_CI = ("Redis", "PostgreSQL")

S = TypeVar("S", bound=Server)


def missing(error: Unavailable) -> NoReturn:
    """Skip the test, or fail it where it may not be skipped."""
    if IN_CI and error.server in NEEDED_IN_CI:
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


class Shared:
    """One server of each kind for the session, started when first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._answers: dict[str, Server | Unavailable] = {}

    def get(self, kind: type[S]) -> S:
        if kind.name not in self._answers:
            try:
                self._answers[kind.name] = self._stack.enter_context(kind())
            except Unavailable as error:
                self._answers[kind.name] = error
        answer = self._answers[kind.name]
        if isinstance(answer, Unavailable):
            missing(answer)
        assert isinstance(answer, kind)
        if not answer.running:  # a test has ended it
            answer.start()
        return answer


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Shared]:
    with ExitStack() as stack:
        yield Shared(stack)


def private(kind: type[S]) -> Iterator[S]:
    try:
        server = kind()
    except Unavailable as error:
        missing(error)
    with server:
        yield server


# -- Redis -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_databases(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Answers with the URL of an empty logical database: the given server's, else the next one of ours."""
    if GIVEN["REDIS_URL"]:
        return lambda: given_redis(GIVEN["REDIS_URL"])
    server = request.getfixturevalue("shared_servers").get(RedisServer)
    count = 0

    def next_database() -> str:
        nonlocal count
        count = count % 63 + 1
        return f"{server.url}/{count}"

    return next_database


_ours: dict[str, str] = {}


def given_redis(url: str) -> str:
    """The last of its logical databases that we found empty, and ours from then on."""
    if url in _ours:
        return _ours[url]
    try:
        for number in range(15, -1, -1):
            address = urlsplit(url)
            if address.scheme == "unix":
                candidate = f"{url.partition('?')[0]}?db={number}"
            else:
                candidate = address._replace(path=f"/{number}").geturl()
            try:
                with redis.Redis.from_url(candidate) as client:
                    if client.dbsize() == 0:
                        return _ours.setdefault(url, candidate)
            except redis.ResponseError:  # so many databases it has not
                continue
    except redis.RedisError as error:
        missing(Unavailable("Redis", f"REDIS_URL is given, but {error}"))
    missing(Unavailable("Redis", "REDIS_URL is given, but none of its databases 0 to 15 is empty"))


@pytest.fixture
def redis_url(redis_databases: Callable[[], str]) -> Iterator[str]:
    """A logical database with nothing in it."""
    url = redis_databases()
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    yield url
    with redis.Redis.from_url(url) as client:
        client.flushdb()


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    """A server that this machine can run."""
    try:
        return find_server()
    except EmbeddedError as error:
        missing(Unavailable("Redis", str(error)))


@pytest.fixture
def private_redis() -> Iterator[RedisServer]:
    """A server of the test's own, to stop, kill and pause."""
    yield from private(RedisServer)


# -- S3 ----------------------------------------------------------------------------------------------------


@pytest.fixture
def s3_environment(shared_servers: Shared) -> dict[str, str]:
    """What the driver reads from the environment."""
    return {
        "AWS_ENDPOINT_URL": shared_servers.get(S3Server).url,
        "AWS_ACCESS_KEY_ID": "key-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture
def bucket(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket, which this process may use."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    file_system = fsspec.filesystem("s3")
    url = f"s3://bucket-{uuid4().hex[:12]}"
    file_system.mkdir(url)
    yield url
    file_system.rm(url, recursive=True)


# -- databases ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server_url(request: pytest.FixtureRequest) -> str:
    """Where databases can be made: the given server, else ours."""
    given = GIVEN["DATABASE_URL"].replace("postgres://", "postgresql://", 1)
    if not given.startswith("postgresql://"):
        return str(request.getfixturevalue("shared_servers").get(PostgresServer).url)
    try:
        execute(given, "SELECT 1")
    except psycopg2.OperationalError as error:
        missing(Unavailable("PostgreSQL", f"DATABASE_URL is given, but {error}"))
    return given


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """An empty database, dropped afterwards."""
    with fresh_database(postgres_server_url) as url:
        yield url


@pytest.fixture
def private_postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, to stop, kill and pause."""
    yield from private(PostgresServer)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.sqlite3"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


# -- RabbitMQ ----------------------------------------------------------------------------------------------


@pytest.fixture
def rabbit_url(request: pytest.FixtureRequest) -> str:
    """A virtual host of the test's own; of a given server the one given: use fresh names for queues."""
    if GIVEN["BROKER_URL"].startswith("amqp"):
        return GIVEN["BROKER_URL"]
    server: RabbitServer = request.getfixturevalue("shared_servers").get(RabbitServer)
    return server.virtual_host()


# -- the closing list --------------------------------------------------------------------------------------


def pytest_unconfigure() -> None:
    _home.cleanup()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("skipped")
    if not reports:
        return
    terminalreporter.section("not run here")
    reasons: dict[str, list[str]] = {}
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    for reason, names in reasons.items():
        terminalreporter.write_line(reason)
        for name in names:
            terminalreporter.write_line(f"    {name}")
