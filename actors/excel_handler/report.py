"""The report of errors as an Excel file: the bad rows with their bad cells marked, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from actors.workbooks import written_workbook

_HEADER = {"bold": True, "bg_color": "#E8EDF3", "border": 1, "border_color": "#B0B7C0", "valign": "vcenter"}
_BAD = {"bg_color": "#FFC7CE", "font_color": "#9C0006"}


def write_report(
    file: IO[bytes], headings: list[str], summary: dict[str, Any], bad_rows: Iterable[dict[str, Any]]
) -> None:
    """Write an .xlsx file with the sheets Rows, Errors and Summary.

    Parameters:
        headings: of the sheet.
        summary: the counts, and ``errors_by_column``.
        bad_rows: ``row`` (number), ``cells`` (as texts) and ``errors`` (column from 1, name, value, problem).
    """
    with written_workbook(file) as book:
        header, bad = book.add_format(_HEADER), book.add_format(_BAD)
        rows, errors, facts = (book.add_worksheet(name) for name in ("Rows", "Errors", "Summary"))
        _write_header(rows, header, [("Row", 8), *((heading, 20) for heading in headings), ("Problems", 60)])
        _write_header(
            errors, header, [("Row", 8), ("Column", 10), ("Heading", 24), ("Value", 40), ("Problem", 60)]
        )
        line = 0
        for number, entry in enumerate(bad_rows, start=1):
            _write_row(rows, number, entry, len(headings), bad)
            for error in entry["errors"]:
                line += 1
                errors.write_number(line, 0, entry["row"])
                errors.write_string(line, 1, column_letters(error["column"]))
                for place, name in enumerate(("name", "value", "problem"), start=2):
                    errors.write_string(line, place, error[name])
        _write_summary(facts, header, summary)


def column_letters(number: int) -> str:
    """A column's letters by its number from 1; blank for 0."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _write_header(sheet: Any, style: Any, columns: list[tuple[str, float]]) -> None:
    for place, (title, width) in enumerate(columns):
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, title, style)
    sheet.freeze_panes(1, 1)


def _write_row(sheet: Any, number: int, entry: dict[str, Any], width: int, bad: Any) -> None:
    sheet.write_number(number, 0, entry["row"])
    problems = {error["column"]: error["problem"] for error in entry["errors"]}
    cells = entry["cells"][:width] + [""] * (width - len(entry["cells"]))
    for place, text in enumerate(cells, start=1):
        if place in problems:
            sheet.write_string(number, place, text, bad)
            sheet.write_comment(number, place, problems[place], {"x_scale": 1.4, "y_scale": 0.5})
        elif text:
            sheet.write_string(number, place, text)
    told = "; ".join(f"{error['name']}: {error['problem']}" for error in entry["errors"])
    sheet.write_string(number, width + 1, told[:2000])


def _write_summary(sheet: Any, header: Any, summary: dict[str, Any]) -> None:
    _write_header(sheet, header, [("What", 30), ("Number", 14), ("", 60)])
    line = 0
    for line, name in enumerate(("rows", "good", "bad", "errors"), start=1):
        sheet.write_string(line, 0, name)
        sheet.write_number(line, 1, summary[name])
    for entry in summary["errors_by_column"]:
        line += 1
        sheet.write_string(line, 0, f"errors of {entry['column']}")
        sheet.write_number(line, 1, entry["errors"])
    for warning in summary["warnings"]:
        line += 1
        sheet.write_string(line, 0, "warning")
        sheet.write_string(line, 2, warning)
