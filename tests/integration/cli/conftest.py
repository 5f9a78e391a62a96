"""Fixtures: the command line in a folder of the test's own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers import fresh_database
from shell import Shell


@pytest.fixture
def build_shell(tmp_path: Path) -> Iterator[Callable[..., Shell]]:
    """Builds shells in the test's folder."""
    built: list[Shell] = []

    def build(**environment: str) -> Shell:
        shell = Shell(tmp_path, **environment)
        built.append(shell)
        return shell

    yield build
    for shell in built:
        shell.clear()


@pytest.fixture
def embedded_shell(redis_binary: Path, build_shell: Callable[..., Shell]) -> Shell:
    """With nothing configured: the embedded Redis and a SQLite file."""
    return build_shell()


@pytest.fixture
def shell(redis_url: str, build_shell: Callable[..., Shell]) -> Shell:
    """With a Redis of one's own and a SQLite file that has its tables."""
    shell = build_shell(REDIS_URL=redis_url)
    assert shell.call("migrate").returncode == 0
    return shell


@pytest.fixture(scope="module")
def house(
    redis_databases: Callable[[], str], postgres_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """``callboard up`` for the tests of a module, on Redis and PostgreSQL."""
    with ExitStack() as stack:
        database_url = stack.enter_context(fresh_database(postgres_server_url))
        shell = Shell(
            tmp_path_factory.mktemp("house"), REDIS_URL=redis_databases(), DATABASE_URL=database_url
        )
        stack.callback(shell.clear)
        up = shell.up("--no-web")
        yield shell
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0, shell.stderr()
