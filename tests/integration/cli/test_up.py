"""``callboard up``: everything in one terminal, and nothing left of it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from shell import DECLARED, Shell, command_of
from waiting import wait_until

from callboard import embedded


def called(shell: Shell, words: str) -> list[psutil.Process]:
    """The processes of this home whose command ends so, parents before their children."""
    found = [process for process in shell.processes() if command_of(process).endswith(words)]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def of_the_worker(shell: Shell) -> list[psutil.Process]:
    """Guard, master, fork."""
    return called(shell, "--worker-shutdown-timeout 4000")


def test_it_brings_everything_and_takes_it_away(embedded_shell: Shell) -> None:
    shell = embedded_shell
    up = shell.up("--threads", "2")
    for place in (embedded.url(shell.home), "(embedded)", f"sqlite:///{shell.home}", f"file://{shell.home}"):
        assert shell.stderr().count(place) == 1
    assert f"workflows | {', '.join(DECLARED)}\n" in shell.stderr()
    assert "worker    | 1 process with 2 threads\n" in shell.stderr()
    assert f"web       | http://127.0.0.1:{shell.environment['PORT']}" in shell.stderr()

    followed = shell.call("start", "play", "--follow")
    assert followed.returncode == 0, followed.stderr

    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert shell.is_empty()
    assert not embedded.socket_path(shell.home).exists()


def test_a_second_interrupt_ends_it_at_once(embedded_shell: Shell) -> None:
    up = embedded_shell.up("--no-web")
    up.send_signal(signal.SIGINT)
    wait_until(lambda: "Ctrl-C again" in embedded_shell.stderr())
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    wait_until(embedded_shell.is_empty)


def test_killed_in_the_middle_of_a_stage_it_leaves_nothing(embedded_shell: Shell, tmp_path: Path) -> None:
    shell = embedded_shell
    up = shell.up("--no-web", "--processes", "2")
    chain_id = shell.start(gate=tmp_path / "never")
    wait_until(lambda: shell.entries(chain_id)[0]["process_status"] == "RUNNING")
    up.kill()
    wait_until(shell.is_empty, 60, "processes outlive the killed `callboard up`")


def test_killed_with_its_guards_it_leaves_nothing(shell: Shell) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death")
    shell.up("--no-web")
    named = [process for process in shell.processes() if "-m callboard" in command_of(process)]
    assert len(named) == 3
    for process in named:
        process.kill()
    wait_until(shell.is_empty)


def test_what_dies_is_started_again(shell: Shell) -> None:
    up = shell.up("--no-web")
    for rank in ("fork", "master", "guard"):
        before = of_the_worker(shell)
        assert len(before) == 3
        victim = before[["guard", "master", "fork"].index(rank)]
        victim.kill()

        def is_back(before: list[psutil.Process] = before) -> bool:
            now = of_the_worker(shell)
            return len(now) == 3 and not set(now) & set(before)

        wait_until(is_back, 60, f"the worker is not back after its {rank} was killed")
        followed = shell.call("start", "play", "--follow")
        assert followed.returncode == 0, followed.stderr
    assert shell.stderr().count("worker    | ended with exit status") == 3
    up.terminate()
    assert up.wait(60) == 0
    assert shell.is_empty()


def test_what_cannot_start_ends_it_with_the_reason(shell: Shell) -> None:
    with (shell.folder / "plays.py").open("a") as plays:
        plays.write("\nimport sys\nassert 'dramatiq' not in sys.argv[0], 'no stage to play on'\n")
    up = shell.spawn("up")
    assert up.wait(60) == 2
    assert "no stage to play on" in shell.stderr()
    assert shell.stderr().splitlines()[-1].startswith("callboard: the worker cannot start (exit status ")
    assert shell.is_empty()


def test_the_console_script_finds_modules_where_it_runs(shell: Shell) -> None:
    script = Path(sys.executable).with_name("callboard")
    started = subprocess.run(
        [script, "start", "play"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert os.sep not in started.stdout
    assert started.stderr == ""
