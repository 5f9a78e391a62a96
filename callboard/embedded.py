"""A real Redis of our own, for when no ``REDIS_URL`` is given.

``ensure(home)`` answers with the URL of a server on a unix socket whose data lie under ``home/redis``, and
starts it where none runs. All processes that name the same ``home`` share one instance:

1. Each process that called ``ensure`` *holds* the server: a shared lock on ``hold.lock``, which the kernel
   takes back however the process ends. A fork does not inherit the hold.
2. The server is the child of a supervisor in a session of its own, so a Ctrl-C in the terminal does not end
   Redis before the workers. The supervisor waits for the exclusive lock on ``hold.lock``: once it has that,
   nobody holds the server any more, and it ends it. With ``keep`` it stays until ``stop``.
3. ``start.lock`` makes starting and ending exclusive; ``server.lock`` belongs to the supervisor for as long
   as its server lives, so that no two servers ever write the same data.

Processes that are handed the URL (in ``REDIS_URL``) use the server without holding it.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .embedded_binary import candidates, usable
from .errors import EmbeddedError

if sys.platform != "win32":
    import fcntl

START_SECONDS = 15.0  # until the server answers at all
LOAD_SECONDS = 120.0  # until it has read its data
STOP_SECONDS = 10.0  # between SIGTERM and SIGKILL
LOG_BYTES = 1 << 20

_holds: dict[Path, int] = {}  # home -> file descriptor of its hold
_supervisors: dict[Path, int] = {}  # home -> process id, where we started it
_mutex = threading.RLock()


def socket_path(home: Path) -> Path:
    """Where the server of this home listens. Short, whatever the home: a socket's path may have 104 bytes.

    Not under TMPDIR, which may differ between two processes of one user.
    """
    name = hashlib.sha256(os.fsencode(os.path.abspath(home))).hexdigest()[:16]
    return Path(f"/tmp/callboard-{_uid()}/{name}.sock")


def url(home: Path) -> str:
    """The URL of this home's server, running or not."""
    return f"unix://{socket_path(home)}"


def ensure(home: Path, *, keep: bool = False) -> str:
    """Start this home's server unless it runs, hold it, and answer with its URL once it takes commands.

    The server ends with the last process that holds it, however that ends; with ``keep`` at ``stop`` only.

    Raises:
        EmbeddedError: there is no server to start, or it does not start.
    """
    if sys.platform == "win32":
        raise EmbeddedError("there is no embedded Redis for Windows: set REDIS_URL")
    home = Path(os.path.abspath(home))
    with _mutex:
        if home in _holds and not keep and _ask(home) == "PONG":
            return url(home)
        data = _prepare_folders(home)
        with _locked(data / "start.lock"):
            if home not in _holds:
                _holds[home] = _take_hold(data)
            try:
                _start_unless_running(home, data, keep)
            except BaseException:
                os.close(_holds.pop(home))
                raise
    return url(home)


def release(home: Path) -> None:
    """Give up this process's hold; if it was the last one, return when the server has ended."""
    home = Path(os.path.abspath(home))
    with _mutex:
        hold = _holds.pop(home, None)
        if hold is None:
            return
        os.close(hold)
        with suppress(OSError):
            if not _is_wanted(_data(home)):
                _poll(lambda: _is_free(_data(home) / "server.lock"), STOP_SECONDS)
                _collect(home)


def stop(home: Path) -> None:
    """End this home's server, whoever holds it, and return when it has ended."""
    home = Path(os.path.abspath(home))
    data = _data(home)
    (data / "keep").unlink(missing_ok=True)
    with suppress(OSError):
        _command(home, "SHUTDOWN")
    if data.exists():
        _poll(lambda: _is_free(data / "server.lock"), STOP_SECONDS)
    release(home)


# -- starting it -------------------------------------------------------------------------------------------


def _start_unless_running(home: Path, data: Path, keep: bool) -> None:
    """The caller has ``start.lock`` and a hold."""
    owner = data / "server.lock"
    if not _poll(lambda: _ask(home) == "PONG" or _is_free(owner), START_SECONDS):
        raise EmbeddedError(
            f"the embedded Redis of {home} runs but does not answer at {socket_path(home)} "
            "(does its process see another /tmp?): end that process, or set REDIS_URL"
        )
    if not _is_free(owner):
        if keep:
            (data / "keep").touch()
        return
    _collect(home)  # of a server that has died
    (data / "keep").unlink(missing_ok=True)
    if keep:
        (data / "keep").touch()
    binary = _choose_server(data)
    package = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    with (data / "redis.log").open("ab") as log:
        if log.tell() > LOG_BYTES:
            log.truncate(0)
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "callboard.embedded", str(home), str(binary)],
            cwd=data,
            env={**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{inherited}" if inherited else package},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    supervisor.returncode = 0  # it may outlive us, and no warning is due for that: see _collect
    _supervisors[home] = supervisor.pid
    assert supervisor.stdout
    with supervisor.stdout as pipe:  # closed at the other end when all is up, or nothing is
        answer = pipe.read().decode(errors="replace")
    if answer != "PONG":
        _collect(home)
        reason = answer.strip() or "its supervisor ended early"
        raise EmbeddedError(
            f"the embedded Redis did not start: {reason} (log: {data / 'redis.log'}; "
            f"unreadable data can be moved out of {data}); or set REDIS_URL"
        )


def _collect(home: Path) -> None:
    """Leave no zombie of a supervisor that ends."""
    pid = _supervisors.pop(home, None)
    with suppress(ChildProcessError):
        if pid:
            _poll(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 2)


def _choose_server(data: Path) -> Path:
    """The binary that wrote the data, as long as it exists: another one may not read them."""
    note = data / "server"

    former = [Path(note.read_text().strip())] if note.exists() else []
    binary = usable([*filter(Path.is_file, former), *candidates()], data)
    note.write_text(f"{binary}\n")
    return binary


def _prepare_folders(home: Path) -> Path:
    """Make the data folder and the socket's; refuse a socket folder that others could write."""
    data, place = _data(home), socket_path(home).parent
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
        found = place.lstat()
    except OSError as error:
        raise EmbeddedError(f"the embedded Redis has no folder: {error}; set CALLBOARD_HOME") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _uid() or found.st_mode & 0o077:
        raise EmbeddedError(f"{place} must be a folder of our own with mode 0700: remove it")
    return data


def _write_configuration(home: Path) -> Path:
    data = _data(home)
    options = {
        "port": "0",
        "unixsocket": str(socket_path(home)),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    path = data / "redis.conf"
    path.write_bytes(b"".join(f"{name} {_quoted(value)}\n".encode() for name, value in options.items()))
    return path


def _quoted(value: str) -> str:
    shown = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(value))
    return f'"{"".join(shown)}"'


_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


# -- the supervisor: python -m callboard.embedded HOME BINARY ------------------------------------------------


def _supervise(home: Path, binary: str) -> None:
    """Run the server until nobody holds it. What is printed is the answer to the starter."""
    data = _data(home)
    ownership = _open(data / "server.lock")
    if not _poll(lambda: _try_lock(ownership), 1):  # others look at it for an instant
        sys.stdout.write("another one owns its data")
        return
    server = subprocess.Popen(
        [binary, str(_write_configuration(home))],
        stdin=subprocess.DEVNULL,
        stdout=2,
        preexec_fn=_end_with_parent(),  # noqa: PLW1509 (this process has one thread)
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: server.terminate())
    answer = _wait_until_up(home, server)
    if answer == "PONG":
        threading.Thread(target=_end_when_released, args=(data, server), daemon=True).start()
    else:
        server.kill()
    sys.stdout.write(answer)
    sys.stdout.flush()
    os.dup2(2, 1)  # closes the starter's pipe
    server.wait()


def _wait_until_up(home: Path, server: subprocess.Popen[bytes]) -> str:
    started = time.monotonic()
    while server.poll() is None:
        answer = _ask(home)
        if answer == "PONG":
            return answer
        loading = answer.startswith("LOADING")
        if time.monotonic() - started > (LOAD_SECONDS if loading else START_SECONDS):
            return f"no answer to PING in time ({answer or 'no connection'})"
        time.sleep(0.01)
    return f"the server ended with exit status {server.returncode}"


def _end_when_released(data: Path, server: subprocess.Popen[bytes]) -> None:
    hold = _open(data / "hold.lock")
    while True:
        fcntl.flock(hold, fcntl.LOCK_EX)  # waits for the last holder to go
        fcntl.flock(hold, fcntl.LOCK_UN)
        with _locked(data / "start.lock"):
            if (data / "keep").exists():
                return
            if _try_lock(hold):  # nobody has come in between, and nobody can now
                server.terminate()
                try:
                    server.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
                os._exit(0)


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux, the kernel ends the server should the supervisor itself be killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(1, signal.SIGTERM)


# -- locks and questions -----------------------------------------------------------------------------------


def _data(home: Path) -> Path:
    return Path(os.path.abspath(home)) / "redis"


def _uid() -> int:
    return os.getuid() if sys.platform != "win32" else 0


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_hold(data: Path) -> int:
    descriptor = _open(data / "hold.lock")
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # the supervisor has it exclusively for an instant only
    return descriptor


def _is_free(path: Path) -> bool:
    descriptor = _open(path)
    try:
        return _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _is_wanted(data: Path) -> bool:
    """Whether the server, if it runs, stays when we are gone."""
    start, hold = _open(data / "start.lock"), _open(data / "hold.lock")
    try:
        # Not waiting for the supervisor, which keeps the lock while it ends the server.
        _poll(lambda: _try_lock(start) or _is_free(data / "server.lock"), STOP_SECONDS)
        for _ in range(2):  # the supervisor may have been before us once; then it waits for start.lock
            fcntl.flock(hold, fcntl.LOCK_SH)
            if _try_lock(hold):
                return (data / "keep").exists()
        return True
    finally:
        os.close(hold)
        os.close(start)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path)
    try:
        if not _poll(lambda: _try_lock(descriptor), START_SECONDS + LOAD_SECONDS):
            raise EmbeddedError(f"another process has held {path} for minutes: end it, or set REDIS_URL")
        yield
    finally:
        os.close(descriptor)


def _poll(predicate: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _ask(home: Path) -> str:
    """The answer to PING without its first character: ``PONG``, ``LOADING …``; empty if there is none."""
    try:
        return _command(home, "PING")
    except OSError:
        return ""


def _command(home: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(str(socket_path(home)))
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(200).decode(errors="replace")[1:].strip()


def _forget_holds() -> None:
    """In a forked child: the holds are its parent's."""
    global _mutex  # noqa: PLW0603
    _mutex = threading.RLock()
    for descriptor in _holds.values():
        os.close(descriptor)
    _holds.clear()
    _supervisors.clear()


def _release_all() -> None:
    for home in list(_holds):
        release(home)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_holds)
atexit.register(_release_all)

if __name__ == "__main__":
    _supervise(Path(sys.argv[1]), sys.argv[2])
