"""The three stages as Dramatiq actors: look at the workbook → check its rows → report.

Between stages travels a small dict; records and errors lie in the chain's folder. What needs the extra
``excel`` is imported when a stage runs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from actors.inputs import check_input
from actors.progress import current_stage, progress
from actors.storage import Folder, local_copy
from actors.workflow import stage
from callboard.errors import BadInput

from .checks import SHOWN, Checker
from .schema import ACCEPTS, LOOKED_AT, Column, given_columns, read_headings, told_columns

QUEUE = "excel"
#: Rows that the report shows; the JSON file of errors has those of as many rows.
MOST_REPORTED = 50_000
_EVERY = 200
_HOUR = 3_600_000
_OPTIONS: dict[str, Any] = {"queue_name": QUEUE, "throws": BadInput, "time_limit": _HOUR}


@stage(name="파일 검사", actor_name="excel.inspect", **_OPTIONS)
def inspect(document: dict[str, Any]) -> dict[str, Any]:
    """Open the workbook, and find the sheet, its headings and what its columns are to hold.

    Args:
        document: see :data:`.schema.ACCEPTS`.

    Returns:
        ``file_path``, ``sheet``, ``header_row``, ``headings``, ``columns``, ``inferred`` (whether the columns
        were told from the rows) and ``warnings``.

    Raises:
        BadInput: it is no workbook, or not one with such columns.
    """
    from actors.workbooks import open_workbook, pick_sheet, rows_of  # noqa: PLC0415

    check_input(document, ACCEPTS)
    options = document.get("options") or {}
    wanted = options.get("columns")
    with local_copy(document["file_path"]) as path, open_workbook(path) as book:
        sheet = pick_sheet(book, options.get("sheet"))
        rows = rows_of(sheet)
        header_row, heading = _find_heading(rows, options.get("header_row"))
        headings = read_headings(heading)
        progress(50, substep="머리글")
        first = [row for _, row in islice(rows, LOOKED_AT)] if wanted is None else []
        columns = told_columns(headings, first) if wanted is None else given_columns(wanted, headings)
        name = sheet.title
    known = {column.name for column in columns}
    warnings = [f"the sheet has no column {column.name!r}" for column in columns if column.place < 0]
    warnings += [
        f"the column {heading!r} is left out" for heading in headings if heading and heading not in known
    ]
    return {
        "file_path": document["file_path"],
        "sheet": name,
        "header_row": header_row,
        "headings": headings,
        "columns": [column.to_json() for column in columns],
        "inferred": wanted is None,
        "warnings": warnings[:100],
    }


@stage(name="행 검증", actor_name="excel.check_rows", **_OPTIONS)
def check_rows(document: dict[str, Any]) -> dict[str, Any]:
    """Check each row; good ones become records.

    Returns:
        The document with ``records_url`` (JSON lines: the good rows), ``errors_url`` (JSON lines: the errors
        of each bad row), and counts: ``rows``, ``good``, ``bad``, ``errors``, ``errors_by_column``.

    Raises:
        BadInput: the sheet is damaged.
    """
    from actors.workbooks import claimed_rows, open_workbook, pick_sheet, rows_of, share_read  # noqa: PLC0415

    checker = Checker([Column(**column) for column in document["columns"]])
    by_column: Counter[str] = Counter()
    rows = good = beyond = 0
    headed = {place for place, heading in enumerate(document["headings"]) if heading}
    folder = current_stage().folder
    with (
        local_copy(document["file_path"]) as path,
        open_workbook(path) as book,
        folder.open("records.jsonl", "wb") as records,
        folder.open("errors.jsonl", "wb") as failures,
    ):
        sheet = pick_sheet(book, document["sheet"])
        claimed = claimed_rows(sheet)
        for number, row in rows_of(sheet):
            if number <= document["header_row"]:
                continue
            rows += 1
            beyond += any(place not in headed and cell not in (None, "") for place, cell in enumerate(row))
            record, errors = checker.check(number, row)
            if errors:
                by_column.update(error.name for error in errors)
                if rows - good <= MOST_REPORTED:
                    failures.write(
                        _line({"row": number, "cells": _texts(row), "errors": [asdict(e) for e in errors]})
                    )
            else:
                good += 1
                records.write(_line({"row": number, **record} if "row" not in record else record))
            if rows % _EVERY == 0:
                progress(
                    max(1, 99 * share_read(number, claimed)), substep=f"{rows}행", rows=rows, bad=rows - good
                )
    progress(99, rows=rows, bad=rows - good)
    warnings = list(document["warnings"])
    if rows - good > MOST_REPORTED:
        warnings.append(f"of {rows - good} bad rows, the first {MOST_REPORTED} are told")
    if beyond:
        warnings.append(
            f"{beyond} rows have cells below no heading, which are left out: are the headings in row "
            f"{document['header_row']}? options.header_row names another"
        )
    if not rows:
        warnings.append("the sheet has no rows below its headings")
    return {
        **document,
        "warnings": warnings,
        "records_url": folder.url_of("records.jsonl"),
        "errors_url": folder.url_of("errors.jsonl"),
        "rows": rows,
        "good": good,
        "bad": rows - good,
        "errors": sum(by_column.values()),
        "errors_by_column": [{"column": name, "errors": count} for name, count in by_column.most_common()],
    }


@stage(name="보고서", actor_name="excel.report", **_OPTIONS)
def report(document: dict[str, Any]) -> dict[str, Any]:
    """Write the report of errors.

    Returns:
        The chain's final result: counts, ``errors_by_column``, ``columns``, ``inferred``, ``warnings``,
        ``records_url``, ``errors_url``, ``report_url``, and where the API offers them: ``download_url`` (the
        report), ``records_download_url``.
    """
    from .report import write_report  # noqa: PLC0415

    context = current_stage()
    folder = context.folder
    told = min(document["bad"], MOST_REPORTED)
    with folder.open("report.xlsx", "wb") as file:
        write_report(file, document["headings"], document, _bad_rows(folder, told))
    kept = (
        "rows",
        "good",
        "bad",
        "errors",
        "errors_by_column",
        "columns",
        "inferred",
        "warnings",
        "records_url",
    )
    return {
        **{name: document[name] for name in (*kept, "errors_url")},
        "report_url": folder.url_of("report.xlsx"),
        "download_url": context.download_url("report.xlsx"),
        "records_download_url": context.download_url("records.jsonl"),
    }


def _find_heading(
    rows: Iterator[tuple[int, tuple[Any, ...]]], wanted: int | None
) -> tuple[int, tuple[Any, ...]]:
    for number, row in rows:
        if wanted is None or number == wanted:
            return number, row
        if number > wanted:
            break
    raise BadInput("the sheet is empty" if wanted is None else f"options.header_row: row {wanted} is empty")


def _bad_rows(folder: Folder, count: int) -> Iterator[dict[str, Any]]:
    with folder.open("errors.jsonl", "rb") as file:
        for number, line in enumerate(file, start=1):
            yield json.loads(line)
            if number % _EVERY == 0:
                progress(max(1, 95 * number / max(1, count)), substep=f"{number}행")


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _texts(row: tuple[Any, ...]) -> list[str]:
    return ["" if cell is None else str(cell)[:SHOWN] for cell in row]
