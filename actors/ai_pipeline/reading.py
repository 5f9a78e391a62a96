"""Texts from a file: JSON lines, CSV or Excel, told apart by their content, read row by row."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from actors.encodings import encoding_of
from actors.workbooks import claimed_rows, is_workbook, open_workbook, pick_sheet, rows_of, share_read
from callboard.errors import BadInput

from .options import Options

#: Bytes of a file, and of one line or field of it.
MOST_BYTES = 1 << 30
LONGEST_FIELD = 1 << 20
#: Rows that are looked at to find the columns.
_LOOKED_AT = 200
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = ",;\t|"
_TEXT = (
    "text content body message comment review sentence document 본문 내용 텍스트 문장 글 리뷰 댓글 의견 "
    "문의 문의내용"
).split()
_LABEL = "label class category topic tag 라벨 레이블 분류 카테고리 주제 구분 유형".split()
_ID = "id key no number 번호 아이디 식별자".split()


@dataclass(frozen=True)
class Record:
    """One row.

    Attributes:
        row: its number in the file, from 1, the heading included.
        text: None where there is none.
        label, id: as texts; None without.
        problem: why the row cannot be read, or None.
    """

    row: int
    text: str | None = None
    label: str | None = None
    id: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Columns:
    """The names of the columns that hold what; for a file without a heading, their places."""

    text: Any
    label: Any = None
    id: Any = None


# A row by its number: what it holds by column, or why it cannot be read; and the share of the file that is
# read.
_Row = tuple[int, "dict[Any, Any] | str", float]


@contextmanager
def open_records(path: Path, options: Options) -> Iterator[Iterator[tuple[Record, float]]]:
    """The rows of a file, each with the share of the file (0 to 1) that has been read by then.

    Raises:
        BadInput: it cannot be read, or has no column of texts.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise BadInput(f"the file has {size} bytes, at most {MOST_BYTES} are read")
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if not start.strip():
        raise BadInput("the file is empty")
    if is_workbook(start):
        with open_workbook(path) as book:
            sheet = pick_sheet(book, options.sheet)
            claimed = claimed_rows(sheet)
            rows = ((number, list(row), share_read(number, claimed)) for number, row in rows_of(sheet))
            yield _records(_table(rows, options), options)
        return
    encoding = _encoding_of(path, start, options.encoding)
    with path.open("r", encoding=encoding, newline="", errors="strict") as text:
        first = text.read(4096).lstrip("\ufeff \t\r\n")
        text.seek(0)
        if first.startswith("{"):
            yield _records(_lines(text, size), options)
        elif first.startswith("["):
            raise BadInput("a JSON array: expected JSON lines, one object a line")
        else:
            yield _records(_table(_csv_rows(text, first, size, options), options), options)


def inline_records(texts: list[Any]) -> Iterator[tuple[Record, float]]:
    """The texts of an input, numbered from 1."""
    for number, item in enumerate(texts, start=1):
        value = {"text": item} if isinstance(item, str) else item
        yield _record(number, value, Columns("text", "label", "id")), number / len(texts)


def _records(rows: Iterator[_Row], options: Options) -> Iterator[tuple[Record, float]]:
    looked_at = list(islice(rows, _LOOKED_AT))
    columns = _find_columns([row for _, row, _ in looked_at if isinstance(row, dict)], options)
    for number, row, share in chain(looked_at, rows):
        yield (Record(number, problem=row) if isinstance(row, str) else _record(number, row, columns)), share


def _record(number: int, row: dict[Any, Any], columns: Columns) -> Record:
    text = row.get(columns.text)
    if text is not None and not isinstance(text, (str, int, float)):
        return Record(number, problem=f"{columns.text}: read {str(text)[:80]!r}, expected a text")
    label, own_id = (
        _said(row.get(name)) if name is not None else None for name in (columns.label, columns.id)
    )
    return Record(number, None if text is None else str(text), label, own_id)


def _said(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()[:200]
    return text or None


def _find_columns(rows: list[dict[Any, Any]], options: Options) -> Columns:
    if not rows:
        raise BadInput("the file has no row that can be read")
    names = list(dict.fromkeys(name for row in rows for name in row))

    def find(given: str | None, option: str, known: Iterable[str]) -> Any:
        if given is not None:
            if given not in names:
                listed = ", ".join(str(name) for name in names[:30])
                raise BadInput(f"options.{option}: read {given!r}, the file has the columns {listed}")
            return given
        simple = {str(name).strip().lower().replace(" ", ""): name for name in reversed(names)}
        return next((simple[name] for name in known if name in simple), None)

    label = find(options.label_column, "label_column", _LABEL)
    own_id = find(options.id_column, "id_column", _ID)
    text = find(options.text_column, "text_column", _TEXT)
    if text is None:
        lengths = {
            name: sum(len(value) for row in rows if isinstance(value := row.get(name), str))
            for name in names
            if name not in (label, own_id)
        }
        text = max(lengths, key=lambda name: lengths[name], default=None)
        if text is None or not lengths[text]:
            listed = ", ".join(str(name) for name in names[:30])
            raise BadInput(f"no column of texts was found among {listed}: name it in options.text_column")
    return Columns(text, label, own_id)


def _lines(file: IO[str], size: int) -> Iterator[_Row]:
    read = 0
    number = 0
    while line := file.readline(LONGEST_FIELD):
        number += 1
        read += len(line)
        # Characters for bytes: a guess, as tell() cannot be asked for while lines are read.
        share = min(1.0, read / size)
        if not line.endswith("\n") and len(line) == LONGEST_FIELD:
            raise BadInput(f"line {number} is longer than {LONGEST_FIELD} characters")
        line = line.strip().lstrip("\ufeff")
        if not line:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"no JSON: {str(error)[:120]}", share
            continue
        if isinstance(value, str):
            value = {"text": value}
        yield number, value if isinstance(value, dict) else "expected an object or a text", share


def _csv_rows(
    file: IO[str], start: str, size: int, options: Options
) -> Iterator[tuple[int, list[Any], float]]:
    heading = start.splitlines()[0] if start else ""
    delimiter = options.delimiter or max(_DELIMITERS, key=heading.count)
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        for line in file:
            read += len(line)
            if "\0" in line:
                raise BadInput("the file is no text: it holds NUL characters")
            yield line

    # One limit for the whole process; more than its 128 KB does nobody harm.
    csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.reader(lines(), delimiter=delimiter)
        for number, row in enumerate(reader, start=1):
            if any(cell.strip() for cell in row):
                yield number, list(row), min(1.0, read / size)
    except csv.Error as error:
        raise BadInput(
            f"the CSV cannot be read near line {reader.line_num} ({error}): is a quote left open?"
        ) from error


def _table(rows: Iterator[tuple[int, list[Any], float]], options: Options) -> Iterator[_Row]:
    first = next(rows, None)
    if first is None:
        raise BadInput("the file has no rows")
    heading = _heading(first[1], options)
    if heading is None:
        names: list[Any] = [f"column {place}" for place in range(1, len(first[1]) + 1)]
        rows = chain([first], rows)
    else:
        names = heading
    for number, row, share in rows:
        yield number, {name: value for name, value in zip(names, row, strict=False) if name}, share


def _heading(row: list[Any], options: Options) -> list[str] | None:
    """The names of the columns, where the first row looks like a heading."""
    names = [str(value).strip().lstrip("\ufeff") if value is not None else "" for value in row]
    known = {*_TEXT, *_LABEL, *_ID}
    given = {options.text_column, options.label_column, options.id_column} - {None}
    if given or any(name.lower().replace(" ", "") in known for name in names):
        return names
    distinct = len({name for name in names if name}) == len(names)
    return names if len(names) > 1 and distinct and all(len(name) < 40 for name in names) else None


def _encoding_of(path: Path, start: bytes, given: str) -> str:
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name
    try:
        return encoding_of(path) if given == "auto" else encoding_of(path, [given])
    except UnicodeError as error:
        expected, why = "utf-8 or cp949" if given == "auto" else given, getattr(error, "reason", error)
        raise BadInput(
            f"the file is not {expected} text ({why}): options.encoding names its encoding"
        ) from error
