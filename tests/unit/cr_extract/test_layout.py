"""Grids and aligned words: rows, columns, merged cells. No OCR here; words are given."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from actors.cr_extract.deskew import deskew, rotate
from actors.cr_extract.ruled import find_grids, read_grid
from actors.cr_extract.rulings import find_rulings, without_rulings
from actors.cr_extract.unruled import find_aligned
from actors.cr_extract.words import Box, Word

ROWS, COLUMNS = [100, 150, 200, 250, 300], [80, 240, 400, 560, 720]


def text(page: np.ndarray, x: int, y: int, words: str) -> None:
    cv2.putText(page, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2, cv2.LINE_AA)


def drawn_grid(*, width: int = 2, tone: int = 0, merged: bool = False) -> np.ndarray:
    """A page of 800 × 400 with a grid of 4 × 4 cells, each holding text."""
    page = np.full((400, 800, 3), 255, np.uint8)
    colour = (tone, tone, tone)
    for y in ROWS:
        cv2.line(page, (COLUMNS[0], y), (COLUMNS[-1], y), colour, width)
    for x in COLUMNS:
        cv2.line(page, (x, ROWS[0]), (x, ROWS[-1]), colour, width)
    if merged:
        # The first row's last two cells are one, and so are the first column's last two.
        cv2.line(page, (560, 106), (560, 144), (255, 255, 255), width + 2)
        cv2.line(page, (86, 250), (234, 250), (255, 255, 255), width + 2)
    for row in range(4):
        for column in range(4):
            text(page, COLUMNS[column] + 20, ROWS[row] + 33, f"{row}{column}.50")
    return page


def word(content: str, left: float, top: float, line: int = 0) -> Word:
    return Word(content, Box(left, top, left + 11 * len(content), top + 18), 0.99, line)


def words_of(rows: list[list[str]], lefts: list[int], pitch: int = 40) -> list[Word]:
    """Words of a table without rules; each column begins at its x."""
    found = []
    for r, texts in enumerate(rows):
        for left, content in zip(lefts, texts, strict=True):
            x = float(left)
            for part in content.split():
                found.append(word(part, x, 100 + pitch * r, r))
                x += 11 * len(part) + 6
    return found


@pytest.mark.parametrize(("width", "tone"), [(1, 0), (2, 0), (5, 0), (1, 190), (2, 225)])
def test_a_grid_is_found_whatever_its_lines(width: int, tone: int) -> None:
    grids = find_grids(find_rulings(drawn_grid(width=width, tone=tone)))
    assert len(grids) == 1
    assert len(grids[0].spans) == 16
    assert np.allclose(grids[0].row_edges, ROWS, atol=3)
    assert np.allclose(grids[0].column_edges, COLUMNS, atol=3)


def test_merged_cells_are_kept() -> None:
    (grid,) = find_grids(find_rulings(drawn_grid(merged=True)))
    spans = {(span.row, span.column): (span.rows, span.columns) for span in grid.spans}
    assert spans[0, 2] == (1, 2)
    assert spans[2, 0] == (2, 1)
    assert len(spans) == 14


def test_a_grid_is_found_askew_noisy_and_broken() -> None:
    page = drawn_grid()
    page[100:300, 300:304] = 255
    page[100:300, 470:473] = 255
    random = np.random.default_rng(3)
    turned = rotate(page, 3.0).astype(np.float32)
    noisy = (turned + random.normal(0, 12, turned.shape)).clip(0, 255).astype(np.uint8)
    upright, angle = deskew(noisy)
    assert angle == pytest.approx(-3.0, abs=0.2)
    (grid,) = find_grids(find_rulings(upright))
    assert len(grid.spans) == 16


def test_an_upright_page_is_left_as_it_is() -> None:
    page = drawn_grid()
    assert deskew(page)[0] is page


def test_sides_that_are_not_drawn_are_added() -> None:
    page = np.full((400, 800, 3), 255, np.uint8)
    for y in ROWS[1:-1]:
        cv2.line(page, (COLUMNS[0], y), (COLUMNS[-1], y), (0, 0, 0), 2)
    for x in COLUMNS[1:-1]:
        cv2.line(page, (x, ROWS[0]), (x, ROWS[-1]), (0, 0, 0), 2)
    (grid,) = find_grids(find_rulings(page))
    assert (len(grid.row_edges), len(grid.column_edges)) == (5, 5)


def test_painting_rules_over_leaves_the_text() -> None:
    page = drawn_grid()
    clean = without_rulings(page, find_rulings(page))
    assert clean[ROWS[1] - 1 : ROWS[1] + 2, 90:230].min() > 200
    assert clean[110:145, 100:160].min() < 60


def test_letters_are_no_rules() -> None:
    page = np.full((400, 900, 3), 255, np.uint8)
    for y in (80, 130, 180, 230):
        text(page, 40, y, "Illness will fill IIII HHH EEE 1111 ||| T-T-T ___")
    assert find_grids(find_rulings(page)) == []


def test_words_go_to_the_cell_of_their_middle() -> None:
    (grid,) = find_grids(find_rulings(drawn_grid(merged=True)))
    words = [word("Name", 100, 116), word("Order", 440, 116), word("total", 520, 116), word("7", 260, 166)]
    table = read_grid(grid, words, page=1)
    texts = {(cell.row, cell.column): cell.text for cell in table.cells if cell.text}
    assert texts == {(0, 0): "Name", (0, 2): "Order total", (1, 1): "7"}
    assert (table.rows, table.columns, table.ruled) == (4, 4, True)


def test_rows_without_a_rule_between_them_are_parted_but_not_wrapped_text() -> None:
    page = np.full((400, 800, 3), 255, np.uint8)
    for y in (100, 140, 300):
        cv2.line(page, (80, y), (560, y), (0, 0, 0), 2)
    for x in (80, 320, 440, 560):
        cv2.line(page, (x, 100), (x, 300), (0, 0, 0), 2)
    (grid,) = find_grids(find_rulings(page))
    header = [word("Item", 90, 110), word("Count", 330, 110), word("Price", 450, 110)]
    aligned = [
        word(f"{name}{row}", left, 150 + 35 * row)
        for row in range(4)
        for name, left in (("thing", 90), ("1", 330), ("2.5", 450))
    ]
    assert read_grid(grid, header + aligned, page=1).rows == 5
    wrapped = [word(f"thing{row}", 90, 150 + 35 * row) for row in range(4)]
    amounts = [word("12", 330, 200), word("2.50", 450, 200)]
    table = read_grid(grid, header + wrapped + amounts, page=1)
    assert table.rows == 2
    assert table.texts()[1][0] == "thing0\nthing1\nthing2\nthing3"


def test_aligned_words_are_a_table() -> None:
    rows = [["Building", "Gas", "Change"], ["Town hall", "12,045", "-3.2%"], ["Library", "8,410", "1.5%"]]
    (table,) = find_aligned(words_of(rows, [100, 300, 450]), [], page=2)
    assert table.texts() == rows
    assert (table.page, table.ruled) == (2, False)


def test_an_empty_cell_stays_empty() -> None:
    rows = [["Date", "Out", "In"], ["A", "1.00", ""], ["B", "", "2.00"], ["C", "3.00", ""]]
    (table,) = find_aligned(words_of(rows, [100, 300, 450]), [], page=1)
    assert table.texts() == rows


def test_two_tables_far_apart_are_two() -> None:
    first = words_of([["a", "1", "2"], ["b", "3", "4"], ["c", "5", "6"]], [100, 300, 450])
    second = [
        Word(w.text, Box(w.box.left, w.box.top + 400, w.box.right, w.box.bottom + 400), 0.9, w.line + 9)
        for w in first
    ]
    assert len(find_aligned(first + second, [], page=1)) == 2


def test_prose_and_labels_are_no_table() -> None:
    prose = words_of([["thank you for your letter of last week"], ["we have looked into it"]] * 3, [100])
    assert find_aligned(prose, [], page=1) == []
    labels = words_of(
        [["Date:", "2024-01-05"], ["Invoice:", "12345"], ["Customer:", "Northwind"]], [100, 400]
    )
    assert find_aligned(labels, [], page=1) == []
    assert find_aligned([], [], page=1) == []
