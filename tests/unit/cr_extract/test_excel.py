"""The Excel file, opened again."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import openpyxl

from actors.cr_extract.excel import header_rows, write_excel
from actors.cr_extract.findings import RULES, Check, Findings, make_field
from actors.cr_extract.tables import Cell, Table
from actors.cr_extract.values import Habits
from actors.cr_extract.words import Box

BOX = Box(0, 0, 1, 1)
ROWS = [
    ["Code", "Item", "Count", "Price", "Share", "Date"],
    ["0012", "Door", "7", "$1,036.00", "12.5%", "2024-02-05"],
    ["0047", "=1+1", "-2", "(12.90)", "-3.2%", "05.02.2024"],
]


def table(rows: list[list[str]]) -> Table:
    cells = [Cell(r, c, text, BOX) for r, row in enumerate(rows) for c, text in enumerate(row)]
    return Table(1, BOX, len(rows), len(rows[0]), ruled=True, cells=cells)


def written(tables: list[Table], findings: Findings | None = None) -> tuple[Any, Any]:
    content, counts = write_excel(tables, findings or Findings(RULES))
    return openpyxl.load_workbook(io.BytesIO(content)), counts


def test_cells_are_typed() -> None:
    book, counts = written([table(ROWS)])
    sheet = book["Table 1"]
    values = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert values == [
        ["Code", "Item", "Count", "Price", "Share", "Date"],
        ["0012", "Door", 7, 1036, 0.125, datetime(2024, 2, 5)],
        ["0047", "=1+1", -2, -12.9, -0.032, datetime(2024, 2, 5)],
    ]
    assert sheet["A2"].data_type == sheet["B3"].data_type == "s"
    assert sheet["D2"].number_format == '"$"#,##0.00'
    assert sheet["E2"].number_format == "0.0%"
    assert sheet["F2"].is_date
    assert (counts.tables, counts.rows, counts.cells) == (1, 3, 18)


def test_the_header_stands_out() -> None:
    book, _ = written([table(ROWS)])
    sheet = book["Table 1"]
    assert sheet["A1"].font.bold
    assert not sheet["A2"].font.bold
    assert sheet.freeze_panes == "A2"


def test_merged_cells_are_merged() -> None:
    cells = [
        Cell(0, 0, "Name", BOX, row_span=2),
        Cell(0, 1, "Order", BOX, column_span=2),
        Cell(1, 1, "Count", BOX),
        Cell(1, 2, "Price", BOX),
        Cell(2, 0, "Total", BOX, column_span=2),
        Cell(2, 2, "1,234", BOX),
    ]
    merged = Table(1, BOX, 3, 3, ruled=True, cells=cells)
    assert header_rows(merged) == 2
    book, counts = written([merged])
    sheet = book["Table 1"]
    assert {str(area) for area in sheet.merged_cells.ranges} == {"A1:A2", "B1:C1", "A3:B3"}
    assert (sheet["A1"].value, sheet["B1"].value, sheet["C3"].value) == ("Name", "Order", 1234)
    assert counts.cells == 6


def test_cells_for_review_say_why() -> None:
    cells = [Cell(0, 0, "9", BOX, review="rows = total: expected 8"), Cell(0, 1, "", BOX, unread=True)]
    book, _ = written([Table(1, BOX, 1, 2, ruled=True, cells=cells)])
    sheet = book["Table 1"]
    assert "expected 8" in sheet["A1"].comment.text
    assert "could not be read" in sheet["B1"].comment.text


def test_each_table_has_a_sheet_and_fields_have_theirs() -> None:
    findings = Findings(
        RULES,
        [make_field("Total", "1,250.50", Habits(), page=1, confidence=0.98)],
        [Check("sum + tax = total", "fields", "1250.5", "1250.6", passed=False)],
        warnings=["page 1: something"],
    )
    book, counts = written([table(ROWS), table(ROWS)], findings)
    assert book.sheetnames == ["Table 1", "Table 2", "Fields"]
    assert counts.tables == 2
    rows = [[cell.value for cell in row] for row in book["Fields"].iter_rows()]
    assert rows[1][:4] == ["Total", 1250.5, 1, 0.98]
    assert ["sum + tax = total", "fields", False, 1250.5, 1250.6] in rows
    texts = [row[0] for row in rows]
    assert "engine: rules" in texts
    assert "page 1: something" in texts


def test_without_tables_only_fields_are_written() -> None:
    book, counts = written([])
    assert book.sheetnames == ["Fields"]
    assert (counts.tables, counts.rows, counts.cells) == (0, 0, 0)
