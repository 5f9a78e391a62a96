"""Fonts for pictures: the first that this machine has and that shows the signs that are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont

_HANGUL = (
    "NanumGothic",
    "NanumBarunGothic",
    "NotoSansKR",
    "NotoSansCJK",
    "AppleSDGothicNeo",
    "malgun",
    "UnBatang",
)
_LATIN = ("NotoSans", "DejaVuSans", "LiberationSans", "Arial")
#: A package of PyPI that carries a Hangul font; its files are used, it is never imported.
_CARRIER = "koreanize_matplotlib"


def find_font(size: int, *, bold: bool = False, hangul: bool = False) -> ImageFont.FreeTypeFont | None:
    """A scalable font.

    Parameters:
        size: in pixels.
        bold: a bold one, where there is one.
        hangul: it must show Hangul.

    Returns:
        The font; None where Hangul is asked for and no font here has it.
    """
    from PIL import ImageFont  # noqa: PLC0415

    path = font_file(bold, hangul)
    if path is not None:
        return ImageFont.truetype(str(path), size)
    default = None if hangul else ImageFont.load_default(size)
    return default if isinstance(default, ImageFont.FreeTypeFont) else None


@lru_cache(maxsize=4)
def font_file(bold: bool, hangul: bool) -> Path | None:
    """The file that :func:`find_font` takes; None where there is none."""
    names = _HANGUL if hangul else (*_LATIN, *_HANGUL)
    files = [
        path
        for folder in _folders()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in (".ttf", ".ttc", ".otf")
    ]
    for name in names:
        own = [path for path in files if path.stem.lower().split("-")[0].removesuffix("bold") == name.lower()]
        for wanted in (True, False) if bold else (False, True):
            for path in own:
                style = path.stem.lower()[len(name) :].strip("-")
                if style in (("bold", "bd") if wanted else ("", "regular", "book")):
                    return path
    return None


def _folders() -> Iterator[Path]:
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    places = [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        data / "fonts",
        home / ".fonts",
        Path("/System/Library/Fonts"),
        Path("/Library/Fonts"),
        Path("C:/Windows/Fonts"),
    ]
    carrier = find_spec(_CARRIER)
    if carrier is not None and carrier.submodule_search_locations:
        places.append(Path(carrier.submodule_search_locations[0]) / "fonts")
    yield from (place for place in places if place.is_dir())
