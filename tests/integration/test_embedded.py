"""The embedded Redis: one for all who ask, and none left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import redis
from waiting import wait_until

from callboard import embedded
from callboard.embedded_binary import usable
from callboard.errors import EmbeddedError

Run = Callable[..., "subprocess.Popen[str]"]

# Prints the server's process id, then does what it is told on stdin.
HOLDER = """
import os, sys, time
from pathlib import Path
import redis
from callboard import embedded
url = embedded.ensure(Path(sys.argv[1]), keep="keep" in sys.argv)
with redis.Redis.from_url(url) as client:
    print(client.info("server")["process_id"], flush=True)
if "fork" in sys.argv and os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
sys.stdin.readline()
"""


pytestmark = pytest.mark.usefixtures("redis_binary")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    embedded.stop(tmp_path / "home")


@pytest.fixture
def run(home: Path) -> Iterator[Run]:
    """Start a process that holds the server of ``home``."""
    processes = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def number(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_addresses_need_no_server_and_no_folder(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 60)
    assert embedded.url(home) == f"unix://{embedded.socket_path(home)}"
    assert len(str(embedded.socket_path(home))) < 100
    assert embedded.socket_path(home) != embedded.socket_path(tmp_path)
    assert not home.exists()


def test_it_starts_configured_as_the_board_needs_it(home: Path) -> None:
    url = embedded.ensure(home)
    with redis.Redis.from_url(url) as client:
        settings = client.config_get("*")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["save"] == ""
    assert settings["port"] == "0"
    assert settings["maxmemory-policy"] == "noeviction"
    assert embedded.ensure(home) == url


def test_a_home_with_a_long_path_and_odd_characters(tmp_path: Path) -> None:
    home = tmp_path / ("n" * 120) / 'ein "Übungs"-Ordner'
    with redis.Redis.from_url(embedded.ensure(home)) as client:
        assert client.ping()
    embedded.release(home)
    assert (home / "redis" / "redis.log").exists()


def test_processes_that_start_at_once_share_one_server(run: Run) -> None:
    assert len({number(process) for process in [run() for _ in range(4)]}) == 1


def test_it_lives_until_the_last_holder_is_gone(run: Run) -> None:
    first, second = run(), run()
    server = number(first)
    assert number(second) == server
    first.kill()
    first.wait()
    third = run()
    assert number(third) == server
    second.kill()
    third.kill()
    wait_until(lambda: is_gone(server), message="the server outlived those who held it")


def test_data_survive_a_restart(home: Path) -> None:
    with redis.Redis.from_url(embedded.ensure(home)) as client:
        client.set("played", "twice")
    embedded.release(home)
    with redis.Redis.from_url(embedded.ensure(home), decode_responses=True) as client:
        assert client.get("played") == "twice"


def test_a_killed_server_is_started_again(home: Path) -> None:
    with redis.Redis.from_url(embedded.ensure(home)) as client:
        server = client.info("server")["process_id"]
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: is_gone(server))
    with redis.Redis.from_url(embedded.ensure(home)) as client:
        assert client.ping()


def test_it_is_gone_when_its_holder_has_exited(run: Run) -> None:
    holder = run()
    server = number(holder)
    holder.communicate("exit\n", timeout=60)
    assert holder.returncode == 0
    assert is_gone(server)


def test_it_dies_with_its_holder(run: Run) -> None:
    holder = run()
    server = number(holder)
    holder.kill()
    wait_until(lambda: is_gone(server), message="the server outlived its killed holder")


def test_a_forked_child_does_not_keep_it_alive(run: Run) -> None:
    holder = run("fork")
    server, child = number(holder), number(holder)
    try:
        holder.kill()
        wait_until(lambda: is_gone(server), message="a forked child kept the server alive")
        assert not is_gone(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_an_interrupt_in_the_terminal_does_not_reach_it(run: Run) -> None:
    holder = run()
    server = psutil.Process(number(holder))
    assert os.getsid(server.pid) == os.getsid(server.ppid()) != os.getsid(holder.pid)


def test_it_dies_with_its_supervisor(run: Run) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death")
    server = number(run())
    os.kill(psutil.Process(server).ppid(), signal.SIGKILL)
    wait_until(lambda: is_gone(server), message="the server outlived its supervisor")


def test_kept_it_stays_until_it_is_stopped(run: Run, home: Path) -> None:
    holder = run("keep")
    server = number(holder)
    holder.communicate("exit\n", timeout=60)
    joined = run()
    assert number(joined) == server
    joined.communicate("exit\n", timeout=60)
    assert not is_gone(server)
    embedded.stop(home)
    assert is_gone(server)


def test_without_any_server_the_error_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("callboard.embedded_binary.find_spec", lambda name: None)
    with pytest.raises(
        EmbeddedError, match=r"install redis-server or .*callboard\[embedded\].*set REDIS_URL"
    ):
        embedded.ensure(home)


def test_a_server_that_is_too_old_is_passed_over(tmp_path: Path, redis_binary: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.0.16 sha=00000000:0\n")
    old.chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"6\.0 is older than 6\.2"):
        usable([old], None)
    assert usable([old, redis_binary], None) == redis_binary


def test_a_binary_without_permission_to_execute_is_copied(
    tmp_path: Path, redis_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "valkey-server"
    shutil.copyfile(redis_binary, packaged)

    def refuse(*_: object) -> None:
        raise PermissionError

    copies = tmp_path / "copies"
    copies.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        patch.setattr(
            Path, "chmod", lambda path, mode: refuse() if path == packaged else os.chmod(path, mode)
        )
        assert usable([packaged], copies) == copies / "valkey-server"


def test_a_server_that_does_not_start_says_where_its_log_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Redis server v=7.0.1 && exit\nexit 7\n')
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match=r"ended with exit status 7.*redis\.log"):
        embedded.ensure(home)


def test_a_socket_folder_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "sockets"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setattr(embedded, "socket_path", lambda home: place / "redis.sock")
    with pytest.raises(EmbeddedError, match="mode 0700"):
        embedded.ensure(tmp_path / "home")
