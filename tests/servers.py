"""Real servers for the tests: those of ``callboard chaos``, and RabbitMQ."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from waiting import wait_until

from callboard.chaos.postgres import PostgresServer, execute, fresh_database
from callboard.chaos.servers import RedisServer, Server, Unavailable, free_port

__all__ = [
    "PostgresServer",
    "RabbitServer",
    "RedisServer",
    "S3Server",
    "Server",
    "Unavailable",
    "execute",
    "free_port",
    "fresh_database",
]

#: Virtual hosts that one command makes: each command starts an Erlang of its own, which takes a second.
VIRTUAL_HOSTS = 8
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class S3Server(Server):
    """moto's server: S3 by HTTP, without credentials of its own unless told to check them."""

    name = "S3"

    def __init__(self, **environment: str) -> None:
        super().__init__()
        if find_spec("moto") is None or find_spec("s3fs") is None:
            self.remove()
            raise Unavailable(self.name, "moto[server] or s3fs is not installed")
        self._environment = environment
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]

    def answers(self) -> bool:
        return _listens(self._port)

    def _spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return super()._spawn(command, env={**os.environ, **self._environment}, **options)


class RabbitServer(Server):
    """``rabbitmq-server`` with its own node name, cookie, folders, and its own epmd."""

    name = "RabbitMQ"
    start_seconds = 90.0

    def __init__(self) -> None:
        super().__init__()
        self.epmd: subprocess.Popen[bytes] | None = None
        self._unused: list[str] = []
        try:
            self.scripts = _rabbit_scripts()
            self.epmd_binary = _which("epmd")
        except Unavailable:
            self.remove()
            raise
        self.port, self.epmd_port, dist_port = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}"
        (self.folder / "rabbitmq.conf").write_text(
            "log.console = true\nvm_memory_high_watermark.relative = 0.8\n"
        )
        (self.folder / "plugins").write_text("[].\n")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(uuid4().hex)
        cookie.chmod(0o400)
        self.environment = {
            "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN]),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"callboard-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_LOGS": "-",
        }

    def command(self) -> list[str]:
        return [str(self.scripts / "rabbitmq-server")]

    def start(self) -> None:
        self.epmd = self._spawn([self.epmd_binary, "-port", str(self.epmd_port), "-address", "127.0.0.1"])
        wait_until(lambda: _listens(self.epmd_port), message="epmd did not start")
        try:
            super().start()
        except BaseException:
            self._end_epmd()
            raise

    def answers(self) -> bool:
        """It greets a client that sends the protocol's header."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as client:
            client.settimeout(2)
            client.sendall(b"AMQP\x00\x00\x09\x01")
            return client.recv(1) == b"\x01"
        return False

    def virtual_host(self) -> str:
        """The URL of a virtual host that nobody has used. It goes with the server."""
        if not self._unused:
            self._unused = [uuid4().hex for _ in range(VIRTUAL_HOSTS)]
            names = ", ".join(f'<<"{name}">>' for name in self._unused)
            self._evaluate(
                'lists:foreach(fun(Name) -> ok = rabbit_vhost:add(Name, <<"tests">>), '
                'ok = rabbit_auth_backend_internal:set_permissions(<<"guest">>, Name, '
                f'<<".*">>, <<".*">>, <<".*">>, <<"tests">>) end, [{names}]).'
            )
        return f"{self.url}/{self._unused.pop()}"

    def _evaluate(self, expression: str) -> None:
        subprocess.run(
            [self.scripts / "rabbitmqctl", "-q", "eval", expression],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=60,
        )

    def _end(self, number: signal.Signals) -> None:
        super()._end(number)
        self._end_epmd()

    def _end_epmd(self) -> None:
        if self.epmd:
            self.epmd.kill()
            self.epmd.wait()
            self.epmd = None

    def _signal(self, number: signal.Signals) -> None:
        """The script waits for Erlang in its own process group."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return super()._spawn(command, env=self.environment, **options)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _which(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN]))
    if not found:
        raise Unavailable(RabbitServer.name, f"there is no {name}")
    return found


def _rabbit_scripts() -> Path:
    """The folder of the server's own scripts: Debian's wrapper on PATH switches to another user."""
    packaged = Path("/usr/lib/rabbitmq/bin")
    if (packaged / "rabbitmq-server").exists():
        return packaged
    return Path(_which("rabbitmq-server")).resolve().parent
