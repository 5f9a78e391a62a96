"""The processes of ``callboard up``: those of the Procfile, in one terminal.

Each runs under a guard (``callboard/guard.py``), so that nothing of it is left however this process ends.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import IO

from .errors import CallboardError
from .settings import Settings

#: Seconds that processes have to end after SIGTERM.
STOP_SECONDS = 5.0
#: A process that ends sooner than this after its start, again and again, is started after longer pauses.
SOON = 10.0
LONGEST_PAUSE = 30.0
#: Dramatiq's variable for the number of messages that a worker process takes ahead.
PREFETCH = "dramatiq_queue_prefetch"
#: Signals that ask for the end; a second one ends at once.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: How a line of a log begins, with Dramatiq and with Python's logging.
_RECORD = re.compile(r"\[?\d{4}-\d\d-\d\d.*?\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_LOUD = ("WARNING", "ERROR", "CRITICAL")


@dataclass
class Member:
    """A kind of process to run beside the others.

    Attributes:
        name: as the Procfile has it.
        command: what to run.
        ready_words: what its output says once it is at work.
        about: one line for people: what it does, and where it listens if it does.
        environment: variables of its own.
    """

    name: str
    command: list[str]
    ready_words: str
    about: str
    environment: dict[str, str] = field(default_factory=dict)


def worker(processes: int, threads: int) -> Member:
    """``dramatiq actors``, with the recorder riding along."""
    size = ["-p", str(processes), "-t", str(threads)]
    timeout = ["--worker-shutdown-timeout", str(int(STOP_SECONDS * 800))]
    return Member(
        "worker",
        [sys.executable, "-m", "dramatiq", "actors", *size, *timeout],
        ready_words="Worker process is ready",
        about=f"{_count(processes, 'process', 'processes')} with {_count(threads, 'thread', 'threads')}",
        # A stage takes seconds: more in hand than can run would only keep it from other workers.
        environment={PREFETCH: os.environ.get(PREFETCH, str(threads))},
    )


def clock() -> Member:
    """``python -m actors.clock``."""
    return Member("clock", [sys.executable, "-m", "actors.clock"], "The clock runs", "one process")


def web(settings: Settings) -> Member:
    """The API, on the settings' host and port."""
    where = f"[{settings.host}]" if ":" in settings.host else settings.host
    return Member(
        "web",
        [sys.executable, "-m", "gunicorn", "-c", "python:api.serve", "api.main:app"],
        ready_words="Application startup complete",
        about=f"http://{where}:{settings.port}, documents at /docs",
    )


def check_port(settings: Settings) -> None:
    """Whether the API can listen where the settings say; gunicorn would tell in twenty lines.

    Raises:
        CallboardError: it cannot.
    """
    from api.auth import is_loopback  # noqa: PLC0415 (only where there is an API)

    # Without keys api/serve.py keeps it on this machine.
    reached = settings.api_keys or settings.allow_open or is_loopback(settings.host)
    host = settings.host if reached else "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), settings.port), family=family).close()
    except OSError as error:
        reason = error.strerror or str(error)
        place = f"the API cannot listen on {host}:{settings.port} ({reason})"
        raise CallboardError(f"{place}: set PORT to a free one, or use --no-web") from None


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


class Stopped(Exception):
    """A signal has asked for the end. Attribute: ``number``, the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Crew:
    """Processes that run together, started again when they die, ended with this one.

    Use it as a context manager in the main thread: entering starts them, leaving ends them within seconds.

    Parameters:
        members: what to run.
        settings: handed on to each of them.
        quiet: relay only warnings and errors of theirs.
    """

    def __init__(self, members: Sequence[Member], settings: Settings, *, quiet: bool) -> None:
        self._stations = [_Station(member, settings, quiet) for member in members]
        self._signals: list[int] = []
        self._stop_asked = threading.Event()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Crew:
        for number in SIGNALS:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup
            self._previous[number] = signal.signal(number, self._on_signal)
        for station in self._stations:
            station.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def wait_until_ready(self) -> None:
        """Return when all are at work.

        Raises:
            CallboardError, Stopped: as :meth:`check`.
        """
        while not all(station.ready.is_set() for station in self._stations):
            self.check()
            self._stop_asked.wait(0.02)
        self.check()

    def watch(self) -> None:
        """Watch over them, for ever.

        Raises:
            CallboardError, Stopped: as :meth:`check`.
        """
        while True:
            self.check()
            self._stop_asked.wait(0.3)

    def check(self) -> None:
        """Start again what has died.

        Raises:
            CallboardError: one of them cannot start.
            Stopped: a signal has asked for the end.
        """
        if self._signals:
            raise Stopped(self._signals[0])
        for station in self._stations:
            station.check()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._stop_asked.set()

    def _stop(self) -> None:
        signals = len(self._signals)
        for station in self._stations:
            station.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(station.is_running() for station in self._stations):
            if time.monotonic() > deadline or len(self._signals) > max(1, signals):
                break
            time.sleep(0.02)
        for station in self._stations:
            station.bury()


class _Station:
    """The place of one member: its process now, and what becomes of it."""

    def __init__(self, member: Member, settings: Settings, quiet: bool) -> None:
        self.member = member
        self.quiet = quiet
        self.ready = threading.Event()
        self._environment = {
            **os.environ,
            "CALLBOARD_HOME": str(settings.home),
            "PYTHONUNBUFFERED": "1",
            **member.environment,
        }
        self._last_words: deque[str] = deque(maxlen=60)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._started = 0.0
        self._start_again = 0.0
        self._pause = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "callboard.guard", *self.member.command],
            env=self._environment,
            # The guard notices our end by that of this pipe.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches this process alone, which then ends the others in order.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._relay, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Start it again if it has died, or raise when it never was at work."""
        if self._process is None:
            if time.monotonic() >= self._start_again:
                self.start()
            return
        status = self._process.poll()
        if status is None:
            return
        self.bury()
        name = self.member.name
        if not self.ready.is_set():
            if self.quiet:
                for line in self._last_words:
                    say(name, line)
            raise CallboardError(f"the {name} cannot start (exit status {status}); its last words are above")
        if time.monotonic() - self._started > SOON:
            self._pause = 0.0
        self._start_again = time.monotonic() + self._pause
        say(name, f"ended with exit status {status}; starting it again in {self._pause:g} s")
        self._pause = min(LONGEST_PAUSE, self._pause * 2 + 0.5)

    def terminate(self) -> None:
        if self._process is not None and self.is_running():
            self._process.terminate()

    def bury(self) -> None:
        """Kill what is left of the process and of all that it has forked."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
        if self._reader is not None:
            self._reader.join(1)

    def _relay(self, output: IO[bytes]) -> None:
        loud = False
        with output:
            for line in output:
                text = line.decode("utf-8", "replace").rstrip()
                self._last_words.append(text)
                if self.member.ready_words in text:
                    self.ready.set()
                # Lines that begin no record, such as a traceback's, go with the one before.
                if record := _RECORD.match(text):
                    loud = record.group(1) in _LOUD
                if loud or not self.quiet:
                    say(self.member.name, text)


def say(name: str, text: str) -> None:
    """One line of a process, on stderr."""
    print(f"{name:9} | {text}", file=sys.stderr, flush=True)
