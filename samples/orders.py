"""Makes a workbook of orders in which some cells are wrong: ``python -m samples.orders [FOLDER]``.

What is wrong where is known, so that a check can be held against it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import xlsxwriter

HEADINGS = ["주문번호", "고객명", "전화번호", "이메일", "수량", "단가", "주문일", "배송", "회원"]
#: What the columns are to hold, as options of ``excel_workflow``.
COLUMNS: list[dict[str, Any]] = [
    {
        "name": "주문번호",
        "field": "order",
        "type": "text",
        "required": True,
        "unique": True,
        "min": 6,
        "max": 8,
    },
    {"name": "고객명", "field": "customer", "type": "text", "required": True},
    {"name": "전화번호", "field": "phone", "type": "phone", "required": True},
    {"name": "이메일", "field": "email", "type": "email"},
    {"name": "수량", "field": "quantity", "type": "integer", "required": True, "min": 1, "max": 999},
    {"name": "단가", "field": "price", "type": "number", "required": True, "min": 0},
    {
        "name": "주문일",
        "field": "ordered",
        "type": "date",
        "required": True,
        "min": "2025-01-01",
        "max": "2025-12-31",
    },
    {"name": "배송", "field": "shipping", "type": "text", "choices": ["택배", "퀵", "방문"]},
    {"name": "회원", "field": "member", "type": "boolean"},
]
_FAMILY, _GIVEN = "김 이 박 최 정 강 조 윤", "민준 서연 도윤 하은 지호 수아 예준 지유 시우 채원"
#: What may be wrong with a column's cell.
_WRONG: dict[int, list[Any]] = {
    0: ["", "A1"],
    1: ["", "   "],
    2: [1012345678, "전화 없음", "12-34"],
    3: ["kim@", "a@b", "이메일", "x y@example.com"],
    4: [0, -3, 2.5, "세 개", 1000, "#N/A"],
    5: [-100, "무료"],
    6: ["2025-02-30", "2024-12-31", "어제", 45678],
    7: ["트럭", "택배 "],
    8: ["글쎄", 2],
}


def orders(count: int, *, wrong: float = 0.03, seed: int = 4) -> Iterator[tuple[list[Any], set[int]]]:
    """So many rows, each with the places (from 0) of its cells that are wrong: a row or so in ten at 0.03."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        row: list[Any] = [
            f"A{number:06d}",
            chance.choice(_FAMILY.split()) + chance.choice(_GIVEN.split()),
            f"010-{chance.randrange(1000, 9999)}-{chance.randrange(1000, 9999)}",
            f"user{number}@example.com" if chance.random() < 0.8 else None,
            chance.randint(1, 40),
            chance.choice([4500, 12000, 18900.5, "25,000"]),
            date(2025, 1, 1) + timedelta(chance.randrange(365)),
            chance.choice(["택배", "퀵", "방문", None]),
            chance.choice(["예", "아니오", True, False, None]),
        ]
        if chance.random() < 0.3:
            row[6] = row[6].isoformat() if chance.random() < 0.5 else f"{row[6]:%Y. %m. %d}"
        places = {place for place in range(len(row)) if chance.random() < wrong / 2.5}
        for place in places:
            row[place] = chance.choice(_WRONG[place])
        if row[7] == "택배 ":
            places.discard(7)  # blanks at the ends are no mistake
        yield row, places


def write_workbook(path: Path, rows: Iterator[tuple[list[Any], set[int]]]) -> dict[int, set[int]]:
    """Write a workbook; returns the wrong places by row number."""
    mistakes: dict[int, set[int]] = {}
    options = {"strings_to_formulas": False, "strings_to_urls": False, "constant_memory": True}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": date(2025, 11, 5)})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet("주문")
        sheet.set_column(0, len(HEADINGS) - 1, 16)
        sheet.write_row(0, 0, HEADINGS, bold)
        for number, (row, places) in enumerate(rows, start=2):
            for place, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(number - 1, place, value, day)
                elif value is not None and value != "":
                    sheet.write(number - 1, place, value)
            if places:
                mistakes[number] = places
        sheet.write_comment(0, 0, "made by samples/orders.py")
        book.add_worksheet("안내").write(0, 0, "주문 시트만 읽습니다")
    return mistakes


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    print(write_workbook(folder / "orders_with_errors.xlsx", orders(400)))
