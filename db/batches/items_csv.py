"""Images of a batch as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from db.csv_text import csv_text

from .items import BatchItem

COLUMNS = tuple(field.name for field in fields(BatchItem))


def header() -> str:
    """The line of the columns' names."""
    return csv_text([COLUMNS])


def rows(items: Iterable[BatchItem]) -> str:
    """A line for each image."""
    return csv_text([_cell(getattr(item, name)) for name in COLUMNS] for item in items)


def _cell(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
