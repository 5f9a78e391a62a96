"""Rough use: odd terminals, odd arguments, servers that are none. One line, never a traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from shell import Shell

BAD = b"\xff".decode("utf-8", "surrogateescape")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """The port of a server that takes every connection and never says a word."""
    taken: list[socket.socket] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        try:
            while True:
                taken.append(listening.accept()[0])
        except OSError:
            return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)
    for connection in taken:
        connection.close()


def refused_in_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stderr.startswith("callboard: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


# -- arguments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", BAD], ids=["empty", "long", "two lines", "no text"])
def test_what_is_no_idempotency_key(shell: Shell, key: str) -> None:
    done = shell.call("start", "play", "--idempotency-key", key)
    refused_in_one_line(done, "--idempotency-key: read", "expected 1 to 255 printable characters")
    assert len(done.stderr) < 200


def test_ids_and_reasons_that_are_no_text(shell: Shell) -> None:
    refused_in_one_line(shell.call("revoke", BAD), "expected text in UTF-8")
    refused_in_one_line(shell.call("revoke", "nobody", "--reason", BAD), "no chain 'nobody'")


def test_a_batch_of_nothing_is_told_how_to_name_files(shell: Shell) -> None:
    refused_in_one_line(shell.call("batch", "october"), "--glob", "--manifest", "--prefix")


def test_seeds_that_run_backwards(shell: Shell) -> None:
    refused_in_one_line(shell.call("chaos", "--seeds", "5..1"), "--seeds: read '5..1'", "FIRST..LAST")


# -- terminals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--help",), ("workflows",)])
def test_a_terminal_that_knows_ascii_only(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell.call(*arguments, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\\u" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk(shell: Shell) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "callboard", "workflows", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=shell.folder,
            env=shell.environment,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


# -- servers -----------------------------------------------------------------------------------------------


def test_a_port_in_use(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused_in_one_line(shell.call("up", PORT=port), f"127.0.0.1:{port}", "set PORT", "--no-web")


def test_a_wrong_password_of_the_database(shell: Shell, postgres_server_url: str) -> None:
    parts = urlsplit(postgres_server_url)
    url = f"postgresql://nobody:s3cret@{parts.netloc.rpartition('@')[2]}/nowhere"
    done = shell.call("start", "play", DATABASE_URL=url)
    refused_in_one_line(done, "is DATABASE_URL right?", "callboard doctor")
    assert "s3cret" not in done.stderr


def test_a_tls_redis_that_speaks_no_tls_is_not_waited_for(silent_port: int) -> None:
    code = (
        "import redis; from db.redis_client import connect\n"
        f"try: connect('rediss://127.0.0.1:{silent_port}', timeout=0.2).ping()\n"
        "except redis.RedisError as error: print('gave up')\n"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "gave up\n", done.stderr
    assert time.monotonic() - begun < 30
