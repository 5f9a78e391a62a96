"""``chunk_size="auto"``: how many images a chunk gets, by the files' sizes, then by the time they take."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from statistics import median

from actors.storage import resolve
from db.batches.facts import PIECE
from db.batches.ledger import Item

AUTO = "auto"
#: Where nothing is known of the files.
USUAL = 10
SMALLEST, LARGEST = 5, 50
#: Sizes of files in bytes, and of chunks: from the first to the second the chunks get smaller.
_MEGABYTE = 1_000_000
_TABLE = ((0, _MEGABYTE, 50, 20), (_MEGABYTE, 5 * _MEGABYTE, 20, 10), (5 * _MEGABYTE, 10 * _MEGABYTE, 10, 5))
#: Files that are looked at, here and in storages, and seconds for all of the latter.
_HERE, _ELSEWHERE, _SECONDS = 200, 16, 1.0
#: Seconds of workers' time that a chunk should take: within the bounds it stays as it is.
_SHORTEST, _BEST, _LONGEST = 10.0, 30.0, 60.0


def by_files(items: Sequence[Item]) -> int:
    """A size for chunks of these files: the smaller the files, the larger. 10 where no size is known."""
    paths = [path for path, _ in items]
    here = [path for path in paths if "://" not in path.removeprefix("file://")]
    elsewhere = [path for path in paths if "://" in path.removeprefix("file://")]
    sizes = [size for path in _some(here, _HERE) if (size := _size_here(path)) is not None]
    sizes += _sizes_elsewhere(_some(elsewhere, _ELSEWHERE))
    return by_bytes(median(sizes)) if sizes else USUAL


def by_bytes(size: float) -> int:
    """A size for chunks of files of so many bytes.

    Below 1 MB 50 to 20 images, up to 5 MB 20 to 10, above 10 to 5.
    """
    for smallest, largest, most, fewest in _TABLE:
        if size < largest:
            return _rounded(most - (most - fewest) * (size - smallest) / (largest - smallest))
    return SMALLEST


def by_time(present: int, seconds: float) -> int:
    """A size for chunks of images that take workers so many seconds each; the present one if it will do."""
    if _SHORTEST <= present * seconds <= _LONGEST:
        return present
    return _rounded(_BEST / seconds if seconds > 0 else LARGEST)


def _rounded(size: float) -> int:
    return min(LARGEST, max(SMALLEST, PIECE * round(size / PIECE)))


def _some(paths: Sequence[str], most: int) -> Sequence[str]:
    """At most so many of the paths, evenly spread."""
    return paths[:: -(-len(paths) // most)] if paths else paths


def _size_here(path: str) -> int | None:
    try:
        return os.stat(path.removeprefix("file://")).st_size
    except OSError:
        return None


def _sizes_elsewhere(urls: Sequence[str]) -> list[int]:
    """The sizes that storages tell within the time; what they do not tell is no error."""
    sizes, end = [], time.monotonic() + _SECONDS
    for url in urls:
        if time.monotonic() > end:
            break
        try:
            file_system, path = resolve(url)
            size = file_system.info(path).get("size")
        except Exception:
            continue
        if isinstance(size, int):
            sizes.append(size)
    return sizes
