"""``GET /pipeline/{chain_id}/files/{name}``: the files of a chain's folder, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import IO, Any

from falcon.asgi import Request, Response

from callboard.errors import BadInput

from . import schemas
from .errors import Refusal
from .house import House, is_chain_id
from .operations import operation

CHUNK = 1 << 18
#: Characters of a file's name with its folders, and bytes of each part, as file systems have them.
LONGEST_NAME, LONGEST_PART = 500, 255
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "m3u8": "application/vnd.apple.mpegurl",
    "ts": "video/mp2t",
}
#: What a browser may show; everything else it saves.
_SHOWN = ("png", "jpg", "wav", "mp4", "webm", "m3u8", "ts")


class ChainFile:
    """One file of a chain, streamed."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "A file of a chain: what its result names, such as download_url",
        path={"name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}},
        answers={200: None, 206: None, 404: schemas.ERROR, 416: schemas.ERROR},
        media="*/*",
        headers={"Range": "bytes=FIRST-LAST: a part of it"},
    )
    async def on_get(self, req: Request, resp: Response, chain_id: str, name: str) -> None:
        """With a Range, that part of it."""
        missing = Refusal(404, "file_not_found", "the chain has no such file")
        if not is_chain_id(chain_id) or not _is_name(name):
            raise missing
        folder = self._house.application.storage.folder(chain_id)
        try:
            size = await self._house.off_loop.read(folder.size, name)
            first, count = _part(req, size)
            opening = folder.open(name, "rb")
            file = await self._house.off_loop.read(opening.__enter__)
        except (BadInput, ValueError):
            raise missing from None
        kind = PurePosixPath(name).suffix[1:].lower()
        resp.content_type = _TYPES.get(kind, "application/octet-stream")
        saved_as = PurePosixPath(name).name
        if kind in _SHOWN:
            resp.viewable_as = saved_as
        else:
            resp.downloadable_as = saved_as
        resp.set_header("Accept-Ranges", "bytes")
        resp.set_header("Cache-Control", "private, no-cache")
        if count != size:
            resp.status = 206
            resp.content_range = (first, first + count - 1, size)
        resp.set_stream(self._chunks(opening, file, first, count), count)

    async def _chunks(
        self, opening: AbstractContextManager[IO[Any]], file: IO[Any], first: int, count: int
    ) -> AsyncIterator[bytes]:
        try:
            if first:
                await self._house.off_loop.read(file.seek, first)
            while count > 0 and (chunk := await self._house.off_loop.read(file.read, min(CHUNK, count))):
                count -= len(chunk)
                yield chunk
        finally:
            # At once, also where the client has gone and nothing may be waited for.
            opening.__exit__(None, None, None)


def _is_name(name: str) -> bool:
    """Whether it can be a file of a chain: no part is hidden, leads elsewhere or is too long for a name."""
    return len(name) <= LONGEST_NAME and all(_is_part(part) for part in name.split("/"))


def _is_part(part: str) -> bool:
    plain = part and not part.startswith(".") and part.isprintable() and "\\" not in part
    return bool(plain) and len(part.encode()) <= LONGEST_PART


def _part(req: Request, size: int) -> tuple[int, int]:
    """Where to begin, and how many bytes to send.

    Raises:
        Refusal: 416.
    """
    # What If-Range names cannot be what we have sent: our answers carry no validator.
    whole = req.range_unit != "bytes" or req.get_header("If-Range") is not None
    wanted = None if whole else req.range
    if wanted is None or size == 0:
        return 0, size
    first, last = wanted
    if first < 0:
        first, last = max(0, size + first), size - 1
    last = size - 1 if last < 0 else min(last, size - 1)
    if first > last:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refusal(416, "bad_request", f"Range: the file has {size} bytes", headers=headers)
    return first, last - first + 1
