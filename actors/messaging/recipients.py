"""Who gets a message: a list in the input, or a file of JSON lines or CSV, read a line at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.encodings import encoding_of
from actors.storage import local_copy
from callboard.errors import BadInput

#: Recipients of a list in the input, and of a file.
MOST_INLINE, MOST_ROWS = 1_000, 200_000
#: Bytes of a file, and characters of one of its lines.
LARGEST_FILE, LONGEST_LINE = 256 << 20, 1 << 20
#: Names that the address may have.
ADDRESS_FIELDS = ("to", "email")


@dataclass(frozen=True)
class Recipient:
    """One row.

    Attributes:
        row: its number in the list, from 1.
        to: where the message goes; empty when there is a problem.
        values: of its placeholders, with ``to`` among them.
        problem: why it cannot be read, or empty.
    """

    row: int
    to: str
    values: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@contextmanager
def open_recipients(document: dict[str, Any]) -> Iterator[tuple[Iterator[Recipient], int]]:
    """The recipients that a chain's input names, one by one, and their number.

    Raises:
        BadInput: there is no list, or two, or it is too long, or the file cannot be read.
    """
    messages, file_path = document.get("messages"), document.get("file_path")
    if (messages is None) == (file_path is None):
        raise BadInput("the input needs either messages (a list) or a file_path (JSON lines or CSV)")
    if messages is not None:
        if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_INLINE:
            raise BadInput(f"messages: expected a list of 1 to {MOST_INLINE} objects; use a file for more")
        yield _recipients(messages), len(messages)
        return
    if not isinstance(file_path, str) or not file_path:
        raise BadInput(f"file_path: read {file_path!r}, expected a path or a storage URL")
    with local_copy(file_path) as path:
        if path.stat().st_size > LARGEST_FILE:
            raise BadInput(f"{file_path}: larger than {LARGEST_FILE >> 20} MiB")
        read, encoding = _reader_of(file_path, path)
        try:
            count = sum(1 for _ in read(path, encoding))
            if not 1 <= count <= MOST_ROWS:
                raise BadInput(f"{file_path}: read {count} recipients, expected 1 to {MOST_ROWS}")
            yield _recipients(read(path, encoding)), count
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{file_path}: not a file of recipients ({error})") from None


def _reader_of(name: str, path: Path) -> tuple[Any, str]:
    """How a file is read, by its first letter, and in which encoding."""
    with path.open("rb") as file:
        start = file.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"{"):
        return _json_rows, "utf-8-sig"
    try:
        encoding = encoding_of(path)
        with path.open(encoding=encoding, newline="") as lines:
            header = next(csv.reader(lines), [])
    except UnicodeDecodeError:
        raise BadInput(f"{name}: neither UTF-8 nor CP949") from None
    except csv.Error as error:
        raise BadInput(f"{name}: not a CSV file ({error})") from None
    names = [column.strip() for column in header]
    if not set(ADDRESS_FIELDS) & set(names):
        raise BadInput(
            f"{name}: read the columns {', '.join(names)[:200]!r}, expected one named to or email; "
            "or JSON lines, each {...}"
        )
    twice = [column for column in names if column and names.count(column) > 1]
    if twice:
        raise BadInput(f"{name}: the column {twice[0][:80]!r} is there twice")
    return _csv_rows, encoding


def _json_rows(path: Path, encoding: str) -> Iterator[Any]:
    with path.open(encoding=encoding) as lines:
        while line := lines.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise BadInput(f"a line is longer than {LONGEST_LINE} characters")
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield ValueError(f"is no JSON: {error}")


def _csv_rows(path: Path, encoding: str) -> Iterator[Any]:
    with path.open(encoding=encoding, newline="") as lines:
        reader = csv.reader(lines)
        names = [column.strip() for column in next(reader, [])]
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) > len(names):
                yield ValueError(f"has {len(cells)} cells, its header {len(names)}")
            else:
                # An empty cell is an empty text, and so is one that a short row leaves out.
                yield dict(zip(names, [*cells, *[""] * (len(names) - len(cells))], strict=True))


def _recipients(rows: Iterable[Any]) -> Iterator[Recipient]:
    for number, row in enumerate(rows, start=1):
        try:
            values = _values(row)
        except ValueError as error:
            yield Recipient(number, "", problem=str(error))
            continue
        to = next((values[name] for name in ADDRESS_FIELDS if values.get(name)), "")
        yield Recipient(number, to, {**values, "to": to}, "" if to else "has no address (to)")


def _values(row: Any) -> dict[str, str]:
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, dict):
        raise ValueError(f"is {str(row)[:80]!r}, expected an object")
    values = {}
    for name, value in row.items():
        if value is None or isinstance(value, (dict, list, bool)):
            raise ValueError(f"has {str(value)[:80]!r} as {name[:80]!r}, expected a text or a number")
        values[name] = str(value)
        if any("\ud800" <= letter <= "\udfff" for letter in values[name]):
            raise ValueError(f"has half a character in {name[:80]!r}")
    return values
