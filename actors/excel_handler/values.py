"""A cell's value as the type that its column has, or why it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!")
_TRUE = ("true", "yes", "y", "o", "1", "예", "네", "참")
_FALSE = ("false", "no", "n", "x", "0", "아니오", "아니요", "거짓")
_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?|[-+]?\.\d+")
_DATES = (
    re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"),
    re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})"),
    re.compile(r"(\d{4})\.\s?(\d{1,2})\.\s?(\d{1,2})\.?"),
    re.compile(r"(\d{4})년\s?(\d{1,2})월\s?(\d{1,2})일"),
)
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w](?:[\w-]{0,61}[\w])?\.)+[^\W\d_]{2,63}")
_PHONE = re.compile(r"(?:\+\d{1,3}[ -]?)?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){1,4}")
#: Numbers that JSON readers of every kind take whole.
_LARGEST = 2**53
#: Characters of a number that is written as text; more than 308 digits are beyond all numbers.
_LONGEST_NUMBER = 300


class BadValue(ValueError):
    """A value is not of the type; the text says what was expected."""


def read_value(value: Any, kind: str) -> Any:
    """The value as JSON has it: a date is ISO text, a telephone number its digits.

    Raises:
        BadValue: it is none of that type.
    """
    if isinstance(value, str):
        value = value.strip()
        if value in _ERRORS:
            raise BadValue(f"a formula's error, {value}")
    return _READERS[kind](value)


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadValue("expected a number")
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
            raise BadValue("expected a number")
        plain = value.replace(",", "")
        value = float(plain) if "." in plain else int(plain)
    number: float | int = value
    if not math.isfinite(number):
        raise BadValue("expected a number")
    return number


def _integer(value: Any) -> int:
    number = _number(value)
    if number != int(number) or abs(number) > _LARGEST:
        raise BadValue("expected a whole number")
    return int(number)


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        for form in _DATES:
            if match := form.fullmatch(value):
                try:
                    return date(*(int(part) for part in match.groups())).isoformat()
                except ValueError:
                    raise BadValue("no such day") from None
    raise BadValue("expected a date such as 2025-01-31")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise BadValue("expected yes or no")


def _email(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 254 or not _EMAIL.fullmatch(value) or ".." in value:
        raise BadValue("expected a mail address")
    return value


def _phone(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 10**8 <= value < 10**10:
            raise BadValue("a number: its leading zero is lost; the cell must be text")
        raise BadValue("expected a telephone number, as text")
    digits = re.sub(r"\D", "", value) if isinstance(value, str) else ""
    if not isinstance(value, str) or not _PHONE.fullmatch(value) or not 8 <= len(digits) <= 15:
        raise BadValue("expected a telephone number")
    if value.startswith("+"):
        return f"+{digits}"
    if not (digits.startswith("0") and 9 <= len(digits) <= 12) and not (
        digits.startswith("1") and len(digits) == 8
    ):
        raise BadValue("expected a telephone number with its area code, or with + and a country's")
    return digits


_READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
    "email": _email,
    "phone": _phone,
}
TYPES = tuple(_READERS)
