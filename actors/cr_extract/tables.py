"""What layout finds on a page: tables of cells. Plain data that travels as JSON."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from .words import Box, Word, text_rows


@dataclass(frozen=True)
class Cell:
    """One cell; rows and columns count from 0.

    Attributes:
        text: what it says; its lines are parted by a newline.
        confidence: from 0 to 1; None for an empty cell.
        box: where it stands, in pixels of the deskewed page.
        unread: it holds text that nothing installed here reads.
        review: why a person should look at it, or None.
    """

    row: int
    column: int
    text: str
    box: Box
    row_span: int = 1
    column_span: int = 1
    confidence: float | None = None
    unread: bool = False
    review: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of a page (from 1). ``ruled``: its grid was drawn, not inferred from how words are aligned."""

    page: int
    box: Box
    rows: int
    columns: int
    ruled: bool
    cells: list[Cell] = field(default_factory=list)

    def texts(self) -> list[list[str]]:
        """The texts as rows × columns; a merged cell's stands in its first place."""
        grid = [[""] * self.columns for _ in range(self.rows)]
        for cell in self.cells:
            grid[cell.row][cell.column] = cell.text
        return grid

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Table:
        cells = [Cell(**{**cell, "box": Box(**cell["box"])}) for cell in value["cells"]]
        return cls(**{**value, "box": Box(**value["box"]), "cells": cells})


def filled_cell(place: tuple[int, int], spans: tuple[int, int], box: Box, words: list[Word]) -> Cell:
    """A cell at (row, column), covering (rows, columns), with the text, confidence and marks of its words."""
    lines = [" ".join(word.text for word in row_ if word.text) for row_ in text_rows(words)]
    length = sum(len(word.text) for word in words)
    confidence = sum(word.confidence * len(word.text) for word in words) / length if length else None
    return Cell(
        row=place[0],
        column=place[1],
        text=_without_gaps("\n".join(line for line in lines if line)),
        box=box,
        row_span=spans[0],
        column_span=spans[1],
        confidence=None if confidence is None else round(confidence, 4),
        unread=any(word.unread for word in words),
    )


def _without_gaps(text: str) -> str:
    """A figure without the gap that wide type leaves beside its marks: ``646, 70`` is ``646,70``."""
    if not any(character.isalpha() for character in text):
        text = re.sub(r"(?<=\d[.,]) (?=\d)|(?<=\d) (?=[.,]\d)|(?<=[-($€£₩]) (?=\d)", "", text)
    return text
