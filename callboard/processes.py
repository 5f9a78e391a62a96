"""The processes of ``callboard up``: those of the Procfile, in one terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING

from .errors import CallboardError

if TYPE_CHECKING:
    from actors.application import Application

#: Dramatiq's variable for the number of messages that a worker process takes ahead.
PREFETCH = "dramatiq_queue_prefetch"
#: Seconds that processes have to end after SIGTERM.
STOP_SECONDS = 5.0
#: Seconds after a start within which an exit counts as "cannot start"; later ones are restarted.
START_SECONDS = 3.0


@dataclass
class _Member:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    readers: list[threading.Thread] = field(default_factory=list)


class Crew:
    """Worker and clock as child processes, restarted when they die, ended with this one.

    Use it as a context manager: entering starts them, leaving ends them within a few seconds.
    """

    def __init__(self, application: Application, *, processes: int, threads: int, quiet: bool) -> None:
        self.quiet = quiet
        self._environment = {
            **os.environ,
            "CALLBOARD_HOME": str(application.settings.home),
            # A stage takes seconds: more in hand than can run would only keep it from other workers.
            PREFETCH: os.environ.get(PREFETCH, str(threads)),
            "PYTHONUNBUFFERED": "1",
        }
        python = sys.executable
        worker = [python, "-m", "dramatiq", "actors", "-p", str(processes), "-t", str(threads)]
        self._members = [
            _Member("worker", [*worker, "--worker-shutdown-timeout", str(int(STOP_SECONDS * 800))]),
            _Member("clock", [python, "-m", "actors.clock"]),
        ]
        self._stop_asked = threading.Event()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Crew:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._on_signal)
        for member in self._members:
            self._start(member)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def run_until_stopped(self) -> None:
        """Watch over the processes until Ctrl-C or SIGTERM.

        Raises:
            CallboardError: one of them cannot start.
        """
        self._say("callboard", "up; Ctrl-C ends it")
        while not self._stop_asked.wait(0.3):
            self.check()

    def check(self) -> None:
        """Restart what has died.

        Raises:
            CallboardError: a process cannot start, or a stop was asked for.
        """
        if self._stop_asked.is_set():
            raise CallboardError("stopped")
        for member in self._members:
            assert member.process is not None
            code = member.process.poll()
            if code is None:
                continue
            if time.monotonic() - member.started < START_SECONDS:
                raise CallboardError(
                    f"the {member.name} cannot start (exit status {code}); its messages are above"
                )
            self._say(member.name, f"ended with exit status {code}; starting it again")
            self._start(member)

    def _start(self, member: _Member) -> None:
        member.started = time.monotonic()
        member.process = subprocess.Popen(
            member.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches this process alone, which then ends the others in order.
            start_new_session=True,
        )
        assert member.process.stdout is not None
        reader = threading.Thread(target=self._relay, args=(member.name, member.process.stdout), daemon=True)
        reader.start()
        member.readers.append(reader)

    def _relay(self, name: str, output: IO[bytes]) -> None:
        for line in output:
            text = line.decode("utf-8", "replace").rstrip()
            if not self.quiet or any(level in text for level in ("WARNING", "ERROR", "CRITICAL", "Error")):
                self._say(name, text)

    def _say(self, name: str, text: str) -> None:
        print(f"{name:9} | {text}", file=sys.stderr, flush=True)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked.set()

    def _stop(self) -> None:
        running = [m.process for m in self._members if m.process is not None and m.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # The session of the process holds its own children, too.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for member in self._members:
            for reader in member.readers:
                reader.join(1)
