"""The map of topics, drawn."""

from __future__ import annotations

import colorsys
import io
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from actors.fonts import find_font

from .projection import map_of
from .topics import Assignment

#: Pixels of the picture, and how much larger it is drawn than kept.
SIZE = (1600, 1080)
_SHARPER = 2
_TITLE_ROOM = 100
_MARGIN = 30
MOST_DOTS = 20_000
_PAPER, _INK, _FAINT = (252, 252, 250), (35, 38, 45), (105, 110, 120)
_LEGEND = (
    "원의 넓이는 텍스트 수, 점 하나는 텍스트 하나: 가운데일수록 확실하고, 색이 섞이면 다른 주제도 다룹니다",
    "a circle's area is its number of texts; a dot is a text, surer near the middle, mixed in colour where "
    "it is about other topics too",
)
NO_FONT = (
    "no font with Hangul was found: the map shows numbers in place of words (Debian: apt install fonts-nanum)"
)


def draw_map(found: Assignment, labels: list[tuple[str, str]], title: str) -> tuple[bytes, list[str]]:
    """The map as a PNG file, and warnings.

    Parameters:
        labels: two lines for each topic, which stand below its circle.
        title: stands above.
    """
    lines = [(_cut(first), _cut(second)) for first, second in labels]
    # The heading is Korean, too; where no font shows it, only the words ask for one.
    hangul = any("가" <= letter <= "힣" for text in chain([title], *lines) for letter in text)
    warnings = []
    if hangul and find_font(10, hangul=True) is None:
        hangul = False
        warnings.append(NO_FONT)
        lines = [(f"{number}", _without_hangul(second)) for number, (_, second) in enumerate(lines, start=1)]
        title = _without_hangul(title)
    scale = _SHARPER
    bold = find_font(23 * scale, bold=True, hangul=hangul)
    plain = find_font(18 * scale, hangul=hangul)
    heading = find_font(32 * scale, bold=True, hangul=hangul)
    boxes = np.array([_measure(line, bold, plain) for line in lines])
    size = ((SIZE[0] - 2 * _MARGIN) * scale, (SIZE[1] - _TITLE_ROOM - _MARGIN) * scale)
    laid = map_of(found, boxes, size)
    canvas = Image.new(
        "RGB", (laid.width + 2 * _MARGIN * scale, laid.height + (_TITLE_ROOM + _MARGIN) * scale), _PAPER
    )
    pen = ImageDraw.Draw(canvas, "RGBA")
    pen.text((_MARGIN * scale, 24 * scale), title, font=heading, fill=_INK)
    pen.text((_MARGIN * scale, 66 * scale), _LEGEND[not hangul], font=plain, fill=_FAINT)
    offset = np.array([_MARGIN * scale, _TITLE_ROOM * scale])
    colours = [_colour(number) for number in range(len(lines))]
    centres = laid.centres + offset
    for centre, radius, colour in zip(centres, laid.radii, colours, strict=True):
        pen.ellipse(
            [*(centre - radius), *(centre + radius)],
            fill=(*colour, 34),
            outline=(*colour, 190),
            width=2 * scale,
        )
    _draw_dots(pen, laid.dots + offset, found, colours, scale)
    for number, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        x = centres[number][0]
        y = centres[number][1] + laid.radii[number] + 6 * scale
        pen.text((x, y), line[0], font=bold, fill=_INK, anchor="ma")
        pen.text((x, y + box[1] - 29 * scale), line[1], font=plain, fill=_FAINT, anchor="ma")
    kept = canvas.resize((canvas.width // scale, canvas.height // scale), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    kept.save(memory, "PNG", optimize=True)
    return memory.getvalue(), warnings


def _draw_dots(pen: Any, dots: np.ndarray, found: Assignment, colours: list[Any], scale: int) -> None:
    shown = np.flatnonzero(found.group >= 0)
    # A text that is about two topics has a colour between theirs.
    mixed = (found.shares @ np.array(colours)).clip(0, 255).astype(int)
    if len(shown) > MOST_DOTS:
        shown = np.sort(np.random.default_rng(1).choice(shown, MOST_DOTS, replace=False))
    reach = scale * (3.4 if len(shown) < 1500 else 2.4 if len(shown) < 5000 else 1.7)
    for row in shown:
        x, y = dots[row]
        pen.ellipse([x - reach, y - reach, x + reach, y + reach], fill=(*mixed[row].tolist(), 170))


def _cut(line: str) -> str:
    return line if len(line) <= 36 else line[:35] + "…"


def _without_hangul(line: str) -> str:
    return "".join(letter for letter in line if ord(letter) < 0x1100).strip(" ·,")


def _measure(line: tuple[str, str], bold: Any, plain: Any) -> tuple[float, float]:
    width = max(bold.getlength(line[0]), plain.getlength(line[1]))
    height = sum(font.getbbox("가Ag")[3] for font in (bold, plain))
    return width, height + 14.0 * _SHARPER


def _colour(number: int) -> tuple[int, int, int]:
    """Colours far apart on the wheel, in turns darker and lighter."""
    red, green, blue = colorsys.hls_to_rgb(
        (0.58 + number * 0.61803) % 1.0, (0.42, 0.52, 0.34)[number % 3], 0.62
    )
    return int(red * 255), int(green * 255), int(blue * 255)
