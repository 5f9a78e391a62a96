"""Files of a chain, on any file system that fsspec reaches.

    storage = Storage("s3://bucket/callboard")
    folder = storage.folder(chain_id)
    url = folder.write_json("words.json", {...})
    storage.read_json(url)

Building a ``Storage`` or a ``Folder`` touches no file system; the first read or write does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from callboard.errors import BadInput
from db.values import from_epoch

from .scratch import scratch_folder

# What drivers raise when a file cannot be read: it is not there, is a folder, or is not ours to read.
_UNREADABLE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class Storage:
    """The place under which every chain has its folder.

    Args:
        url: an fsspec URL such as ``file:///data/storage``, ``s3://bucket/x`` or ``memory://``.
    """

    def __init__(self, url: str) -> None:
        self.url = url if url.endswith("://") else url.rstrip("/")

    def folder(self, chain_id: str) -> Folder:
        """The folder of one chain; it comes into being with its first file."""
        return Folder(_join(self.url, chain_id))

    def folders(self) -> list[str]:
        """The names of all folders, of chains and of whatever else lies there."""
        file_system, path = resolve(self.url)
        try:
            listed = file_system.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return [PurePosixPath(entry["name"]).name for entry in listed if entry["type"] == "directory"]

    def read_json(self, url: str) -> Any:
        """See :func:`read_json`."""
        return read_json(url)

    @contextmanager
    def local_copy(self, url_or_path: str) -> Iterator[Path]:
        """See :func:`local_copy`."""
        with local_copy(url_or_path) as path:
            yield path


class Folder:
    """The files of one chain. Attribute: ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def url_of(self, name: str) -> str:
        """The URL of a file in this folder, whether it exists or not.

        Raises:
            ValueError: the name would lead out of the folder.
        """
        return _join(self.url, name)

    def write_bytes(self, name: str, data: bytes) -> str:
        """Write a whole file and return its URL; a reader sees the old file or the new one."""
        with self.open(name, "wb") as file:
            file.write(data)
        return self.url_of(name)

    def write_json(self, name: str, value: Any) -> str:
        """Write a value as JSON (UTF-8) and return the file's URL."""
        return self.write_bytes(name, json.dumps(value, ensure_ascii=False, allow_nan=False).encode())

    def sizes(self) -> dict[str, int]:
        """The files in it and in folders of it: their names, and how many bytes each has."""
        file_system, path = resolve(self.url)
        root = str(path).rstrip("/") + "/"
        found = file_system.find(path, detail=True)
        return {name.removeprefix(root): int(file["size"]) for name, file in found.items()}

    def size(self, name: str) -> int:
        """Bytes of a file of this folder.

        Raises:
            ValueError: the name would lead out of the folder.
            BadInput: there is no such file, or what is there lies elsewhere.
        """
        file_system, path = resolve(self.url_of(name))
        is_local = isinstance(file_system, LocalFileSystem)
        # A link may lead anywhere.
        if is_local and os.path.realpath(path) != os.path.join(os.path.realpath(resolve(self.url)[1]), name):
            raise BadInput(f"{name}: no file of this folder")
        try:
            found = file_system.info(path)
        except _UNREADABLE as error:
            raise BadInput(f"{name}: no such file") from error
        if found["type"] != "file":
            raise BadInput(f"{name}: no file")
        return int(found["size"])

    def changed(self) -> datetime | None:
        """When a file of it was last written (naive UTC); None where the file system does not tell."""
        file_system, path = resolve(self.url)
        files = file_system.find(path, withdirs=True, detail=True).values()
        moments = [_written(file_system, file) for file in files if file["type"] == "file"]
        # A folder without files is as old as itself.
        moments = moments or [_written(file_system, file_system.info(path))]
        return None if None in moments else max(moment for moment in moments if moment is not None)

    def remove(self) -> None:
        """Delete the folder with all that is in it; it need not be there."""
        file_system, path = resolve(self.url)
        with suppress(FileNotFoundError):
            file_system.rm(path, recursive=True)

    @contextmanager
    def open(self, name: str, mode: str = "rb") -> Iterator[IO[Any]]:
        """Open a file of this folder for reading or writing (``rb``, ``r``, ``wb``, ``w``).

        What is written appears under its name only when the block ends well.

        Raises:
            BadInput: a file to be read is not there.
        """
        url = self.url_of(name)
        opener = _open_to_read if mode in ("r", "rb") else _open_to_write
        with opener(url, mode) as file:
            yield file


def read_json(url: str) -> Any:
    """The value in a JSON file, by URL or path.

    Raises:
        BadInput: there is no such file, or it does not hold JSON.
    """
    with _open_to_read(url, "rb") as file:
        content = file.read()
    try:
        return json.loads(content)
    except ValueError as error:
        raise BadInput(f"{url}: not a JSON file ({error})") from error


@contextmanager
def local_copy(url_or_path: str) -> Iterator[Path]:
    """A path on this machine that holds the file's content.

    A local file is yielded as it is; a remote one is copied to a file of the same name in a scratch folder.

    Raises:
        BadInput: there is no such file, or it cannot be read.
    """
    file_system, path = resolve(url_or_path)
    if isinstance(file_system, LocalFileSystem):
        local = Path(path)
        try:
            is_file = local.is_file()
        except OSError as error:  # too long a name, a circle of links
            raise BadInput(f"{url_or_path[:200]}: no such file ({error.strerror})") from None
        if not is_file:
            raise BadInput(f"{url_or_path}: {'a folder, not a file' if local.is_dir() else 'no such file'}")
        yield local
        return
    with scratch_folder() as scratch:
        copy = scratch / _name_of(path)
        try:
            file_system.get_file(path, str(copy))
        except _UNREADABLE as error:
            raise BadInput(f"{url_or_path}: no such file in the storage") from error
        if not copy.is_file():
            raise BadInput(f"{url_or_path}: a folder, not a file")
        yield copy


@contextmanager
def _open_to_read(url: str, mode: str) -> Iterator[IO[Any]]:
    file_system, path = resolve(url)
    try:
        file = file_system.open(path, mode, **_encoding(mode))
    except _UNREADABLE as error:
        raise BadInput(f"{url}: no such file, or it cannot be read") from error
    with file:
        yield file


@contextmanager
def _open_to_write(url: str, mode: str) -> Iterator[IO[Any]]:
    file_system, path = resolve(url)
    if not isinstance(file_system, LocalFileSystem):
        # A driver's own file is stored when it is closed, however much of it was written by then.
        with scratch_folder() as scratch:
            whole = scratch / _name_of(path)
            with whole.open(mode, encoding=_encoding(mode).get("encoding")) as file:
                yield file
            _send(file_system, whole, path)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        with file_system.open(str(part), mode, **_encoding(mode)) as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _name_of(path: str) -> str:
    """Its name on this machine: errors show it, and a driver tells the type of its content by it."""
    # Objects of a storage may have longer names than files.
    return PurePosixPath(path).name[-80:] or "file"


def _send(file_system: Any, file: Path, path: str) -> None:
    try:
        file_system.put_file(str(file), path)
    except FileNotFoundError:
        # Real folders have to be made. A path that begins with a bucket has none: that would be made.
        if not path.startswith("/"):
            raise
        file_system.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        file_system.put_file(str(file), path)


def resolve(url_or_path: str) -> tuple[Any, str]:
    """The file system and the path on it.

    Raises:
        BadInput: the URL names a protocol that is unknown or whose driver is not installed.
    """
    if "://" not in url_or_path:
        # fsspec would read "a::b" as the file a inside of b.
        return LocalFileSystem(), os.path.abspath(url_or_path)
    try:
        file_system, path = fsspec.core.url_to_fs(url_or_path)
    except (ValueError, ImportError) as error:
        raise BadInput(f"{url_or_path}: this kind of URL cannot be opened ({error})") from error
    # What a driver has listed before may not be so any more: other workers write here.
    file_system.invalidate_cache()
    return file_system, cast("str", path)


def _written(file_system: Any, file: dict[str, Any]) -> datetime | None:
    # Each driver lists it under a name of its own; what is not listed costs a call for each file.
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = file.get(name)
        if isinstance(value, (int, float)):
            return from_epoch(value)
        if isinstance(value, datetime):
            return from_epoch(value.timestamp()) if value.tzinfo else value
    try:
        return from_epoch(file_system.modified(file["name"]).timestamp())
    except (NotImplementedError, OSError):
        return None


def _encoding(mode: str) -> dict[str, str]:
    return {} if "b" in mode else {"encoding": "utf-8"}


def _join(url: str, name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is not the name of a file inside {url}")
    return f"{url}{name}" if url.endswith("/") else f"{url}/{name}"
