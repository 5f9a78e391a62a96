"""Runs one process of a crew so that nothing of it outlives the crew: ``python -m callboard.guard COMMAND``.

The crew starts the guard as the leader of a session, which the command and all that it forks stay in.

1. The guard's stdin is a pipe whose other end the crew alone holds. When that closes, however the crew has
   ended, the guard asks the command to end, and after ``STOP_SECONDS`` kills what is left of the session.
2. A SIGTERM to the guard is passed on to the command.
3. When the command ends, the guard ends with the same exit status; what the command has left behind is the
   crew's to kill, who knows the session by the guard's process id.
4. Should the guard itself be killed, the kernel asks the command to end (on Linux).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

#: Seconds between SIGTERM and SIGKILL.
STOP_SECONDS = 5.0


def main(command: list[str]) -> int:
    """Run the command; returns the exit status to end with."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_begin_as_guarded(signals),  # noqa: PLW1509 (this process has one thread)
    )
    for number in signals:
        signal.signal(number, lambda *_: process.terminate())
    crew_is_gone = threading.Event()
    threading.Thread(target=_end_with_the_crew, args=(process, crew_is_gone), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = process.wait()
    if crew_is_gone.is_set():
        os.killpg(0, signal.SIGKILL)
    return 128 - status if status < 0 else status


def _begin_as_guarded(signals: tuple[signal.Signals, ...]) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def begin() -> None:
        if prctl is not None:
            prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    return begin


def _end_with_the_crew(process: subprocess.Popen[bytes], crew_is_gone: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    crew_is_gone.set()
    process.terminate()
    time.sleep(STOP_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
