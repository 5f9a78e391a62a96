"""Tables of a page: drawn grids first, then words that are aligned; doubtful cells are read again."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .ocr import crop
from .pages import PageImage
from .recogniser import recognise
from .ruled import find_grids, holds_text, read_grid
from .rulings import find_rulings, without_rulings
from .segments import Segment, ink_of, looks_unread
from .tables import Cell, Table
from .unruled import find_aligned
from .words import PageWords

_SURE = 0.85
_LEAST_CONFIDENCE = 0.7


def find_tables(page: PageWords, image: PageImage) -> list[Table]:
    """The tables of a page, from the top.

    Args:
        page: its words.
        image: the deskewed picture that the words' boxes belong to, height × width × 3.
    """
    rulings = find_rulings(image)
    clean = without_rulings(image, rulings)
    words = list(page.words)
    tables = []
    for grid in find_grids(rulings):
        inside = [word for word in words if grid.box.holds(word.box.centre)]
        table = read_grid(grid, inside, page.number)
        # A single row of boxes is a header whose table has no grid, or a form's field.
        if table.rows < 2 or not holds_text(table.cells):
            continue
        tables.append(_read_again(table, clean, rulings.text_height))
        words = [word for word in words if not grid.box.holds(word.box.centre)]
    tables += find_aligned(words, rulings.horizontal, page.number)
    return sorted(tables, key=lambda table: (table.box.top, table.box.left))


def _read_again(table: Table, image: PageImage, text_height: float) -> Table:
    """The table with cells that have ink but no text, or a doubtful one, read from an enlarged picture."""
    doubtful = [
        (index, cell)
        for index, cell in enumerate(table.cells)
        if not cell.unread and (not cell.text or ("\n" not in cell.text and (cell.confidence or 0) < _SURE))
    ]
    pictures, found = [], []
    for index, cell in doubtful:
        picture = _ink_of_cell(cell, image, text_height)
        if picture is not None:
            pictures.append(picture)
            found.append(index)
    cells = list(table.cells)
    for index, picture, reading in zip(found, pictures, recognise(pictures), strict=True):
        cell = cells[index]
        text = reading.text.strip()
        whole = Segment(cell.box, reading, 0)
        if not text or reading.confidence <= max(cell.confidence or 0.0, _LEAST_CONFIDENCE):
            continue
        if not looks_unread(whole, ink_of(picture), strict=True):
            cells[index] = replace(cell, text=text, confidence=round(reading.confidence, 4))
    return replace(table, cells=cells)


def _ink_of_cell(cell: Cell, image: PageImage, text_height: float) -> PageImage | None:
    """A cell's picture, cut to its ink (one line at most) and enlarged; None when it holds no text."""
    inset = 0.18 * text_height
    box = cell.box
    picture = crop(
        image,
        replace(
            box,
            left=box.left + inset,
            top=box.top + inset,
            right=box.right - inset,
            bottom=box.bottom - inset,
        ),
    )
    if min(picture.shape[:2]) < 6:
        return None
    ink = ink_of(picture)
    share = float(ink.mean())
    rows, columns = np.flatnonzero(ink.sum(axis=1)), np.flatnonzero(ink.sum(axis=0))
    if not 0.0005 < share < 0.5 or len(rows) == 0:
        return None
    height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
    is_dash = height < 0.4 * text_height and 0.25 * text_height < width < 1.8 * text_height
    if height > 2.2 * text_height or (height < 0.5 * text_height and not is_dash):
        return None
    margin = int(0.35 * text_height) if not is_dash else int(0.8 * text_height)
    part = picture[
        max(int(rows[0]) - margin, 0) : int(rows[-1]) + margin + 1,
        max(int(columns[0]) - margin, 0) : int(columns[-1]) + margin + 1,
    ]
    return np.asarray(cv2.resize(part, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
