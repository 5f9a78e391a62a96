"""ffmpeg as a subprocess: its percentage, its errors, and its end when the stage or the worker ends.

    finished = ffmpeg.run(["-i", f"file:{path}", "-c:v", "libx264", "out.mp4"], report=show_seconds)

It runs under ``callboard.guard``, which ends it when this process has died, however that was. A stage that is
interrupted (revoked, out of time, shut down) ends it at once. Output belongs into a
:func:`actors.scratch.scratch_folder`, from where the stage stores what is whole.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import callboard
from callboard.errors import StageError

#: Seconds that a look at ffmpeg's output waits. An exception that is raised in this thread comes in between.
LOOK_INTERVAL = 0.1
#: Seconds between two lines of progress.
REPORT_INTERVAL = 0.25
#: Lines of ffmpeg's log that are kept, and those of them that an error shows.
LOG_LINES, SHOWN_LINES = 4000, 4

_COMMON = ["-hide_banner", "-nostdin", "-nostats", "-y", "-progress", "pipe:1"]
# It needs nothing but the standard library, and starts in a third of the time without ours.
_GUARD = [sys.executable, "-I", "-S", str(Path(callboard.__file__).with_name("guard.py"))]
# How the guard tells that ffmpeg was ended by a signal; other numbers are ffmpeg's own.
_BY_SIGNAL = {
    128 + number: -number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT)
}
# What it says of an option of ours.
_OF_OPTIONS = b"ffmpeg stats and"
_DONE = re.compile(rb"out_time_us=(\d+)")


class FfmpegError(StageError):
    """ffmpeg has failed. Attributes: ``status`` and ``log``, as :class:`Finished` has them."""

    def __init__(self, status: int, log: str) -> None:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        super().__init__(f"ffmpeg {how}: " + (" | ".join(lines[-SHOWN_LINES:]) or "it said nothing"))
        self.status = status
        self.log = log


@dataclass(frozen=True)
class Finished:
    """An ffmpeg that has ended.

    Attributes:
        status: its exit status; minus a signal's number where that has ended it.
        seconds: of output that it has made.
        log: what it wrote on stderr; of very much, the end.
    """

    status: int
    seconds: float
    log: str


@lru_cache
def find_binary() -> str:
    """The path of ffmpeg: that of IMAGEIO_FFMPEG_EXE, else the one that imageio-ffmpeg brings, else on PATH.

    Raises:
        StageError: there is none.
    """
    import imageio_ffmpeg  # noqa: PLC0415 (an extra)

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise StageError(f"there is no ffmpeg for this machine: {error}") from error


def run(
    arguments: Sequence[str], *, report: Callable[[float], None] | None = None, check: bool = True
) -> Finished:
    """Run ffmpeg to its end.

    Parameters:
        arguments: as on the command line; files of others' naming with ``file:`` in front.
        report: called with the seconds of output made so far, a few times a second; what it raises ends
            ffmpeg.
        check: whether a failure raises.

    Raises:
        FfmpegError: it has failed.
    """
    command = [
        *_GUARD,
        *(find_binary(), *_COMMON, "-stats_period", str(REPORT_INTERVAL)),
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        # The guard notices the end of this process by that of this pipe.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        seconds, log = _listen(process, report)
        status = process.wait(timeout=10)
    finally:
        _bury(process)
    finished = Finished(_BY_SIGNAL.get(status, status), seconds, log)
    if check and finished.status:
        raise FfmpegError(finished.status, finished.log)
    return finished


def _listen(process: subprocess.Popen[bytes], report: Callable[[float], None] | None) -> tuple[float, str]:
    """Read progress and log until both have ended; returns the seconds made, and the log."""
    assert process.stdout is not None
    assert process.stderr is not None
    lines: deque[bytes] = deque(maxlen=LOG_LINES)
    done, told = 0, -1
    rest = {"progress": b"", "log": b""}
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, "progress")
        selector.register(process.stderr, selectors.EVENT_READ, "log")
        while selector.get_map():
            for key, _ in selector.select(LOOK_INTERVAL):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                *whole, rest[key.data] = (rest[key.data] + data).split(b"\n")
                if key.data == "log":
                    lines.extend(line for line in whole if not line.startswith(_OF_OPTIONS))
                    continue
                for line in whole:
                    if found := _DONE.match(line):
                        done = max(done, int(found[1]))
            if report is not None and done != told:
                told = done
                report(done / 1e6)
    lines.append(rest["log"])
    return done / 1e6, b"\n".join(lines).decode("utf-8", "replace")


def _bury(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of ffmpeg and its guard; returns when they have let go of their files."""
    try:
        _end(process)
    except BaseException:
        # An exception that another thread raises in this one may come just now.
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            # ffmpeg is no child of ours: its end shows when nobody holds the other ends any more.
            while os.read(pipe.fileno(), 65536):
                pass
            pipe.close()
    if process.stdin is not None:
        process.stdin.close()
