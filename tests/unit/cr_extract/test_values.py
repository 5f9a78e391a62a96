"""Telling numbers, shares, dates and text apart."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from actors.cr_extract.values import Habits, habits_of, is_figure, typed

COMMA = Habits(decimal_mark=",")


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("7", "integer", "7"),
        ("1,234", "integer", "1234"),
        ("1,234,567.89", "decimal", "1234567.89"),
        ("12.90", "decimal", "12.90"),
        ("1.234,50", "decimal", "1234.50"),
        ("1.234.567", "integer", "1234567"),
        ("1 234 567,5", "decimal", "1234567.5"),
        ("1'234.50", "decimal", "1234.50"),
        ("-25.80", "decimal", "-25.80"),
        ("−25.80", "decimal", "-25.80"),
        ("(1,200)", "integer", "-1200"),
        ("100-", "integer", "-100"),
        ("$1,204.50", "decimal", "1204.50"),
        ("-$12.00", "decimal", "-12.00"),
        ("$-12.00", "decimal", "-12.00"),
        ("1.250,00 €", "decimal", "1250.00"),
        ("₩85,000", "integer", "85000"),
        ("W85,000", "integer", "85000"),
        ("85,000원", "integer", "85000"),
        ("12.5%", "percent", "0.125"),
        ("-3,2 %", "percent", "-0.032"),
        (".5", "decimal", "0.5"),
        ("0.125", "decimal", "0.125"),
        ("0", "integer", "0"),
    ],
)
def test_numbers(text: str, kind: str, number: str) -> None:
    value = typed(text)
    assert (value.kind, value.number) == (kind, Decimal(number))


NO_NUMBERS = (
    "0012 | 00 | 4401-228-907 | INV-2024 | 12 mm | =1+1 | 1,23,4 | 1.2.3 | W12 | --5 | (5 | A1 | Q1 | $5 € | "
    "1234567890123456 | 3 of 6 | 12:30 | N/A | -"
)


@pytest.mark.parametrize("text", ["", *NO_NUMBERS.split(" | ")])
def test_text_stays_text(text: str) -> None:
    assert typed(text).kind == "text"


@pytest.mark.parametrize(
    ("text", "habits", "expected"),
    [
        ("2024-02-05", Habits(), date(2024, 2, 5)),
        ("2024.02.05", Habits(), date(2024, 2, 5)),
        ("2024. 2. 5.", Habits(), date(2024, 2, 5)),
        ("2024년 2월 5일", Habits(), date(2024, 2, 5)),
        ("02/05/2024", Habits(), date(2024, 2, 5)),
        ("02/05/2024", Habits(day_first=True), date(2024, 5, 2)),
        ("25/01/2024", Habits(), date(2024, 1, 25)),
        ("05.02.2024", Habits(), date(2024, 2, 5)),
        ("5 Feb 2024", Habits(), date(2024, 2, 5)),
        ("February 5, 2024", Habits(), date(2024, 2, 5)),
    ],
)
def test_dates(text: str, habits: Habits, expected: date) -> None:
    value = typed(text, habits)
    assert (value.kind, value.day) == ("date", expected)


@pytest.mark.parametrize("text", ["2024-13-40", "31/02/2024", "99/99/9999", "1/2"])
def test_impossible_dates_are_no_dates(text: str) -> None:
    assert typed(text).kind == "text"


def test_habits_settle_what_is_ambiguous() -> None:
    assert habits_of(["1.234,50", "1.234"]) == Habits(",", day_first=True)
    assert habits_of(["1,234.50", "25/01/2024"]) == Habits(".", day_first=True)
    assert habits_of([]) == Habits()
    assert typed("1.234", COMMA).number == Decimal(1234)
    assert typed("1.234").number == Decimal("1.234")
    assert typed("1,234", COMMA).number == Decimal("1.234")


def test_format_facts_are_kept() -> None:
    value = typed("$1,204.50")
    assert (value.places, value.grouped, value.currency) == (2, True, "USD")
    assert is_figure("–")
    assert not is_figure("Total")
