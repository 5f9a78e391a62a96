"""Servers of one's own, each in a temporary folder, on loopback, ended by its own process id.

``start`` after ``stop`` or ``kill`` goes on with the same data on the same port. A server dies with the
process that started it, however that ends (on Linux).
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import redis

from callboard.embedded_binary import find_server
from callboard.errors import EmbeddedError


class Unavailable(Exception):
    """This machine has no such server. Attributes: ``server`` (its name), ``reason``."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server} is not available: {reason}")
        self.server = server
        self.reason = reason


class Server(ABC):
    """One server process. ``with Server() as server:`` starts it, and ends it with its data."""

    name: str
    url: str
    start_seconds = 90.0  # a second on a machine of its own

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="callboard-server-"))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Any:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes commands."""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it on the data it left, and return when it takes commands."""
        assert not self.running
        self.process = self._spawn(self.command())
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                log = (self.folder / "log").read_text(errors="replace")
                raise RuntimeError(f"{self.name} did not start:\n{log[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it answer nothing while its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it if it runs, and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.running:
            self._signal(signal.SIGCONT)
            self._signal(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return spawn(command, self.folder / "log", cwd=self.folder, **options)


class RedisServer(Server):
    """``redis-server`` or ``valkey-server``, append-only file on, 64 logical databases."""

    name = "Redis"

    def __init__(self) -> None:
        super().__init__()
        try:
            self.binary = find_server(self.folder)
        except EmbeddedError as error:
            self.remove()
            raise Unavailable(self.name, str(error)) from None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "appendonly": "yes",
            # With "everysec", Redis answers before it has written while a slow fsync runs; killed then, it
            # forgets what it has said. Without fsync each write reaches the kernel before the answer.
            "appendfsync": "no",
            "save": "",
            "databases": 64,
            "maxmemory-policy": "noeviction",
        }
        (self.folder / "redis.conf").write_text(
            "".join(f'{name} "{value}"\n' for name, value in options.items())
        )
        return [str(self.binary), str(self.folder / "redis.conf")]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


# -- pieces ----------------------------------------------------------------------------------------------

# The kernel ends a server with the *thread* that started it: this one lives as long as the process does.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")
#: Whatever seeds the others: two runs of one seed may not meet.
_dice = random.SystemRandom()
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def spawn(command: list[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to a file; it ends with this one."""

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (it calls into the kernel only)
                **options,
            )

    return _spawner.submit(start).result()


def _end_with_parent() -> None:
    if _prctl:
        _prctl(1, signal.SIGTERM)


#: Below those that kernels hand out by themselves: nobody is given one of these by chance.
_PORTS = range(15_000, 32_000)
#: Descriptors of the newest ports that were given out; a process need not keep more.
_given: deque[int] = deque()
_MOST_GIVEN = 200


def free_port() -> int:
    """A port of loopback for a server that starts later, or starts again.

    No other process that asks here is given it for as long as this one lives.
    """
    while True:
        port = _dice.choice(_PORTS)
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            # Its namesake for datagrams, which nobody uses, says that it is taken.
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _given.append(mark.detach())
        if len(_given) > _MOST_GIVEN:
            os.close(_given.popleft())
        return port
