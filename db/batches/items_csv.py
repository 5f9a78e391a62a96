"""Images of a batch as CSV (RFC 4180), for spreadsheets, too."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from .items import BatchItem

COLUMNS = tuple(field.name for field in fields(BatchItem))
#: First characters by which a spreadsheet takes a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def header() -> str:
    """The line of the columns' names."""
    return _lines([COLUMNS])


def rows(items: Iterable[BatchItem]) -> str:
    """A line for each image."""
    return _lines([[_cell(getattr(item, name)) for name in COLUMNS] for item in items])


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe in front makes it text."""
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(cells: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(cells)
    # A path may hold half a surrogate pair, which UTF-8 does not.
    return written.getvalue().encode("utf-8", "backslashreplace").decode()
