"""Cells against their columns: each type, each rule, and what is told from the rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from actors.excel_handler.checks import Checker
from actors.excel_handler.report import column_letters
from actors.excel_handler.schema import given_columns, read_headings, told_columns
from actors.excel_handler.values import BadValue, read_value
from callboard.errors import BadInput
from samples.orders import COLUMNS, HEADINGS, orders


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("text", " 가 ", "가"),
        ("text", 12.0, "12"),
        ("text", datetime(2025, 1, 2), "2025-01-02"),
        ("integer", "1,234", 1234),
        ("integer", 3.0, 3),
        ("number", "-1,234.50", -1234.5),
        ("number", 7, 7),
        ("date", datetime(2025, 1, 31), "2025-01-31"),
        ("date", date(2025, 1, 31), "2025-01-31"),
        ("date", datetime(2025, 1, 31, 9, 30), "2025-01-31T09:30:00"),
        ("date", "2025. 1. 31.", "2025-01-31"),
        ("date", "2025년 1월 31일", "2025-01-31"),
        ("date", "2025/01/31", "2025-01-31"),
        ("boolean", "예", True),
        ("boolean", "N", False),
        ("boolean", 1, True),
        ("email", "a.b+c@mail.example.co.kr", "a.b+c@mail.example.co.kr"),
        ("email", "한글@example.com", "한글@example.com"),
        ("phone", "010-1234-5678", "01012345678"),
        ("phone", "(02) 345 6789", "023456789"),
        ("phone", "+82 10-1234-5678", "+821012345678"),
        ("phone", "1588-1234", "15881234"),
    ],
)
def test_values(kind: str, cell: Any, value: Any) -> None:
    found = read_value(cell, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "cell", "said"),
    [
        ("integer", 2.5, "whole number"),
        ("integer", True, "number"),
        ("integer", "12a", "number"),
        ("integer", "9" * 30, "whole number"),
        ("integer", "9" * 400, "number"),
        ("integer", "9" * 5000, "number"),
        ("number", "9" * 32_767, "number"),
        ("number", "1,23", "number"),
        ("number", float("inf"), "number"),
        ("number", "1" + "0" * 400 + ".0", "number"),
        ("number", "#REF!", "formula's error, #REF!"),
        ("date", "2025-02-30", "no such day"),
        ("date", 45678, "date"),
        ("date", "어제", "date"),
        ("boolean", "글쎄", "yes or no"),
        ("boolean", 2, "yes or no"),
        ("email", "a@b", "mail"),
        ("email", "a b@c.de", "mail"),
        ("email", "a@c..de", "mail"),
        ("phone", 1012345678, "leading zero is lost"),
        ("phone", "12-34", "telephone"),
        ("phone", "전화 없음", "telephone"),
    ],
)
def test_values_that_are_none(kind: str, cell: Any, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        read_value(cell, kind)


def test_rules() -> None:
    columns = given_columns(
        [
            {"name": "번호", "field": "id", "required": True, "unique": True, "min": 2, "max": 4},
            {"name": "수", "type": "integer", "min": 1, "max": 9},
            {"name": "날", "type": "date", "min": "2025-01-01"},
            {"name": "종류", "choices": ["가", "나"]},
            {"name": "없음", "type": "number"},
        ],
        ["번호", "", "수", "날", "종류"],
    )
    checker = Checker(columns)
    record, errors = checker.check(2, ("a1", None, 3, "2025-05-05", "가"))
    assert (record, errors) == ({"id": "a1", "수": 3, "날": "2025-05-05", "종류": "가", "없음": None}, [])
    _, errors = checker.check(3, ("a1", None, 0, "2024-12-31", "다"))
    assert [(error.column, error.problem) for error in errors] == [
        (1, "the same as in row 2"),
        (3, "less than 1"),
        (4, "less than 2025-01-01"),
        (5, "expected one of 가, 나"),
    ]
    _, errors = checker.check(4, (" ", None, 10))
    assert [(error.name, error.value, error.problem) for error in errors] == [
        ("번호", " ", "required, and empty"),
        ("수", "10", "more than 9"),
    ]
    _, errors = checker.check(5, ("a", None, None, None, None))
    assert errors[0].problem == "less than 2 characters"


def test_a_bound_is_a_whole_day() -> None:
    column = {"name": "날", "type": "date", "min": "2025-01-30", "max": "2025-01-31"}
    checker = Checker(given_columns([column], ["날"]))
    for hour in (0, 9, 23):
        assert checker.check(2, (datetime(2025, 1, 31, hour, 30),))[1] == []
    assert checker.check(2, (datetime(2025, 1, 29, 23, 59),))[1][0].problem == "less than 2025-01-30"
    assert checker.check(2, (datetime(2025, 2, 1, 0, 1),))[1][0].problem == "more than 2025-01-31"


def test_choices_are_read_as_cells_are() -> None:
    wanted = [
        {"name": "수", "type": "integer", "choices": ["1", 2.0]},
        {"name": "날", "type": "date", "choices": ["2025. 1. 31."]},
    ]
    checker = Checker(given_columns(wanted, ["수", "날"]))
    for row in ((1, "2025-01-31"), ("2", date(2025, 1, 31))):
        assert checker.check(2, row)[1] == []
    assert checker.check(2, (3, None))[1][0].problem == "expected one of 1, 2"


def test_a_column_of_ones_is_no_column_of_answers() -> None:
    rows = [(1, "1", "예", True)] * 3
    assert [column.type for column in told_columns(["수량", "개", "회원", "동의"], rows)] == [
        *("integer", "integer", "boolean", "boolean")
    ]


def test_every_mistake_of_a_generated_workbook_is_found_and_nothing_else() -> None:
    columns = given_columns(COLUMNS, HEADINGS)
    checker = Checker(columns)
    wrong = 0
    for number, (row, places) in enumerate(orders(3000), start=2):
        _, errors = checker.check(number, row)
        assert {error.column - 1 for error in errors} == places, row
        wrong += len(places)
    assert wrong > 200


def test_columns_are_told_from_the_rows() -> None:
    rows = [row for row, _ in orders(300)]
    told = {column.name: column for column in told_columns(HEADINGS, rows)}
    assert {name: column.type for name, column in told.items()} == {
        "주문번호": "text", "고객명": "text", "전화번호": "phone", "이메일": "email", "수량": "integer",
        "단가": "number", "주문일": "date", "배송": "text", "회원": "boolean",
    }  # fmt: skip
    assert {name for name, column in told.items() if not column.required} == {"이메일", "배송", "회원"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([{"name": "나이", "required": True}], "the sheet has no column '나이'; its headings are '이름'"),
        ([{"name": "나이"}], "none of the columns"),
        ([{"name": "이름"}, {"name": "이름"}], r"options.columns\[1\]: '이름' is named twice"),
        ([{"name": "이름", "type": "date", "min": 3}], r"options.columns\[0\].min: read 3, expected a date"),
        ([{"name": "이름", "type": "number", "max": "9"}], r"options.columns\[0\].max: read '9'"),
        ([{"name": "이름", "type": "email", "max": 9}], r"options.columns\[0\].max: read 9"),
        ([{"name": "이름", "min": 5, "max": 1}], r"options.columns\[0\].min: read 5, expected no more than"),
        ([{"name": "이름", "type": "integer", "choices": ["가"]}], r"choices: read '가', expected a number"),
        ([{"name": "이름", "choices": [{}]}], r"options.columns\[0\].choices: read '{}', expected texts"),
    ],
)
def test_columns_that_cannot_be(wanted: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        given_columns(wanted, ["이름"])


def test_headings() -> None:
    assert read_headings(["이름", None, " 전화\n번호 ", 3]) == ["이름", "", "전화 번호", "3"]
    for row, said in ((["a", "a"], "'a' are there twice"), ([None, " "], "empty")):
        with pytest.raises(BadInput, match=said):
            read_headings(row)


def test_letters_of_columns() -> None:
    assert [column_letters(number) for number in (0, 1, 26, 27, 702, 703)] == [
        "",
        "A",
        "Z",
        "AA",
        "ZZ",
        "AAA",
    ]
