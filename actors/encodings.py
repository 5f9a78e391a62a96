"""The encoding of a text file that somebody else wrote."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

#: Tried in this order unless one is named: Excel in Korea writes the second.
USUAL = ("utf-8-sig", "cp949")
_PART = 1 << 20


def encoding_of(path: Path, candidates: Sequence[str] = USUAL) -> str:
    """The first encoding in which all of a file can be read.

    Raises:
        UnicodeError: there is none; as the last one has it.
    """
    *others, last = candidates
    for candidate in others:
        try:
            _read(path, candidate)
        except UnicodeError:
            continue
        return candidate
    _read(path, last)
    return last


def _read(path: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while part := file.read(_PART):
            decoder.decode(part)
        decoder.decode(b"", final=True)
