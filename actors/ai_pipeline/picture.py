"""The map of topics, drawn."""

from __future__ import annotations

import colorsys
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from actors.fonts import find_font

from .projection import map_of
from .topics import Assignment

#: Pixels of the picture, and how much larger it is drawn than kept.
SIZE = (1600, 1080)
_SHARPER = 2
_TITLE_ROOM = 90
_MARGIN = 30
MOST_DOTS = 20_000
_PAPER, _INK, _FAINT = (252, 252, 250), (35, 38, 45), (105, 110, 120)
NO_FONT = "no font with Hangul was found: the map shows numbers in place of words (Debian: apt install fonts-nanum)"


def draw_map(found: Assignment, names: list[str], sizes: list[int], title: str) -> tuple[bytes, list[str]]:
    """The map as a PNG file, and warnings.

    Parameters:
        names: what each topic's label says.
        sizes: how many texts each has.
        title: stands above.
    """
    hangul = any("가" <= letter <= "힣" for text in (title, *names) for letter in text)
    warnings = []
    if hangul and find_font(10, hangul=True) is None:
        hangul = False
        warnings.append(NO_FONT)
        names = [f"topic {number}" for number in range(1, len(names) + 1)]
        title = "".join(letter for letter in title if ord(letter) < 0x1100).strip(" ·")
    scale = _SHARPER
    bold = find_font(20 * scale, bold=True, hangul=hangul)
    plain = find_font(16 * scale, hangul=hangul)
    heading = find_font(30 * scale, bold=True, hangul=hangul)
    lines = [_label(name, size) for name, size in zip(names, sizes, strict=True)]
    boxes = np.array([_measure(line, bold, plain) for line in lines])
    size = ((SIZE[0] - 2 * _MARGIN) * scale, (SIZE[1] - _TITLE_ROOM - _MARGIN) * scale)
    laid = map_of(found, boxes, size)
    canvas = Image.new("RGB", (laid.width + 2 * _MARGIN * scale, laid.height + (_TITLE_ROOM + _MARGIN) * scale), _PAPER)
    pen = ImageDraw.Draw(canvas, "RGBA")
    pen.text((_MARGIN * scale, 28 * scale), title, font=heading, fill=_INK)
    offset = np.array([_MARGIN * scale, _TITLE_ROOM * scale])
    colours = [_colour(number) for number in range(len(names))]
    centres = laid.centres + offset
    for centre, radius, colour in zip(centres, laid.radii, colours, strict=True):
        pen.ellipse([*(centre - radius), *(centre + radius)], fill=(*colour, 34), outline=(*colour, 190), width=2 * scale)
    _draw_dots(pen, laid.dots + offset, found.group, colours, scale)
    for number, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        x = centres[number][0]
        y = centres[number][1] + laid.radii[number] + 6 * scale
        pen.text((x, y), line[0], font=bold, fill=_INK, anchor="ma")
        pen.text((x, y + box[1] - 26 * scale), line[1], font=plain, fill=_FAINT, anchor="ma")
    kept = canvas.resize((canvas.width // scale, canvas.height // scale), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    kept.save(memory, "PNG", optimize=True)
    return memory.getvalue(), warnings


def _draw_dots(pen: Any, dots: np.ndarray, group: np.ndarray, colours: list[Any], scale: int) -> None:
    shown = np.flatnonzero(group >= 0)
    if len(shown) > MOST_DOTS:
        shown = np.sort(np.random.default_rng(1).choice(shown, MOST_DOTS, replace=False))
    reach = scale * (3.2 if len(shown) < 1000 else 2.2 if len(shown) < 5000 else 1.5)
    for row in shown:
        x, y = dots[row]
        pen.ellipse([x - reach, y - reach, x + reach, y + reach], fill=(*colours[group[row]], 120))


def _label(name: str, size: int) -> tuple[str, str]:
    return (name if len(name) <= 34 else name[:33] + "…"), f"{size:,}"


def _measure(line: tuple[str, str], bold: Any, plain: Any) -> tuple[float, float]:
    width = max(bold.getlength(line[0]), plain.getlength(line[1]))
    height = sum(font.getbbox("가Ag")[3] for font in (bold, plain))
    return width, height + 14.0 * _SHARPER


def _colour(number: int) -> tuple[int, int, int]:
    """Colours far apart on the wheel, in turns darker and lighter."""
    red, green, blue = colorsys.hls_to_rgb((0.58 + number * 0.61803) % 1.0, (0.42, 0.52, 0.34)[number % 3], 0.62)
    return int(red * 255), int(green * 255), int(blue * 255)
