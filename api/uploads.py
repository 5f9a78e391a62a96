"""Uploads: multipart parts streamed to the storage, bounded, and known by their content alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

import falcon
from falcon.asgi import Request
from falcon.asgi.multipart import BodyPart
from falcon.media import MultipartFormHandler

from actors.remote_files import unavailable
from actors.storage import Folder
from callboard.errors import CallboardError

from .bodies import in_time
from .errors import Refusal
from .kinds import NAMES, kind_of, names_of
from .ledger import OffLoop

R = TypeVar("R")

CHUNK = 1 << 18
#: Bytes of a part that is no file.
FIELD_LIMIT = 1 << 20
#: Parts of a form that are no files, at most.
FIELDS = 32


@dataclass(frozen=True)
class Limits:
    """Of one upload: bytes of a file, bytes of all, and how many files."""

    file: int
    total: int
    files: int


@dataclass
class Received:
    """A form: its text fields, and the storage URLs of its files in order, with the field each came in."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)
    size: int = 0


def multipart_handler(limits: Limits) -> MultipartFormHandler:
    """Falcon's handler, with its own limits out of our way."""
    handler = MultipartFormHandler()
    handler.parse_options.max_body_part_count = limits.files + FIELDS + 1
    handler.parse_options.max_body_part_buffer_size = FIELD_LIMIT
    return handler


async def receive(req: Request, folder: Folder, limits: Limits, off_loop: OffLoop) -> Received:
    """Read a multipart form; its files lie in ``folder`` afterwards, under names of our own.

    When it is refused half-way, files may be there: remove the folder.

    Raises:
        Refusal: 400, 408, 413 or 422.
        StorageUnavailable: the storage does not answer, or does not let us in.
    """
    if (req.content_length or 0) > limits.total + FIELD_LIMIT:
        raise _too_large(f"an upload has at most {limits.total} bytes")
    received = Received()
    form: Any = await req.get_media()
    parts = aiter(form)
    while (part := await in_time(anext(parts, None))) is not None:
        try:
            is_field = part.filename is None
        except UnicodeDecodeError:
            raise Refusal(400, "body_invalid", "the name of a part is not UTF-8") from None
        if is_field:
            await _receive_field(part, received)
        else:
            await _receive_file(part, received, folder, limits, off_loop)
    return received


async def _receive_field(part: BodyPart, received: Received) -> None:
    name = part.name or ""
    if name in received.fields:
        raise Refusal(422, "body_invalid", f"the field {name[:80]!r} is there twice")
    if len(received.fields) >= FIELDS:
        raise _too_large(f"a form has at most {FIELDS} fields beside its files")
    text = await in_time(part.stream.read(FIELD_LIMIT + 1))
    if len(text) > FIELD_LIMIT:
        raise _too_large(f"a field has at most {FIELD_LIMIT} bytes")
    try:
        received.fields[name] = text.decode()
    except UnicodeDecodeError:
        raise Refusal(400, "body_invalid", f"the field {name[:80]!r} is not UTF-8") from None


async def _receive_file(
    part: BodyPart, received: Received, folder: Folder, limits: Limits, off_loop: OffLoop
) -> None:
    number = len(received.files) + 1
    if number > limits.files:
        raise _too_large(
            f"an upload has at most {limits.files} files (MAX_UPLOAD_FILES); "
            "a batch takes more as JSON, by file_paths or prefix"
        )
    chunk = await in_time(part.stream.read(CHUNK))
    kind = kind_of(chunk)
    if kind is None:
        raise Refusal(
            422,
            "file_refused",
            f"file {number} is no {names_of(None)} (or an empty file) by its content",
        )
    name = f"upload-{number}.{kind}"
    more = await in_time(part.stream.read(CHUNK))
    if more:
        await _receive_long(part, chunk + more, name, received, folder, limits, off_loop)
    else:
        _count(received, len(chunk), len(chunk), limits)
        await _store(off_loop, folder.write_bytes, name, chunk)
    received.files.append((part.name or "", folder.url_of(name)))


async def _receive_long(
    part: BodyPart,
    chunk: bytes,
    name: str,
    received: Received,
    folder: Folder,
    limits: Limits,
    off_loop: OffLoop,
) -> None:
    """A file that has more than its first chunk."""
    opening: AbstractContextManager[IO[Any]] = folder.open(name, "wb")
    file: IO[Any] = await _store(off_loop, opening.__enter__)
    size = 0
    try:
        while chunk:
            size += len(chunk)
            _count(received, len(chunk), size, limits)
            await _store(off_loop, file.write, chunk)
            chunk = await in_time(part.stream.read(CHUNK))
    except BaseException as error:
        # The file is closed and not kept.
        await off_loop.write(_leave, opening, error)
        raise
    await _store(off_loop, opening.__exit__, None, None, None)


async def _store(off_loop: OffLoop, write: Callable[..., R], *args: Any) -> R:
    """Call what writes to the storage. Each driver raises errors of its own."""
    try:
        return await off_loop.write(write, *args)
    except CallboardError:
        raise
    except Exception as error:
        raise unavailable(error) from error


def _count(received: Received, more: int, size: int, limits: Limits) -> None:
    received.size += more
    if size > limits.file:
        raise _too_large(f"a file has at most {limits.file} bytes")
    if received.size > limits.total:
        raise _too_large(f"an upload has at most {limits.total} bytes")


def check_kind(url: str, kinds: tuple[str, ...] | None, workflow: str) -> None:
    """Refuse an upload of a kind that the workflow does not take.

    Raises:
        Refusal: 422.
    """
    kind = url.rpartition(".")[2]
    if kinds is not None and kind not in kinds:
        detail = f"{workflow} takes {names_of(kinds)}, the file is {NAMES[kind]} by its content"
        raise Refusal(422, "file_refused", detail)


def is_form(content_type: str | None) -> bool:
    """Whether a content type names a multipart form."""
    return (content_type or "").partition(";")[0].strip().lower() == falcon.MEDIA_MULTIPART


def _leave(opening: AbstractContextManager[IO[Any]], error: BaseException) -> None:
    try:
        opening.__exit__(type(error), error, error.__traceback__)
    except BaseException as again:
        if again is not error:
            raise


def _too_large(detail: str) -> Refusal:
    return Refusal(413, "too_large", detail)
