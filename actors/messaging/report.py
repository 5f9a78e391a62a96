"""The report: what became of each row of the list, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from db.csv_text import csv_text
from db.deliveries import FAILED, SENT, UNCERTAIN

REJECTED = "rejected"
COLUMNS = ("row", "to", "status", "attempts", "repeats", "at", "message_id", "reply")
STATUSES = (SENT, FAILED, UNCERTAIN, REJECTED)


def counts(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many rows there are, and how many of each status."""
    found = dict.fromkeys(("total", *STATUSES), 0)
    for row in rows:
        found["total"] += 1
        found[row["status"]] += 1
    return found


def as_csv(rows: Iterable[dict[str, Any]]) -> bytes:
    """The table, in UTF-8 with the mark by which Excel knows it."""
    lines = ([_cell(name, row[name]) for name in COLUMNS] for row in rows)
    return b"\xef\xbb\xbf" + csv_text([COLUMNS, *lines]).encode()


def _cell(name: str, value: Any) -> Any:
    if name == "at":
        return datetime.fromtimestamp(value, timezone.utc).isoformat(timespec="seconds") if value else ""
    return value
