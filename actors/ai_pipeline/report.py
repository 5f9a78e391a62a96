"""What came out, as an Excel file and as JSON: the texts, the topics or classes, the unusable rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from actors.workbooks import written_workbook

#: Characters of a text that the Excel file shows; the JSON file has all of them.
SHOWN = 2_000
_HEADER = {"bold": True, "bg_color": "#E8EDF3", "border": 1, "border_color": "#B0B7C0", "valign": "vcenter"}
_REVIEW = {"bg_color": "#FFF2CC"}


@dataclass(frozen=True)
class Row:
    """A text and what was found of it.

    Attributes:
        row: its row in the input.
        group: number of its topic or class, from 1; None for a text without words.
        name: of the topic or class.
        confidence: from 0 to 1.
        duplicate_of: the row that it repeats, or None.
    """

    row: int
    id: str | None
    text: str
    label: str | None
    group: int | None
    name: str | None
    confidence: float
    duplicate_of: int | None

    @property
    def differs(self) -> bool:
        """Whether it was given another class than its label."""
        return self.label is not None and self.name is not None and self.label != self.name

    def as_json(self, task: str) -> dict[str, Any]:
        """As the JSON file has it."""
        found = {"topic": self.group} if task == "topics" else {"class": self.name}
        return {
            "row": self.row,
            "id": self.id,
            "text": self.text,
            "label": self.label,
            **found,
            "confidence": self.confidence,
            "duplicate_of": self.duplicate_of,
        }


def write_json(
    file: IO[bytes], summary: dict[str, Any], rows: Iterable[Row], problems: list[dict[str, Any]], task: str
) -> None:
    """Write one JSON object: the summary's fields, ``problems`` and ``rows``; never all texts in memory."""
    head = json.dumps({**summary, "problems": problems}, ensure_ascii=False)
    file.write(head[:-1].encode() + b',"rows":[')
    for number, row in enumerate(rows):
        text = json.dumps(row.as_json(task), ensure_ascii=False)
        file.write((",\n" if number else "\n").encode() + text.encode("utf-8", "replace"))
    file.write(b"\n]}\n")


def write_excel(
    file: IO[bytes], summary: dict[str, Any], rows: Iterable[Row], problems: list[dict[str, Any]], task: str
) -> None:
    """Write an .xlsx file with the sheets Texts, Topics or Classes, Summary and Problems."""
    with written_workbook(file, constant_memory=True) as book:
        book.set_properties({"comments": f"method: {summary['quality']['method']}"})
        pen = _Pen(book)
        _write_texts(pen, rows, task)
        _write_groups(pen, summary, task)
        _write_summary(pen, summary)
        _write_problems(pen, problems)


class _Pen:
    """Makes sheets and each format once."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.header = book.add_format(_HEADER)
        self.share = book.add_format({"num_format": "0.0%"})
        self.review = book.add_format(_REVIEW)
        self.review_share = book.add_format({**_REVIEW, "num_format": "0.0%"})
        self.faint = book.add_format({"font_color": "#8A9099"})

    def sheet(self, name: str, columns: list[tuple[str, float]]) -> Any:
        """A sheet with a heading that stays in sight."""
        sheet = self.book.add_worksheet(name)
        for place, (_, width) in enumerate(columns):
            sheet.set_column(place, place, width)
        for place, (title, _) in enumerate(columns):
            sheet.write_string(0, place, title, self.header)
        sheet.freeze_panes(1, 0)
        return sheet


def _write_texts(pen: _Pen, rows: Iterable[Row], task: str) -> None:
    found = [("Topic", 8.0), ("Words", 34.0)] if task == "topics" else [("Class", 18.0), ("Label", 18.0)]
    columns = [
        ("Row", 8.0),
        ("Id", 12.0),
        *found,
        ("Confidence", 12.0),
        ("Duplicate of", 12.0),
        ("Text", 110.0),
    ]
    if task == "topics":
        columns.insert(6, ("Label", 14.0))
    sheet = pen.sheet("Texts", columns)
    last = 0
    for number, row in enumerate(rows, start=1):
        last = number
        # What a text without words gets is no topic; what differs from its label wants a second look.
        review = task == "classes" and row.differs
        style = pen.review if review else pen.faint if row.duplicate_of is not None else None
        sheet.write_number(number, 0, row.row, style)
        sheet.write_string(number, 1, row.id or "", style)
        if task == "topics":
            if row.group is not None:
                sheet.write_number(number, 2, row.group, style)
            sheet.write_string(number, 3, row.name or "", style)
        else:
            sheet.write_string(number, 2, row.name or "", style)
            sheet.write_string(number, 3, row.label or "", style)
        sheet.write_number(number, 4, row.confidence, pen.review_share if review else pen.share)
        if row.duplicate_of is not None:
            sheet.write_number(number, 5, row.duplicate_of, style)
        if task == "topics":
            sheet.write_string(number, 6, row.label or "", style)
        sheet.write_string(number, len(columns) - 1, row.text[:SHOWN], style)
    sheet.autofilter(0, 0, max(last, 1), len(columns) - 1)


def _write_groups(pen: _Pen, summary: dict[str, Any], task: str) -> None:
    title = "Topics" if task == "topics" else "Classes"
    sheet = pen.sheet(
        title,
        [
            (title[:-1] if task == "topics" else "Class", 18.0),
            ("Texts", 10.0),
            ("Share", 10.0),
            ("Words", 90.0),
            ("Example", 90.0),
        ],
    )
    for number, group in enumerate(summary["topics"], start=1):
        if task == "topics":
            sheet.write_number(number, 0, group["topic"])
        else:
            sheet.write_string(number, 0, group["name"])
        sheet.write_number(number, 1, group["texts"])
        sheet.write_number(number, 2, group["share"], pen.share)
        sheet.write_string(number, 3, ", ".join(group["words"]))
        sheet.write_string(number, 4, group["example"])


def _write_summary(pen: _Pen, summary: dict[str, Any]) -> None:
    sheet = pen.sheet("Summary", [("What", 28.0), ("Value", 60.0)])
    facts = {name: summary[name] for name in ("task", "texts", "duplicates", "without_words", "skipped")}
    for number, (name, value) in enumerate(_flat({**facts, **summary["quality"]}), start=1):
        sheet.write_string(number, 0, name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            sheet.write_number(number, 1, value)
        else:
            sheet.write_string(number, 1, str(value))
    for offset, warning in enumerate(summary["warnings"], start=number + 2):
        sheet.write_string(offset, 0, "warning", pen.review)
        sheet.write_string(offset, 1, warning, pen.review)


def _flat(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", own) for inner, own in value.items())
        elif isinstance(value, list):
            for entry in value:
                yield name, ", ".join(f"{inner}: {own}" for inner, own in entry.items())
        else:
            yield name, value


def _write_problems(pen: _Pen, problems: list[dict[str, Any]]) -> None:
    sheet = pen.sheet("Problems", [("Row", 10.0), ("Problem", 90.0)])
    for number, problem in enumerate(problems, start=1):
        sheet.write_number(number, 0, problem["row"])
        sheet.write_string(number, 1, problem["problem"])


def counted(rows: Iterable[Row], total: int, report: Callable[[float], None]) -> Iterator[Row]:
    """The rows, with the share (0 to 1) of them that has gone by told now and then."""
    for number, row in enumerate(rows, start=1):
        yield row
        if number % 200 == 0 or number == total:
            report(number / max(1, total))
