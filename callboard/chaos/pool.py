"""The processes under test: a ``dramatiq`` tree and a clock, started again when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from .servers import spawn

#: Milliseconds that workers have for what they run when they are asked to end.
SHUTDOWN_TIMEOUT = 4000
#: Seconds between two looks at the processes.
LOOK = 0.05
#: Children of a worker process that run no stages.
HELPERS = ("resource_tracker", "middleware.lifeline")


class Pool:
    """Workers and clock. ``with Pool(…) as pool:`` starts them, and ends them with all that they forked.

    Attributes:
        deaths: process id of each worker process that has ended, with the moment (epoch seconds).
    """

    def __init__(
        self,
        environment: dict[str, str],
        log: Path,
        *,
        processes: int,
        threads: int,
        module: str = "actors",
        with_clock: bool = True,
    ) -> None:
        self.environment = environment
        self.log = log
        size = ["-p", str(processes), "-t", str(threads)]
        timeout = ["--worker-shutdown-timeout", str(SHUTDOWN_TIMEOUT)]
        self._commands = {"worker": [sys.executable, "-m", "dramatiq", module, *size, *timeout]}
        if with_clock:
            self._commands["clock"] = [sys.executable, "-m", "actors.clock"]
        self._processes = processes
        self._trees: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths: dict[int, float] = {}
        self._seen: dict[int, psutil.Process] = {}
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pool", daemon=True)

    def __enter__(self) -> Pool:
        for name in self._commands:
            self._start(name)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def workers(self) -> list[int]:
        """Process ids of the worker processes that run now, in the order of their start."""
        with self._lock:
            found = self._children()
        return [process.pid for process in found]

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Return when every worker process runs and the tree has said that it is ready.

        Raises:
            TimeoutError: they did not come up; the text has the log's end.
        """
        deadline = time.monotonic() + seconds
        while self.log.read_bytes().count(b"Worker process is ready") < self._processes:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"the workers did not start:\n{self.log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(LOOK)

    def signal(self, pid: int, number: signal.Signals) -> bool:
        """Send a signal to a worker process; returns whether it was still there."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def kill_tree(self) -> None:
        """SIGKILL for master, workers and their helpers at once, as when the machine is lost."""
        with self._lock:
            self._kill("worker")

    def restart_tree(self) -> None:
        """SIGTERM for the master, which asks its workers to end in order; another tree is started then."""
        with self._lock:
            self._trees["worker"].terminate()

    def kill_clock(self) -> None:
        """SIGKILL for the clock."""
        with self._lock:
            self._kill("clock")

    def end(self) -> None:
        """Ask all to end in order, and end what does not."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._thread.join()
        for process in self._trees.values():
            process.terminate()
        for process in self._trees.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(SHUTDOWN_TIMEOUT / 1000 + 11)
        for name in list(self._trees):
            self._kill(name)
        self._note_deaths()

    def _watch(self) -> None:
        while not self._ending.wait(LOOK):
            with self._lock:
                self._note_deaths()
                for name in self._commands:
                    if self._trees[name].poll() is not None:
                        self._kill(name)  # what the master has left behind
                        self._start(name)

    def _start(self, name: str) -> None:
        self._trees[name] = spawn(self._commands[name], self.log, env=self.environment)

    def _kill(self, name: str) -> None:
        process = self._trees[name]
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _children(self) -> list[psutil.Process]:
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._trees["worker"].pid).children():
                with suppress(psutil.NoSuchProcess):
                    words = " ".join(child.cmdline())
                    if words and not any(helper in words for helper in HELPERS):
                        found.append(child)
        return sorted(found, key=lambda child: child.pid)

    def _note_deaths(self) -> None:
        for child in self._children():
            self._seen.setdefault(child.pid, child)
        for pid, process in list(self._seen.items()):
            if _has_ended(process):
                self.deaths.setdefault(pid, time.time())
                del self._seen[pid]


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # between the two questions
        return True
