"""Tables told by nothing but how their words are aligned (also those with rules across only)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np

from .rulings import Ruling
from .tables import Cell, Table, filled_cell
from .values import is_figure
from .words import Box, Word, enclosing, text_rows


@dataclass(frozen=True)
class Piece:
    """Words of one row that stand close together."""

    words: list[Word]

    @property
    def box(self) -> Box:
        return enclosing([word.box for word in self.words])

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


Row = list[Piece]


def find_aligned(words: list[Word], across: list[Ruling], page: int) -> list[Table]:
    """The tables that some words of a page make, from the top.

    Args:
        words: those that stand in no drawn grid.
        across: horizontal rules; where nearly every row has its own, they tell which lines are one row.
        page: the page's number.
    """
    if not words:
        return []
    height = median(word.box.height for word in words)
    rows = [pieces_of(row, height) for row in text_rows(words)]
    tables = []
    for block in _blocks(rows, across, height):
        table = _table(block, across, page, height)
        if table is not None:
            tables.append(table)
    return tables


def pieces_of(row: list[Word], height: float) -> Row:
    """A row cut where words stand further apart than a space is wide. ``height``: pixels, of usual text."""
    # Boxes are as high as the ink: the tallest word tells the size of the letters.
    own = max(height, *(word.box.height for word in row))
    # In type of fixed width a space is as wide as a letter.
    letter = median(word.box.width / max(len(word.text), 1) for word in row)
    gap = max(0.85 * own, 1.55 * letter if letter < own else 0.0)
    pieces: Row = []
    for word in row:
        if pieces and word.box.left - pieces[-1].words[-1].box.right < gap:
            pieces[-1].words.append(word)
        else:
            pieces.append(Piece([word]))
    return pieces


def _blocks(rows: list[Row], across: list[Ruling], height: float) -> list[list[Row]]:
    """Rows that follow each other closely and are mostly cut in pieces. A row in one piece may stand between
    two others (a group's heading, the second line of a description), not at either end."""
    blocks: list[list[Row]] = []
    current: list[Row] = []
    bottom = 0.0

    def close() -> None:
        while current and len(current[-1]) < 2:
            current.pop()
        if current:
            blocks.append(list(current))
        current.clear()

    pitches = [
        _middle(lower) - _middle(upper)
        for upper, lower in pairwise(rows)
        if len(upper) > 1 and len(lower) > 1
    ]
    pitch = median(pitches) if pitches else 2.5 * height
    for row in rows:
        top = min(piece.box.top for piece in row)
        far = bool(current) and top - bottom > max(1.6 * pitch, 2.5 * height)
        singles = len(row) < 2 and bool(current) and len(current[-1]) < 2
        if far or singles:
            close()
        if current or len(row) > 1:
            current.append(row)
            bottom = max(piece.box.bottom for piece in row)
    close()
    return blocks


def _table(block: list[Row], across: list[Ruling], page: int, height: float) -> Table | None:
    columns = _columns(block, height)
    if len(columns) < 2:
        return None
    rows = _merged_by_rules(_merged_wraps(block, columns, height), across)
    box = enclosing([piece.box for row in rows for piece in row])
    edges = [box.left, *((a[1] + b[0]) / 2 for a, b in pairwise(columns)), box.right]
    placed = [_cells(row, index, columns, edges) for index, row in enumerate(rows)]
    # A line above or below that fills a single place is a title or a note.
    while placed and len(placed[0]) < 2:
        placed.pop(0)
    while placed and len(placed[-1]) < 2:
        placed.pop()
    if not placed:
        return None
    cells = [replace(cell, row=index) for index, row in enumerate(placed) for cell in row]
    box = enclosing([cell.box for cell in cells])
    rows = rows[: len(placed)]
    table = Table(page, box, len(rows), len(columns), ruled=False, cells=cells)
    return table if _is_tabular(table) else None


def _columns(block: list[Row], height: float) -> list[tuple[float, float]]:
    """The columns (left, right) of a block: what is left between the stretches that nearly every row leaves
    empty. Rows in one piece have no say."""
    rows = [row for row in block if len(row) > 1]
    left = min(piece.box.left for row in rows for piece in row)
    right = max(piece.box.right for row in rows for piece in row)
    covered = np.zeros(int(right - left) + 2, np.int32)
    for row in rows:
        marks = np.zeros_like(covered)
        for piece in row:
            for word in piece.words:
                marks[int(word.box.left - left) : int(word.box.right - left) + 1] = 1
            # Spaces within a piece are no gaps between columns.
            box = piece.box
            marks[int(box.left - left) : int(box.right - left) + 1] = 1
        covered += marks
    allowed = len(rows) // 9
    filled = np.flatnonzero(covered > allowed)
    breaks = np.flatnonzero(np.diff(filled) > max(0.45 * height, 3))
    starts = [filled[0], *(filled[index + 1] for index in breaks)]
    ends = [*(filled[index] for index in breaks), filled[-1]]
    columns = [(left + float(start), left + float(end)) for start, end in zip(starts, ends, strict=True)]
    return _with_headings(columns, rows)


def _with_headings(columns: list[tuple[float, float]], rows: list[Row]) -> list[tuple[float, float]]:
    """The columns, with a heading that stands beside its figures, not above them, joined to their column."""
    filled: list[set[int]] = [
        {
            index
            for index, row in enumerate(rows)
            if any(left <= piece.box.centre[0] <= right for piece in row)
        }
        for left, right in columns
    ]
    merged = columns[:1]
    of_last = filled[0] if filled else set()
    for column, own in zip(columns[1:], filled[1:], strict=True):
        alone = max(of_last, default=2) < 2 or max(own, default=2) < 2
        if alone and of_last and own and not of_last & own:
            merged[-1] = (merged[-1][0], column[1])
            of_last = of_last | own
        else:
            merged.append(column)
            of_last = own
    return merged


def _merged_wraps(block: list[Row], columns: list[tuple[float, float]], height: float) -> list[Row]:
    """Rows in one piece that stand tight under a row, within one column, as its second line."""
    rows: list[Row] = []
    for row in block:
        if rows and len(row) == 1:
            box, above = row[0].box, enclosing([piece.box for piece in rows[-1]])
            inside = [c for c in columns if box.left >= c[0] - height and box.right <= c[1] + height]
            under = any(
                abs(piece.box.left - box.left) < height or abs(piece.box.centre[0] - box.centre[0]) < height
                for piece in rows[-1]
            )
            if inside and under and box.top - above.bottom < 0.6 * height and not is_figure(row[0].text):
                rows[-1] = [*rows[-1], *row]
                continue
        rows.append(row)
    return rows


def _merged_by_rules(rows: list[Row], across: list[Ruling]) -> list[Row]:
    """Lines between two neighbouring rules as one row, where most rows have a rule of their own."""
    box = enclosing([piece.box for row in rows for piece in row])
    wide = [r.position for r in across if r.length > 0.7 * box.width and r.start < box.right]
    inner = sorted(y for y in wide if box.top < y < box.bottom)
    if len(inner) < 2 or len(inner) < 0.6 * (len(rows) - 1):
        return rows
    bands: dict[int, list[Row]] = {}
    for row in rows:
        bands.setdefault(sum(1 for y in inner if y < _middle(row)), []).append(row)
    merged: list[Row] = []
    for _, band in sorted(bands.items()):
        # Lines that fill as many columns as each other are rows whose rule was not seen.
        fullest, *others = sorted((len(row) for row in band), reverse=True)
        if all(2 * other <= fullest for other in others):
            merged.append([piece for row in band for piece in row])
        else:
            merged += band
    return merged


def _cells(row: Row, index: int, columns: list[tuple[float, float]], edges: list[float]) -> list[Cell]:
    """The cells of a row. A piece across several columns is cut between its words where a column ends, unless
    a word of it stands in the way: then it is a merged cell."""
    placed: dict[tuple[int, int], list[Word]] = {}
    for piece in row:
        for words, first, last in _placed(piece, columns):
            placed.setdefault((first, last), []).extend(words)
    cells = []
    for (first, last), words in placed.items():
        around = enclosing([word.box for word in words])
        box = Box(edges[first], around.top, edges[last + 1], around.bottom)
        cells.append(filled_cell((index, first), (1, last - first + 1), box, words))
    return _without_overlap(sorted(cells, key=lambda cell: cell.column))


def _placed(piece: Piece, columns: list[tuple[float, float]]) -> list[tuple[list[Word], int, int]]:
    box = piece.box
    reached = [
        i
        for i, (left, right) in enumerate(columns)
        if min(box.right, right) - max(box.left, left) > 0.15 * min(right - left, box.width)
    ]
    if len(reached) < 2:
        nearest = min(range(len(columns)), key=lambda i: _distance(box.centre[0], columns[i]))
        place = reached[0] if reached else nearest
        return [(piece.words, place, place)]
    by_column: dict[int, list[Word]] = {}
    for word in piece.words:
        touched = [
            i for i in reached if min(word.box.right, columns[i][1]) - max(word.box.left, columns[i][0]) > 2
        ]
        if len(touched) > 1:
            return [(piece.words, reached[0], reached[-1])]
        nearest = min(reached, key=lambda i: _distance(word.box.centre[0], columns[i]))
        by_column.setdefault(nearest, []).append(word)
    return [(words, column, column) for column, words in by_column.items()]


def _without_overlap(cells: list[Cell]) -> list[Cell]:
    """Cells of one row where a merged one would cover another: their texts as one cell."""
    kept: list[Cell] = []
    for cell in cells:
        last = kept[-1] if kept else None
        if last and cell.column < last.column + last.column_span:
            end = max(cell.column + cell.column_span, last.column + last.column_span)
            kept[-1] = Cell(
                row=last.row,
                column=last.column,
                text=f"{last.text} {cell.text}".strip(),
                box=enclosing([last.box, cell.box]),
                column_span=end - last.column,
                confidence=min(last.confidence or 0.0, cell.confidence or 0.0),
                unread=last.unread or cell.unread,
            )
        else:
            kept.append(cell)
    return kept


def _is_tabular(table: Table) -> bool:
    """Whether aligned words are a table, and not two columns of prose or a list of labels and values."""
    texts = table.texts()
    full = sum(1 for row in texts if sum(1 for text in row if text) >= 2)
    figures = sum(1 for row in texts for text in row if is_figure(text))
    filled = sum(1 for cell in table.cells if cell.text or cell.unread)
    labels = sum(1 for row in texts if row[0].rstrip().endswith((":", "：")))
    if full < 2 or 2 * labels >= table.rows:
        return False
    longest = max(
        median(len(row[c]) for row in texts if row[c])
        for c in range(table.columns)
        if any(row[c] for row in texts)
    )
    if table.columns == 2:
        return table.rows >= 3 and figures >= 0.3 * filled and longest < 60
    return longest < 60 and filled >= 0.4 * table.rows * table.columns and (table.rows >= 3 or figures >= 2)


def _middle(row: Row) -> float:
    return median(piece.box.centre[1] for piece in row)


def _distance(x: float, column: tuple[float, float]) -> float:
    return max(column[0] - x, x - column[1], 0.0)
