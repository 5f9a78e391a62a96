"""CSV (RFC 4180), for spreadsheets, too."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

#: First characters by which a spreadsheet takes a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows of cells as CSV; UTF-8 can hold all of it.

    No spreadsheet takes a text in it for a formula: an apostrophe in front makes it text.
    """
    written = io.StringIO()
    csv.writer(written).writerows([_guarded(cell) for cell in row] for row in rows)
    # A path may hold half a surrogate pair, which UTF-8 does not.
    return written.getvalue().encode("utf-8", "backslashreplace").decode()


def _guarded(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
