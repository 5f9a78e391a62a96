"""Rows to records: each cell against its column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .schema import Column
from .values import BadValue, read_value

#: Characters of a value that an error shows.
SHOWN = 200


@dataclass(frozen=True)
class CellError:
    """What is wrong with one cell. ``column`` counts from 1; 0 where the sheet has no such column."""

    row: int
    column: int
    name: str
    value: str
    problem: str


class Checker:
    """Checks rows one after the other; it remembers the values of unique columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._seen: dict[str, dict[Any, int]] = {column.name: {} for column in columns if column.unique}

    def check(self, number: int, row: Sequence[Any]) -> tuple[dict[str, Any], list[CellError]]:
        """The record of a row, and what is wrong with it."""
        record: dict[str, Any] = {}
        errors = []
        for column in self._columns:
            cell = row[column.place] if 0 <= column.place < len(row) else None
            try:
                record[column.field] = self._check_cell(column, cell, number)
            except BadValue as error:
                shown = "" if cell is None else str(cell)[:SHOWN]
                errors.append(CellError(number, column.place + 1, column.name, shown, str(error)))
        return record, errors

    def _check_cell(self, column: Column, cell: Any, number: int) -> Any:
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            if column.required:
                raise BadValue("required, and empty")
            return None
        value = read_value(cell, column.type)
        measure = _measure(value, column.type)
        unit = " characters" if column.type == "text" else ""
        if column.least is not None and measure < column.least:
            raise BadValue(f"less than {column.least}{unit}")
        if column.most is not None and measure > column.most:
            raise BadValue(f"more than {column.most}{unit}")
        if column.choices is not None and value not in column.choices:
            listed = ", ".join(map(str, column.choices[:10]))
            raise BadValue(f"expected one of {listed}{', …' if len(column.choices) > 10 else ''}")
        if column.unique:
            first = self._seen[column.name].setdefault(value, number)
            if first != number:
                raise BadValue(f"the same as in row {first}")
        return value


def _measure(value: Any, kind: str) -> Any:
    """What bounds are held against."""
    if kind == "text":
        return len(value)
    # A bound is a day: all of that day is within it.
    return value[:10] if kind == "date" else value
