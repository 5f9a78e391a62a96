"""Drawing tables whose truth is known: what the samples and the accuracy benchmark have in common."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Font = Any
Truth = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One cell to draw: where it stands (from 0), how far it reaches, what it says, how it is aligned."""

    row: int
    column: int
    text: str
    row_span: int = 1
    column_span: int = 1
    align: str = "left"

    def truth(self) -> Truth:
        return {
            "row": self.row,
            "column": self.column,
            "row_span": self.row_span,
            "column_span": self.column_span,
            "text": " ".join(self.text.split()),
        }


@dataclass(frozen=True)
class Style:
    """How a table looks. ``rules``: all, horizontal, header (booktabs), inner, frame or none."""

    font: Font
    header_font: Font
    rules: str = "all"
    rule_width: int = 2
    rule_colour: int = 0
    header_shade: int = 255
    zebra_shade: int = 255
    ink: int = 0
    padding: tuple[int, int] = (12, 8)
    header_rows: int = 1


@dataclass
class Page:
    """A white page being drawn on, and the truth about the tables on it."""

    width: int
    height: int
    tables: list[Truth] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("L", (self.width, self.height), 255)
        self.pen = ImageDraw.Draw(self.image)

    def text(self, x: int, y: int, text: str, font: Font, ink: int = 0) -> None:
        self.pen.text((x, y), text, font=font, fill=ink)

    def table(
        self, x: int, y: int, entries: list[Entry], style: Style, widths: list[int] | None = None
    ) -> int:
        """Draw a table with its top left corner at (x, y); returns the y of its lower edge."""
        columns = _edges(x, widths or column_widths(entries, style))
        rows = _edges(y, row_heights(entries, style))
        self._shade(entries, style, columns, rows)
        for entry in entries:
            self._entry(entry, style, columns, rows)
        self._rules(entries, style, columns, rows)
        self.tables.append(
            {
                "rows": len(rows) - 1,
                "columns": len(columns) - 1,
                "ruled": style.rules in ("all", "inner"),
                "cells": [entry.truth() for entry in entries if entry.text],
            }
        )
        return rows[-1]

    def _shade(self, entries: list[Entry], style: Style, columns: list[int], rows: list[int]) -> None:
        for row in range(len(rows) - 1):
            shade = style.header_shade if row < style.header_rows else 255
            if row >= style.header_rows and row % 2:
                shade = style.zebra_shade
            if shade != 255:
                self.pen.rectangle((columns[0], rows[row], columns[-1], rows[row + 1]), fill=shade)

    def _entry(self, entry: Entry, style: Style, columns: list[int], rows: list[int]) -> None:
        font = style.header_font if entry.row < style.header_rows else style.font
        left, right = columns[entry.column], columns[entry.column + entry.column_span]
        top, bottom = rows[entry.row], rows[entry.row + entry.row_span]
        box = self.pen.multiline_textbbox((0, 0), entry.text, font=font)
        width, height = box[2] - box[0], box[3] - box[1]
        ascent = font.getbbox("Ag")
        height = max(height, ascent[3] - ascent[1])
        x = {
            "left": left + style.padding[0],
            "right": right - style.padding[0] - width,
            "centre": (left + right - width) // 2,
        }[entry.align]
        y = (top + bottom - height) // 2 - ascent[1]
        dark_paper = entry.row < style.header_rows and style.header_shade < 110
        ink = 255 if dark_paper else style.ink
        self.pen.multiline_text((x - box[0], y), entry.text, font=font, fill=ink, spacing=4)

    def _rules(self, entries: list[Entry], style: Style, columns: list[int], rows: list[int]) -> None:
        def line(x0: int, y0: int, x1: int, y1: int) -> None:
            self.pen.line((x0, y0, x1, y1), fill=style.rule_colour, width=style.rule_width)

        left, right, top, bottom = columns[0], columns[-1], rows[0], rows[-1]
        if style.rules in ("all", "frame"):
            for x in (left, right):
                line(x, top, x, bottom)
            for y in (top, bottom):
                line(left, y, right, y)
        if style.rules in ("all", "inner"):
            owner = {
                (row, column): index
                for index, entry in enumerate(entries)
                for row in range(entry.row, entry.row + entry.row_span)
                for column in range(entry.column, entry.column + entry.column_span)
            }
            for row in range(len(rows) - 1):
                for column in range(len(columns) - 1):
                    here = owner.get((row, column), (row, column))
                    beside = owner.get((row, column + 1), (row, column + 1))
                    below = owner.get((row + 1, column), (row + 1, column))
                    if column + 2 < len(columns) and beside != here:
                        line(columns[column + 1], rows[row], columns[column + 1], rows[row + 1])
                    if row + 2 < len(rows) and below != here:
                        line(columns[column], rows[row + 1], columns[column + 1], rows[row + 1])
        if style.rules == "horizontal":
            for y in rows:
                line(left, y, right, y)
        if style.rules == "header":
            for y in (top, rows[style.header_rows], bottom):
                line(left, y, right, y)

    def truth(self) -> Truth:
        return {"tables": [{"page": 1, **table} for table in self.tables]}


def column_widths(entries: list[Entry], style: Style) -> list[int]:
    """Pixels per column, so that each entry of one column fits."""
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    widths = [0] * max(entry.column + entry.column_span for entry in entries)
    for entry in sorted(entries, key=lambda entry: entry.column_span):
        font = style.header_font if entry.row < style.header_rows else style.font
        box = pen.multiline_textbbox((0, 0), entry.text, font=font)
        need = int(box[2] - box[0]) + 2 * style.padding[0]
        covered = range(entry.column, entry.column + entry.column_span)
        lack = need - sum(widths[column] for column in covered)
        for column in covered:
            widths[column] += max(0, -(-lack // entry.column_span))
    return widths


def row_heights(entries: list[Entry], style: Style) -> list[int]:
    """Pixels per row, so that each entry of one row fits."""
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    line = style.font.getbbox("Ag")
    least = int(line[3] - line[1]) + 2 * style.padding[1]
    heights = [least] * max(entry.row + entry.row_span for entry in entries)
    for entry in entries:
        if entry.row_span == 1:
            font = style.header_font if entry.row < style.header_rows else style.font
            box = pen.multiline_textbbox((0, 0), entry.text, font=font)
            heights[entry.row] = max(heights[entry.row], int(box[3] - box[1]) + 2 * style.padding[1])
    return heights


def grid_entries(rows: list[list[str]], aligns: list[str], header_rows: int = 1) -> list[Entry]:
    """Entries of a table without merged cells; headers stand in the middle."""
    return [
        Entry(row, column, text, align="centre" if row < header_rows else aligns[column])
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    ]


def moved(entries: list[Entry], rows: int) -> list[Entry]:
    """The same entries, some rows further down."""
    return [replace(entry, row=entry.row + rows) for entry in entries]


def scanned(image: Image.Image, *, angle: float, noise: float, blur: float, seed: int) -> Image.Image:
    """The page as a scanner may see it: turned, blurred, lit unevenly, with grain."""
    random = np.random.default_rng(seed)
    turned = image.rotate(angle, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    if blur:
        turned = turned.filter(ImageFilter.GaussianBlur(blur))
    pixels = np.asarray(turned, dtype=np.float32)
    if noise:
        light = np.linspace(1.0, 0.92, pixels.shape[1], dtype=np.float32)
        pixels = pixels * light + random.normal(0, noise, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """What JPEG leaves of an image."""
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=quality)
    return Image.open(io.BytesIO(memory.getvalue())).convert("L")


def find_font(names: list[str], size: int) -> Font:
    """The first of some font files that this machine has, else the font that comes with Pillow."""
    for name in names:
        for folder in ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts"):
            for path in sorted(Path(folder).rglob(name)):
                return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


def _edges(start: int, sizes: list[int]) -> list[int]:
    return [start + sum(sizes[:index]) for index in range(len(sizes) + 1)]
