"""The files of a batch: what is on this machine is looked at, what lies in a storage is asked for in bulk.

files_under("s3://bucket/scans/", "*.png")
checked(paths, public_paths)
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from fsspec.implementations.local import LocalFileSystem

from actors.remote_files import Remote, find
from actors.storage import resolve
from callboard.errors import BadInput, BatchError
from db.batches.ledger import Item
from db.values import clean_text

MOST_IMAGES = 1_000_000
#: What a prefix gives where no pattern is named.
EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf"})
_LOCAL = ("file://", "local://")
#: Files that an error names; of more it tells the number.
_NAMED = 5
#: Characters of a path that an error shows.
_SHOWN = 200

logger = logging.getLogger(__name__)


class Listed(list[str]):
    """Files that a listing has just found: :func:`checked` does not ask for them again."""


def files_under(prefix: str, pattern: str | None = None) -> Listed:
    """The files below a folder or a storage prefix, however deep, sorted.

    Parameters:
        prefix: ``s3://bucket/folder/``, any URL of a storage, or a folder of this machine.
        pattern: of the files' names (``*.png``), or of the last folders, too (``2025-*/*.png``). Unless
            given, images and PDFs by their extension.

    Raises:
        BatchError: it cannot be a prefix, it holds no such file, or more than a batch takes.
        StorageUnavailable: the storage does not answer, or does not let us in.
    """
    file_system, root = _Systems("prefix").of(_text(prefix, "prefix"))
    if not root.strip("/"):
        raise BatchError(f"prefix: {shown(prefix)} names no folder")
    wanted = []
    for path in find(file_system, root):
        relative = PurePosixPath(path[len(root) :].lstrip("/"))
        if relative.match(pattern) if pattern else relative.suffix.lower() in EXTENSIONS:
            wanted.append(path)
    if not wanted:
        what = f"file that matches {pattern!r}" if pattern else "image or PDF"
        raise BatchError(f"prefix: no {what} under {shown(prefix)}")
    _refuse_too_many(len(wanted), "prefix")
    wanted.sort()
    if isinstance(file_system, LocalFileSystem):
        return Listed(wanted)
    return Listed(file_system.unstrip_protocol(path) for path in wanted)


def checked(paths: Iterable[str], public_paths: Sequence[str] | None = None) -> list[Item]:
    """What the chunks of a batch hold: each file with its public path. Files of this machine get whole paths.

    Raises:
        BatchError: a file is named twice, is not there, cannot be read, or is no file; none is named.
        StorageUnavailable: a storage does not answer.
    """
    if isinstance(paths, (str, bytes)):
        raise BatchError("file_paths: read one text, expected a list of paths")
    try:
        known = [_text(path, "file_paths") for path in paths]
    except TypeError:
        raise BatchError(f"file_paths: read {str(paths)[:80]!r}, expected a list of paths") from None
    if not known:
        raise BatchError("file_paths: a batch needs at least one file")
    _refuse_too_many(len(known), "file_paths")
    known = _all_there(known, ask=not isinstance(paths, Listed))
    if public_paths is None:
        return [(path, None) for path in known]
    if isinstance(public_paths, (str, bytes)) or not isinstance(public_paths, Sequence):
        raise BatchError("public_file_paths: expected a list, one for each of file_paths")
    if len(public_paths) != len(known):
        raise BatchError(
            f"public_file_paths: read {len(public_paths)}, expected one for each of {len(known)} file_paths"
        )
    public = [_text(path, "public_file_paths") for path in public_paths]
    return list(zip(known, public, strict=True))


def shown(path: str) -> str:
    """A path or URL as an error may show it: without a password, and without the signature of a query."""
    if "://" not in path:
        return path[:_SHOWN]
    scheme, _, rest = path.partition("?")[0].partition("://")
    host, slash, name = rest.partition("/")
    user, at, machine = host.rpartition("@")
    host = f"{user.partition(':')[0]}:***@{machine}" if at and ":" in user else host
    return f"{scheme}://{host}{slash}{name}"[:_SHOWN]


def _text(path: Any, field: str) -> str:
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str) or not path:
        raise BatchError(f"{field}: {str(path)[:80]!r} is no path")
    if clean_text(path) != path:
        raise BatchError(f"{field}: {path[:80]!r} has characters that cannot be kept")
    return path


def _refuse_too_many(count: int, field: str) -> None:
    if count > MOST_IMAGES:
        raise BatchError(f"{field}: {count} files, a batch takes up to {MOST_IMAGES}")


def _all_there(paths: Sequence[str], *, ask: bool) -> list[str]:
    """The paths, made whole. Each is there, as far as can be told in time, and none is there twice."""
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    complaints: list[str] = []
    remote, folders, systems = Remote(), _RealFolders(), _Systems("file_paths")
    for path in paths:
        if "://" in path and not path.startswith(_LOCAL):
            file_system, same = systems.of(path)
            if not isinstance(file_system, LocalFileSystem):
                remote.add(file_system, same, path)
            whole, place = path, (file_system._fs_token, same)
        else:
            whole, place, complaint = _look(path, folders)
            complaints += complaint
        if place in seen:
            raise BatchError(f"file_paths: {shown(path)!r} is named twice")
        seen.add(place)
        found.append(whole)
    _complain(complaints, "")
    if ask:
        missing = remote.missing()
        _complain([f"{shown(path)}: {missing[path]}" for path in paths if path in missing], "at least ")
        if remote.unasked:
            logger.warning("%d of %d files were not asked for in time.", remote.unasked, len(paths))
    return found


def _complain(complaints: Sequence[str], about: str) -> None:
    if complaints:
        more = f" (and {about}{len(complaints) - _NAMED} more)" if len(complaints) > _NAMED else ""
        raise BatchError(f"file_paths: {'; '.join(complaints[:_NAMED])}{more}")


def _look(path: str, folders: _RealFolders) -> tuple[str, tuple[str, str], list[str]]:
    """A file of this machine: its whole path, what it is known by, and what is wrong with it."""
    scheme = next((scheme for scheme in _LOCAL if path.startswith(scheme)), "")
    local = os.path.join(os.getcwd(), path.removeprefix(scheme))
    folder, name = os.path.split(local)
    wrong = []
    try:
        if not stat.S_ISREG(mode := os.stat(local).st_mode):
            wrong = ["a folder, not a file" if stat.S_ISDIR(mode) else "no regular file"]
        elif not os.access(local, os.R_OK):
            wrong = ["it cannot be read"]
    except PermissionError:
        wrong = ["it cannot be read"]
    except (OSError, ValueError):
        wrong = ["no such file"]
    same = os.path.realpath(local) if os.path.islink(local) else os.path.join(folders[folder], name)
    return f"{scheme}{local}", ("file", same), [f"{shown(path)}: {why}" for why in wrong]


class _RealFolders(dict[str, str]):
    """Where folders lead to, each asked once: it may hold thousands of the files."""

    def __missing__(self, folder: str) -> str:
        self[folder] = real = os.path.realpath(folder)
        return real


class _Systems:
    """The file systems of URLs: to resolve each of ten thousand takes a second.

    Parameters:
        field: where the URLs stand, for errors.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._of_server: dict[str, Any] = {}

    def of(self, url: str) -> tuple[Any, str]:
        """The file system of a URL, and the path there.

        Raises:
            BatchError: nothing can open it, or it holds a password.
        """
        try:
            if "://" in url and urlsplit(url).password:
                raise BatchError(
                    f"{self._field}: {shown(url)} holds a password; a storage's driver reads it from the "
                    "environment"
                )
            if "://" not in url or "::" in url or "?" in url:
                return resolve(url)
            server = "/".join(url.split("/", 3)[:3])
            file_system = self._of_server.get(server)
            if file_system is None:
                file_system = self._of_server[server] = resolve(url)[0]
            return file_system, str(file_system._strip_protocol(url))
        except (BadInput, ValueError) as error:
            raise BatchError(f"{self._field}: {str(error).replace(url, shown(url))[:500]}") from None
