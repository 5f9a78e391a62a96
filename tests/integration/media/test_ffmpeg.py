"""ffmpeg as a subprocess: it tells how far it is, says why it failed, and never outlives its stage."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from waiting import wait_until

from actors import ffmpeg, scratch
from actors.scratch import scratch_folder
from middleware.run import RunLost

# Paced by the clock, so that it runs for ten minutes on any machine.
ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10", "-t", "600", "-f", "null", "-"]


def crew() -> list[psutil.Process]:
    """The guard that runs under this process, and its ffmpeg, as far as they are there yet."""
    return crew_under(os.getpid())


def crew_under(pid: int) -> list[psutil.Process]:
    for one in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if any(word.endswith("guard.py") for word in one.cmdline()):
                return [one, *one.children()]
    return []


def crew_of(pid: int) -> list[psutil.Process]:
    """Both, once they are there."""

    def look() -> list[psutil.Process]:
        found = crew_under(pid)
        return found if len(found) == 2 else []

    return wait_until(look)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[float] = []
    target = tmp_path / "made.mp4"
    finished = ffmpeg.run(
        ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=3", f"file:{target}"], report=told.append
    )
    assert finished.status == 0
    assert told == sorted(told)
    assert (told[-1], finished.seconds) == (finished.seconds, pytest.approx(3, abs=0.21))
    assert "Duration: 00:00:03.00" in ffmpeg.run(["-i", str(target)], check=False).log


def test_a_failure_says_why() -> None:
    with pytest.raises(ffmpeg.FfmpegError, match=r"exit status .*input file file:/nowhere\.mp4") as caught:
        ffmpeg.run(["-i", "file:/nowhere.mp4", "-f", "null", "-"])
    assert caught.value.status > 0
    finished = ffmpeg.run(["-i", "file:/nowhere.mp4"], check=False)
    assert finished.status == caught.value.status


def test_one_that_is_killed_says_so() -> None:
    killed = []

    def kill(_: float) -> None:
        if not killed:  # it may tell once more before it ends
            killed.append(crew()[1])
            killed[0].kill()

    with pytest.raises(ffmpeg.FfmpegError, match="ended by signal 9"):
        ffmpeg.run(ENDLESS, report=kill)


def test_what_the_report_raises_ends_it() -> None:
    seen: list[psutil.Process] = []

    def refuse(_: float) -> None:
        seen.extend(crew())
        raise RunLost("revoked")

    with pytest.raises(RunLost):
        ffmpeg.run(ENDLESS, report=refuse)
    assert len(seen) == 2
    wait_until(lambda: gone(seen))


def test_an_interrupted_stage_ends_it() -> None:
    caught: list[BaseException] = []

    def stage() -> None:
        try:
            ffmpeg.run(ENDLESS)
        except RunLost as error:
            caught.append(error)

    thread = threading.Thread(target=stage)
    thread.start()
    seen = crew_of(os.getpid())
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(RunLost))
    thread.join(30)
    assert not thread.is_alive()
    assert len(caught) == 1
    wait_until(lambda: gone(seen))


def test_it_does_not_outlive_a_worker_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "from actors import ffmpeg\n"
        "from actors.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    print(folder, flush=True)\n"
        f"    ffmpeg.run({ENDLESS!r})\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as worker:
        assert worker.stdout is not None
        folder = Path(worker.stdout.readline().strip())
        seen = crew_of(worker.pid)
        worker.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(seen))
    # What it left is nobody's: the next one on this machine clears it away.
    assert (folder / ".lock").exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "SCRATCH_AGE", 0)
    with scratch_folder() as own, scratch_folder() as other:
        assert not folder.exists()
        assert own.is_dir()
        assert other.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_guard_that_is_killed_takes_it_along() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's end")
    seen: list[psutil.Process] = []

    def kill_the_guard(_: float) -> None:
        if seen:
            return  # ffmpeg may tell once more before it ends
        guard, encoder = crew()
        seen.append(encoder)
        guard.kill()

    with pytest.raises(ffmpeg.FfmpegError):
        ffmpeg.run(ENDLESS, report=kill_the_guard)
    wait_until(lambda: gone(seen))
