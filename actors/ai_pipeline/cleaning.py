"""Texts as they come, made plain: HTML, link addresses and stray blanks go, and repeats are known again."""

from __future__ import annotations

import html
import re
import unicodedata
from hashlib import blake2b

#: Characters of a text that are looked at; the rest is cut off.
LONGEST = 20_000
_DROPPED = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_LINK = re.compile(r"\b(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<!\w)@\w+", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_SIGNS = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """The text without markup, addresses, control characters and stray blanks; NFC, cut to size."""
    text = text[: 2 * LONGEST]
    if "<" in text:
        text = _TAG.sub(" ", _DROPPED.sub(" ", text))
    if "&" in text:
        text = html.unescape(text)
    text = _LINK.sub(" ", unicodedata.normalize("NFC", text))
    text = "".join(
        letter if letter.isprintable() else " " for letter in text if unicodedata.category(letter) != "Cf"
    )
    return _BLANKS.sub(" ", text).strip()[:LONGEST]


def fingerprint(text: str) -> bytes:
    """The same for texts that differ in blanks, signs and case alone; empty where nothing else is there."""
    essence = _SIGNS.sub("", text).casefold()
    return blake2b(essence.encode("utf-8", "surrogatepass"), digest_size=16).digest() if essence else b""
