"""What a sheet's columns are to hold: said in the options, or told from the first rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from callboard.errors import BadInput

from .values import TYPES, BadValue, read_value

_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_BOUND = {"type": ["number", "string"]}
ACCEPTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file_path": {
            "type": "string",
            "minLength": 1,
            "description": "an .xlsx file: a path, or a storage URL",
        },
        "public_file_path": {"type": "string"},
        "options": {
            "type": "object",
            "properties": {
                "sheet": {**_NAME, "description": "the first one unless given"},
                "header_row": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1000,
                    "description": "the row with the headings; the first that is not empty unless given",
                },
                "columns": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 200,
                    "description": "what each is to hold; told from the rows unless given",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {**_NAME, "description": "the heading"},
                            "field": {
                                **_NAME,
                                "description": "its name in a record; the heading unless given",
                            },
                            "type": {"enum": list(TYPES)},
                            "required": {"type": "boolean"},
                            "unique": {"type": "boolean"},
                            "min": {**_BOUND, "description": "of a number or a date; of a text's length"},
                            "max": _BOUND,
                            "choices": {"type": "array", "minItems": 1, "maxItems": 1000, "items": {}},
                        },
                        "required": ["name"],
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
    },
    "required": ["file_path"],
}
#: Rows that types are told from, and the share of their filled cells that must be of a type.
LOOKED_AT = 1_000
_MOSTLY = 0.9
# From the narrowest on: what is an integer is a number as well.
_TOLD = ("boolean", "integer", "number", "date", "email", "phone")


@dataclass(frozen=True)
class Column:
    """A column that is checked.

    Attributes:
        place: of the cell in a row, from 0; -1 for a column that the sheet has not.
        name: its heading.
        field: its name in a record.
        type: see :data:`.values.TYPES`.
        required: may not be empty.
        unique: no value twice.
        least, most: of a number or a date (ISO text); of a text's length; None for no bound.
        choices: the values that it may have; None for any.
    """

    place: int
    name: str
    field: str
    type: str = "text"
    required: bool = False
    unique: bool = False
    least: Any = None
    most: Any = None
    choices: list[Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def given_columns(wanted: Sequence[dict[str, Any]], headings: Sequence[str]) -> list[Column]:
    """The columns that the options name, found by their headings.

    Raises:
        BadInput: a required one is not there, one is named twice, or a bound does not fit its type.
    """
    columns: list[Column] = []
    missing = []
    for number, entry in enumerate(wanted):
        where = f"options.columns[{number}]"
        kind = entry.get("type", "text")
        name = entry["name"].strip()
        place = next((at for at, heading in enumerate(headings) if heading == name), -1)
        if place < 0 and entry.get("required"):
            missing.append(name)
        least, most = (_bound(f"{where}.{side}", entry.get(side), kind) for side in ("min", "max"))
        if least is not None and most is not None and least > most:
            raise BadInput(f"{where}.min: read {least!r}, expected no more than max, {most!r}")
        column = Column(
            place,
            name,
            entry.get("field") or name,
            kind,
            bool(entry.get("required")),
            bool(entry.get("unique")),
            least,
            most,
            _choices(f"{where}.choices", entry.get("choices"), kind),
        )
        if any(column.field == other.field or column.name == other.name for other in columns):
            raise BadInput(f"{where}: {name!r} is named twice")
        columns.append(column)
    if missing:
        raise BadInput(
            f"the sheet has no column {', '.join(map(repr, missing))}; its headings are {_list(headings)}"
        )
    if all(column.place < 0 for column in columns):
        raise BadInput(f"the sheet has none of the columns; its headings are {_list(headings)}")
    return columns


def told_columns(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """The columns as the first rows show them: of most cells' type, required where hardly one is empty."""
    columns = []
    for place, name in enumerate(headings):
        if not name:
            continue
        cells = [row[place] if place < len(row) else None for row in rows]
        filled = [cell for cell in cells if cell is not None and str(cell).strip()]
        kind = next((kind for kind in _TOLD if _fits(filled, kind)), "text")
        required = bool(cells) and len(filled) >= 0.95 * len(cells)
        columns.append(Column(place, name, name, kind, required))
    return columns


def read_headings(row: Sequence[Any]) -> list[str]:
    """The headings in a row.

    Raises:
        BadInput: there are none, or one is there twice.
    """
    headings = [" ".join(str(value).split()) if value is not None else "" for value in row]
    named = [heading for heading in headings if heading]
    twice = sorted({heading for heading in named if named.count(heading) > 1})
    if twice:
        raise BadInput(f"the headings {', '.join(map(repr, twice))} are there twice")
    if not named:
        raise BadInput("the row of headings is empty")
    return headings


def _fits(cells: list[Any], kind: str) -> bool:
    if kind == "boolean" and any(str(cell).strip() in ("0", "1") for cell in cells):
        return False  # a count that happens to be one
    good = 0
    for cell in cells:
        try:
            read_value(cell, kind)
        except BadValue:
            continue
        good += 1
    return bool(cells) and good >= _MOSTLY * len(cells)


def _bound(where: str, value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "date":
        try:
            return date.fromisoformat(str(value)).isoformat()
        except ValueError:
            raise BadInput(f"{where}: read {value!r}, expected a date such as 2025-01-31") from None
    if kind not in ("integer", "number", "text") or isinstance(value, str):
        raise BadInput(f"{where}: read {value!r}, expected a number, of a column of numbers, dates or texts")
    return value


def _choices(where: str, values: list[Any] | None, kind: str) -> list[Any] | None:
    """The values as a record has them, so that what a cell is read as can be among them."""
    if values is None:
        return None
    found = []
    for value in values:
        if not isinstance(value, (str, int, float)):
            raise BadInput(f"{where}: read {str(value)[:80]!r}, expected texts, numbers, or true and false")
        try:
            found.append(read_value(value, kind))
        except BadValue as error:
            raise BadInput(f"{where}: read {str(value)[:80]!r}, {error}") from None
    return found


def _list(headings: Sequence[str]) -> str:
    return ", ".join(repr(heading) for heading in headings[:30] if heading)
