"""Kinds of uploaded files, told by their first bytes alone; and which of them a workflow takes."""

from __future__ import annotations

import codecs
import json

#: What a file of each kind is called.
NAMES = {
    "png": "PNG",
    "jpg": "JPEG",
    "tiff": "TIFF",
    "pdf": "PDF",
    "xlsx": "Excel (.xlsx)",
    "csv": "text or CSV",
    "jsonl": "JSON lines",
    "mp4": "MP4",
    "mov": "QuickTime",
    "webm": "WebM",
    "mkv": "Matroska",
}
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"%PDF-": "pdf",
}
_ZIP, _EBML = b"PK\x03\x04", b"\x1aE\xdf\xa3"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONG_LINE = 60_000
#: Control characters that no text has.
_NO_TEXT = frozenset(range(32)) - set(b"\t\n\v\f\r\x1b")


def kind_of(start: bytes) -> str | None:
    """The extension of a file by its first bytes; None for a kind that we do not take."""
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    if start.startswith(_ZIP):
        return "xlsx" if _is_workbook(start) else None
    if start.startswith(_EBML):
        return "webm" if b"webm" in start[:64] else "mkv" if b"matroska" in start[:64] else None
    if start[4:8] == b"ftyp":
        return "mov" if start[8:12] == b"qt  " else "mp4"
    if start[4:8] in (b"moov", b"mdat", b"wide"):
        return "mov"
    return _kind_of_text(start)


def names_of(kinds: tuple[str, ...] | None) -> str:
    """Kinds for people: "PNG, JPEG or PDF"; those that we know where none are given."""
    names = [NAMES.get(kind, kind) for kind in kinds or NAMES]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _is_workbook(start: bytes) -> bool:
    """Whether the names of the archive's first members are those of a workbook's parts."""
    place, seen = 0, 0
    while start.startswith(_ZIP, place) and len(start) >= place + 30:
        name_length = int.from_bytes(start[place + 26 : place + 28], "little")
        if start[place + 30 : place + 30 + name_length].startswith(b"xl/"):
            return True
        seen += 1
        # Sizes may follow the data: the next member is looked for, not reckoned.
        place = start.find(_ZIP, place + 30 + name_length)
        if place < 0 or seen > 100:
            return False
    return False


def _kind_of_text(start: bytes) -> str | None:
    if start.startswith(_UTF16):
        text = start[: len(start) // 2 * 2].decode("utf-16", "ignore")
    elif not start.strip() or _NO_TEXT.intersection(start):
        return None
    else:
        text = _decoded(start)
    head = text.lstrip("\ufeff \t\r\n")
    if head.startswith("{"):
        return "jsonl" if _is_json(head) else None
    # Markup and JSON of other shapes are texts, but none that a workflow reads.
    return None if not head or head.startswith(("<", "[")) else "csv"


def _is_json(head: str) -> bool:
    """Whether the first line is an object by itself; one that is cut off may be."""
    line, end, _ = head.partition("\n")
    try:
        json.loads(line)
    except ValueError:
        return not end and len(line) > _LONG_LINE
    return True


def _decoded(start: bytes) -> str:
    """Text in UTF-8, where only the last character may be cut off, or in CP949; blank for neither."""
    for encoding in ("utf-8", "cp949"):
        try:
            return codecs.getincrementaldecoder(encoding)().decode(start)
        except UnicodeDecodeError:
            continue
    return ""
