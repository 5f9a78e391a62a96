"""What a text in a cell is: a number, a share, an amount of money, a date, or text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

Kind = Literal["integer", "decimal", "percent", "date", "text"]

_CURRENCIES = {
    "$": "USD", "US$": "USD", "USD": "USD", "€": "EUR", "EUR": "EUR", "£": "GBP", "GBP": "GBP",
    "¥": "JPY", "JPY": "JPY", "₩": "KRW", "￦": "KRW", "W": "KRW", "KRW": "KRW", "원": "KRW", "CHF": "CHF",
    "₹": "INR", "INR": "INR", "kr": "SEK", "SEK": "SEK",
}  # fmt: skip
_MARK = "|".join(sorted((re.escape(mark) for mark in _CURRENCIES), key=len, reverse=True))
_DIGITS = r"\d+(?:[.,'’  ]\d+)*"
_NUMBER = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_MARK})?\s*(?P<sign2>[-+])?\s*"
    rf"(?P<digits>{_DIGITS}|[.,]\d+)\s*(?P<percent>[%‰])?\s*(?P<after>{_MARK})?\s*(?P<sign3>-)?\s*(?P<close>\))?"
)
_MINUS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "％": "%", "，": ",", "．": "."}
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep sept september", "oct october", "nov november", "dec december"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A typed value.

    Attributes:
        kind: what it is.
        text: as it was read.
        number: of an integer, a decimal, or a percentage (12.5 % is 0.125); else None.
        day: of a date; else None.
        places: digits after the decimal mark.
        grouped: thousands were set apart.
        currency: ISO code, where a sign or code was there.
    """

    kind: Kind
    text: str
    number: Decimal | None = None
    day: date | None = None
    places: int = 0
    grouped: bool = False
    currency: str | None = None


@dataclass(frozen=True)
class Habits:
    """How the numbers of a document are written: its decimal mark, and whether days come before months."""

    decimal_mark: Literal[".", ","] = "."
    day_first: bool = False


def habits_of(texts: Iterable[str]) -> Habits:
    """What the unmistakable numbers and dates among some texts say about the others.

    ``1.234,50`` can only have a decimal comma, ``25/01/2024`` only the day first; ``1.234`` or ``02/01/2024``
    alone may be either and follow the rest. Without evidence: decimal point, month first.
    """
    commas = points = days = months = 0
    for text in texts:
        cleaned = text.translate(_MINUS).strip()
        for digits in re.findall(r"\d[\d.,]*\d", cleaned):
            mark = _certain_mark(digits)
            commas += mark == ","
            points += mark == "."
        for first, second in re.findall(r"\b(\d{1,2})[/.-](\d{1,2})[/.-](?:\d{4}|\d{2})\b", cleaned):
            days += int(first) > 12
            months += int(second) > 12
        days += bool(re.search(r"\b\d{1,2}\.\d{1,2}\.\d{4}\b", cleaned))
    comma_decimal = commas > points
    return Habits("," if comma_decimal else ".", days > months or (days == months and comma_decimal))


def typed(text: str, habits: Habits | None = None) -> Value:
    """What a cell's text is. What is not clearly a number or a date stays text, as do codes like ``0012``."""
    habits = habits or Habits()
    cleaned = " ".join(text.translate(_MINUS).split())
    if not cleaned or len(cleaned) > 40:
        return Value("text", text)
    day = _date(cleaned, habits.day_first)
    if day is not None:
        return Value("date", text, day=day)
    return _number(text, cleaned, habits) or Value("text", text)


def is_figure(text: str) -> bool:
    """Whether a text is a number, a share or a date; for telling columns of figures."""
    return typed(text).kind != "text" or text.strip() in ("-", "–", "—")


def _number(text: str, cleaned: str, habits: Habits) -> Value | None:  # noqa: PLR0911
    match = _NUMBER.fullmatch(cleaned)
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    signs = [sign for sign in (match["sign"], match["sign2"], match["sign3"]) if sign]
    if len(signs) > 1 or (signs and match["open"]) or (match["before"] and match["after"]):
        return None
    mark = match["before"] or match["after"]
    # A lone W before digits is how the won sign is misread; "W12" may be a code, "W12,000" is money.
    if mark == "W" and (match["after"] or "," not in match["digits"]):
        return None
    parsed = _digits(match["digits"], habits)
    if parsed is None:
        return None
    number, places, grouped = parsed
    whole = match["digits"].lstrip(".,")
    is_code = len(whole) > 1 and whole[0] == "0" and whole.isdigit() and match["digits"] == whole
    if is_code or (len(whole) > 15 and whole.isdigit()):
        return None
    if match["open"] or "-" in signs:
        number = -number
    currency = _CURRENCIES[mark] if mark else None
    if match["percent"]:
        scale = 2 if match["percent"] == "%" else 3
        return Value("percent", text, number=number.scaleb(-scale), places=places, grouped=grouped)
    kind: Kind = "decimal" if places else "integer"
    return Value(kind, text, number=number, places=places, grouped=grouped, currency=currency)


def _digits(digits: str, habits: Habits) -> tuple[Decimal, int, bool] | None:
    """Value, places after the decimal mark, whether thousands were set apart; None for what is no number."""
    digits = re.sub(r"['’  ]", " ", digits)
    decimal_mark = _certain_mark(digits)
    if decimal_mark is None:
        marks = set(re.findall(r"[.,]", digits))
        # One mark before three digits: thousands, unless it is how this document writes decimals.
        if marks == {habits.decimal_mark} and digits.count(habits.decimal_mark) == 1:
            decimal_mark = habits.decimal_mark
    whole, _, fraction = digits.rpartition(decimal_mark) if decimal_mark else (digits, "", "")
    groups = re.split(r"[., ]", whole) if whole else ["0"]
    if not all(group.isdigit() for group in groups) or (fraction and not fraction.isdigit()):
        return None
    if len(groups) > 1 and (
        not 1 <= len(groups[0]) <= 3
        or len(groups[-1]) != 3
        or any(len(g) not in (2, 3) for g in groups[1:-1])
    ):
        return None
    return Decimal("".join(groups) + (f".{fraction}" if fraction else "")), len(fraction), len(groups) > 1


def _certain_mark(digits: str) -> Literal[".", ","] | None:
    """The decimal mark of a number when there is no doubt about it, else None."""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return None
    mark: Literal[".", ","] = "." if digits[last] == "." else ","
    other = "," if mark == "." else "."
    if digits.count(mark) > 1:
        return None
    after = len(digits) - last - 1
    if other in digits:
        return mark if digits.rfind(other) < last else None
    if after != 3 or digits[:last].strip() in ("", "0") or last > 3:
        return mark
    return None


def _date(cleaned: str, day_first: bool) -> date | None:
    korean = re.fullmatch(r"(\d{4})\s*년\s*(\d{1,2})\s*월\s*(\d{1,2})\s*일", cleaned)
    match = korean or re.fullmatch(r"(\d{4})\s?([-/.])\s?(\d{1,2})\s?\2\s?(\d{1,2})\.?", cleaned)
    if match:
        year, month, day = match[1], match[len(match.groups()) - 1], match[len(match.groups())]
        return _day(int(year), int(month), int(day))
    match = re.fullmatch(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})", cleaned)
    if match:
        first, second, year_text = int(match[1]), int(match[3]), match[4]
        year = int(year_text) + (2000 if len(year_text) == 2 else 0)
        swap = (day_first or match[2] == "." or first > 12) and second <= 12
        return _day(year, second, first) if swap else _day(year, first, second)
    named = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?[ .-]*([A-Za-z]{3,9})\.?,?[ -]*(\d{4})", cleaned)
    if named and named[2].lower() in _MONTHS:
        return _day(int(named[3]), _MONTHS[named[2].lower()], int(named[1]))
    named = re.fullmatch(r"([A-Za-z]{3,9})\.? ?(\d{1,2})(?:st|nd|rd|th)?,? ?(\d{4})", cleaned)
    if named and named[1].lower() in _MONTHS:
        return _day(int(named[3]), _MONTHS[named[1].lower()], int(named[2]))
    return None


def _day(year: int, month: int, day: int) -> date | None:
    if not 1900 <= year <= 2200:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None
