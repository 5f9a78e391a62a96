"""The Excel file: a sheet for each table with typed cells and merges, and a sheet of fields and checks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import xlsxwriter

from .findings import Findings
from .tables import Cell, Table
from .values import Habits, Value, habits_of, is_figure, typed

_CURRENCY_FORMATS = {
    "USD": '"$"{}', "EUR": '{} "€"', "GBP": '"£"{}', "JPY": '"¥"{}', "KRW": '"₩"{}', "CHF": '"CHF" {}',
    "INR": '"₹"{}', "SEK": '{} "kr"',
}  # fmt: skip
_HEADER = {"bold": True, "bg_color": "#E8EDF3", "align": "center", "valign": "vcenter", "text_wrap": True}
_REVIEW = {"bg_color": "#FFF2CC"}
_BORDER = {"border": 1, "border_color": "#B0B7C0"}


@dataclass(frozen=True)
class Counts:
    """What an Excel file holds: tables, their rows, and their cells that are not empty."""

    tables: int
    rows: int
    cells: int


def write_excel(tables: list[Table], findings: Findings) -> tuple[bytes, Counts]:
    """The content of an .xlsx file, and what it holds.

    Cells of merged ranges are merged. Numbers, shares and dates are values with formats like those on paper;
    codes with leading zeros and what looks like a formula stay text. Cells to be reviewed are yellow and say
    why in a comment.
    """
    memory = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd",
    }
    with xlsxwriter.Workbook(memory, options) as book:
        pen = _Pen(book)
        habits = habits_of(cell.text for table in tables for cell in table.cells)
        for number, table in enumerate(tables, start=1):
            _write_table(book.add_worksheet(f"Table {number}"), table, pen, habits)
        _write_fields(book.add_worksheet("Fields"), findings, pen, habits)
    cells = sum(1 for table in tables for cell in table.cells if cell.text)
    return memory.getvalue(), Counts(len(tables), sum(table.rows for table in tables), cells)


class _Pen:
    """Writes typed values, making each cell format once."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._formats: dict[str, Any] = {}

    def format(self, **properties: Any) -> Any:
        """The workbook's format with some properties."""
        key = repr(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def write(self, sheet: Any, row: int, column: int, value: Value, properties: dict[str, Any]) -> None:
        """Put a value into one cell."""
        style = self.format(**properties, **_number_format(value))
        if value.day is not None:
            sheet.write_datetime(row, column, datetime.combine(value.day, time()), style)
        elif value.number is not None:
            sheet.write_number(row, column, float(value.number), style)
        elif value.text:
            sheet.write_string(row, column, value.text, style)
        else:
            sheet.write_blank(row, column, None, style)


def _write_table(sheet: Any, table: Table, pen: _Pen, habits: Habits) -> None:
    headers = header_rows(table)
    widths = [4.0] * table.columns
    for cell in table.cells:
        value = typed(cell.text, habits)
        is_header = cell.row < headers
        properties = dict(_BORDER)
        if is_header:
            properties.update(_HEADER)
            value = value if value.kind == "integer" else Value("text", cell.text)
        else:
            properties.update(valign="vcenter")
            if "\n" in cell.text:
                properties["text_wrap"] = True
        if cell.review or cell.unread:
            properties.update(_REVIEW)
        last_row, last_column = cell.row + cell.row_span - 1, cell.column + cell.column_span - 1
        if (last_row, last_column) != (cell.row, cell.column):
            style = pen.format(**properties, **_number_format(value))
            sheet.merge_range(cell.row, cell.column, last_row, last_column, "", style)
        pen.write(sheet, cell.row, cell.column, value, properties)
        note = cell.review or ("text that could not be read" if cell.unread else None)
        if note:
            sheet.write_comment(cell.row, cell.column, note)
        if cell.column_span == 1:
            widths[cell.column] = max(widths[cell.column], _width(cell.text))
    for column, width in enumerate(widths):
        sheet.set_column(column, column, min(width, 60.0))
    if headers:
        sheet.freeze_panes(headers, 0)


def _write_fields(sheet: Any, findings: Findings, pen: _Pen, habits: Habits) -> None:
    header = pen.format(**_HEADER, **_BORDER)
    for column, (title, width) in enumerate(
        (("Field", 28), ("Value", 36), ("Page", 8), ("Confidence", 12), ("Review", 44))
    ):
        sheet.write_string(0, column, title, header)
        sheet.set_column(column, column, width)
    row = 1
    for field in findings.fields:
        properties = {**_BORDER, **(_REVIEW if field.review else {})}
        style = pen.format(**properties)
        sheet.write_string(row, 0, field.label, style)
        pen.write(sheet, row, 1, typed(field.value, habits), {**properties, "align": "left"})
        sheet.write(row, 2, field.page, style)
        sheet.write(row, 3, field.confidence, pen.format(**properties, num_format="0.0%"))
        sheet.write_string(row, 4, field.review or "", style)
        row += 1
    row += 1
    for column, title in enumerate(("Check", "Where", "Passed", "Expected", "Found")):
        sheet.write_string(row, column, title, header)
    for check in findings.checks:
        row += 1
        style = pen.format(**_BORDER, **({} if check.passed else _REVIEW))
        sheet.write_string(row, 0, check.rule, style)
        sheet.write_string(row, 1, check.where, style)
        sheet.write_boolean(row, 2, check.passed, style)
        sheet.write_number(row, 3, float(check.expected), style)
        sheet.write_number(row, 4, float(check.found), style)
    sheet.write_string(row + 2, 0, f"engine: {findings.engine}")
    for offset, warning in enumerate(findings.warnings, start=3):
        sheet.write_string(row + offset, 0, warning)


def header_rows(table: Table) -> int:
    """How many rows at the top are headings: those before the first figure, or the first if all is text.

    A first row of years above figures counts as headings too.
    """
    texts = table.texts()
    for row, line in enumerate(texts):
        figures = [text for text in line if is_figure(text)]
        if not figures:
            continue
        if row == 0:
            years = all(len(text) == 4 and text.isdigit() and 1900 <= int(text) <= 2100 for text in figures)
            return 1 if years and table.rows > 1 else 0
        return min(row, _covered_rows(table))
    return 1 if table.rows > 1 else 0


def _covered_rows(table: Table) -> int:
    """Rows that the first row's merged cells reach down to."""
    top: list[Cell] = [cell for cell in table.cells if cell.row == 0]
    return max((cell.row_span for cell in top), default=1)


def _number_format(value: Value) -> dict[str, Any]:
    if value.kind == "date":
        return {"num_format": "yyyy-mm-dd"}
    if value.number is None:
        return {}
    digits = ("#,##0" if value.grouped else "0") + ("." + "0" * value.places if value.places else "")
    if value.kind == "percent":
        return {"num_format": digits + "%"}
    return {"num_format": _CURRENCY_FORMATS.get(value.currency or "", "{}").replace("{}", digits)}


def _width(text: str) -> float:
    """Characters; those of East Asia are two wide."""
    lines = text.split("\n") or [""]
    return 2.5 + max(sum(2 if ord(character) > 0x1100 else 1 for character in line) for line in lines)
