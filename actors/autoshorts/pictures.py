"""A picture for each scene, from its text: scenery, figure, title; and its subtitle on a sheet of its own."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from actors.fonts import find_font
from callboard.errors import WorkflowError

from . import motifs, scenery
from .canvas import OVERSAMPLING, Canvas
from .palettes import PALETTES

#: Pictures are so much larger than the frame that the camera can move over them.
ROOM = 1.25
_FIGURE_SIZE = 0.27
_TITLE_SIZE, _SUBTITLE_SIZE = 0.088, 0.052
_LONGEST_SUBTITLE_LINES = 4


def draw_scene(scene: Mapping[str, Any], width: int, height: int) -> bytes:
    """The picture of a scene of the layout, as PNG; ``width`` and ``height`` are the frame's."""
    canvas = Canvas(even(width * ROOM), even(height * ROOM))
    random = np.random.default_rng(scene["seed"])
    text = f"{scene['visual']} {scene['narration']}"
    place = named(text, scenery.WORDS, "rings")[0]
    # No rain falls from a sunny sky.
    palettes = PALETTES["tense" if place == "rain" else scene["mood"]]
    palette = palettes[int(random.integers(len(palettes)))]
    canvas.gradient(palette.sky)
    scenery.PAINTERS[place](canvas, palette, random)
    figures = named(text, motifs.WORDS, "star")
    figure = motifs.PAINTERS[figures[(scene["number"] - 1) % len(figures)]]
    size = _FIGURE_SIZE * float(random.uniform(0.92, 1.08))
    centre = (0.5 + float(random.uniform(-0.1, 0.1)), 0.55 + float(random.uniform(-0.02, 0.02)))
    canvas.cloudy(centre, (size * 1.5, size * 1.5), palette.light, 95, size * 0.4)
    figure(canvas, centre, size, palette)
    return _png(canvas.finished())


def draw_words(scene: Mapping[str, Any], width: int, height: int) -> bytes:
    """The title and the subtitle of a scene on a transparent sheet of the frame's size, as PNG.

    They lie above the moving picture and do not move.
    """
    sheet = Image.new("RGBA", (width * OVERSAMPLING, height * OVERSAMPLING))
    _title(sheet, legible(scene["title"]), f"{scene['number']:02d}")
    _subtitle(sheet, legible(scene["narration"]))
    return _png(sheet.resize((width, height), Image.Resampling.LANCZOS))


def named(text: str, words: Mapping[str, tuple[str, ...]], otherwise: str) -> list[str]:
    """The names whose words are in a text, in their order there; a short word counts as a whole."""
    lowered = f"{text.lower()} "
    places = {
        name: [place for word in known if (place := _place(word, lowered)) >= 0]
        for name, known in words.items()
    }
    return sorted((name for name in places if places[name]), key=lambda name: min(places[name])) or [
        otherwise
    ]


def legible(text: str) -> str:
    """A text without what the font cannot show: emoji and signs that nobody sees."""
    kept = (
        letter
        for letter in text
        if ord(letter) < 0x10000 and unicodedata.category(letter) not in ("So", "Cc", "Cf")
    )
    return " ".join("".join(kept).split())


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """A text in lines that are no wider; a word that is wider is broken."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def even(value: float) -> int:
    """The next even number, as video wants it."""
    return round(value / 2) * 2


def _title(sheet: Image.Image, title: str, number: str) -> None:
    width, height = sheet.size
    unit = min(width, height)
    font = _font(unit * _TITLE_SIZE)
    lines = wrapped(title, font, width * 0.86)[:2]
    step = font.size * 1.25
    top = height * 0.12
    shade = Image.new("L", sheet.size)
    glyphs = Image.new("L", sheet.size)
    for target, colour in ((shade, 150), (glyphs, 255)):
        pen = ImageDraw.Draw(target)
        for index, line in enumerate(lines):
            pen.text((width / 2, top + index * step), line, font=font, fill=colour, anchor="mm")
    soft = shade.filter(ImageFilter.GaussianBlur(unit * 0.012))
    dark = Image.new("RGBA", sheet.size, (12, 8, 28, 255))
    sheet.paste(dark, (0, 0), soft.point(lambda value: min(255, value * 2)))
    sheet.paste(Image.new("RGBA", sheet.size, (255, 255, 255, 255)), (0, 0), glyphs)
    pen = ImageDraw.Draw(sheet)
    small = _font(unit * 0.042)
    badge = unit * 0.055
    centre = (width / 2, top - step * 0.95)
    pen.ellipse(
        (centre[0] - badge, centre[1] - badge, centre[0] + badge, centre[1] + badge), (255, 255, 255, 230)
    )
    pen.text(centre, number, font=small, fill=(30, 24, 52), anchor="mm")


def _subtitle(sheet: Image.Image, text: str) -> None:
    width, height = sheet.size
    unit = min(width, height)
    for size in (_SUBTITLE_SIZE, _SUBTITLE_SIZE * 0.85, _SUBTITLE_SIZE * 0.7):
        font = _font(unit * size)
        lines = _even_lines(text, font, width * 0.8)
        if len(lines) <= _LONGEST_SUBTITLE_LINES:
            break
    lines = lines[:_LONGEST_SUBTITLE_LINES]
    step = font.size * 1.4
    bottom = height * 0.9
    top = bottom - step * len(lines)
    half = max(font.getlength(line) for line in lines) / 2 + unit * 0.04
    pen = ImageDraw.Draw(sheet)
    box = (width / 2 - half, top - unit * 0.02, width / 2 + half, bottom + unit * 0.02)
    pen.rounded_rectangle(box, unit * 0.03, (14, 10, 30, 178))
    for index, line in enumerate(lines):
        middle = top + (index + 0.5) * step
        pen.text((width / 2, middle), line, font=font, fill=(255, 255, 255, 255), anchor="mm")


def _even_lines(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """As few lines as fit, about equally long."""
    lines = wrapped(text, font, width)
    if len(lines) < 2:
        return lines
    share = font.getlength(text) / len(lines)
    for narrower in (share * 1.02, share * 1.08, share * 1.15, share * 1.25):
        tried = wrapped(text, font, min(width, narrower))
        if len(tried) == len(lines):
            return tried
    return lines


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = find_font(max(6, round(size)), bold=True, hangul=True)
    if font is None:
        raise WorkflowError("no font here has Hangul: pip install 'callboard[autoshorts]'")
    return font


def _place(word: str, text: str) -> int:
    if word.isascii():
        pattern = rf"\b{word}(s|es|ing|ed)?\b"
    elif len(word) == 1:
        # A syllable of another word is no word: 책 is not in 산책.
        pattern = rf"(?<![가-힣]){word}(?=[^가-힣]|$|[은는이가을를의에도로와과만])"
    else:
        pattern = word
    found = re.search(pattern, text)
    return found.start() if found else -1


def _png(image: Image.Image) -> bytes:
    memory = io.BytesIO()
    image.save(memory, "PNG", compress_level=4)
    return memory.getvalue()
