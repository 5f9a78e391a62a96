"""Doing a document's sums again: quantity × price = amount, rows = total, sum + tax = total.

What does not agree was misread or is wrong on paper; either way a person has to look at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from .findings import Check, Field
from .tables import Cell, Table
from .values import Habits, Value, habits_of, is_figure, typed

_QUANTITY = re.compile(r"\b(qty|quantity|units?|pcs|pieces|menge|anzahl)\b|수량|개수", re.I)
_PRICE = re.compile(r"\b(unit price|unit cost|price|rate|preis|einzelpreis)\b|단가", re.I)
_AMOUNT = re.compile(r"\b(amount|line total|total|net|betrag|gesamt|value)\b|금액|공급가액|합계", re.I)
_SUBTOTAL = re.compile(r"\b(sub-?\s?total|net( amount| total)?|zwischensumme|netto)\b|소계|공급가액", re.I)
_TAX = re.compile(r"\b(vat|tax|gst|mwst|ust|sales tax)\b|부가세|부가가치세|세액", re.I)
_TOTAL = re.compile(
    r"\b(grand total|total( due| amount)?|sum|balance due|amount due|gesamt\w*|summe)\b"
    r"|합계|총계|총액|총금액",
    re.I,
)


def role_of(label: str) -> str | None:
    """What a label of a sum stands for: ``subtotal``, ``tax``, ``total`` or None."""
    for role, pattern in (("subtotal", _SUBTOTAL), ("tax", _TAX), ("total", _TOTAL)):
        if pattern.search(label):
            return role
    return None


def check_fields(fields: list[Field]) -> list[Check]:
    """Checks sum + tax = total over the fields of a document, where each of the three is there once."""
    habits = habits_of(field.value for field in fields)
    amounts: dict[str, set[Decimal]] = {}
    for field in fields:
        role, value = role_of(field.label), typed(field.value, habits)
        if role and value.number is not None and value.kind != "percent":
            amounts.setdefault(role, set()).add(value.number)
    if any(len(amounts.get(role, ())) != 1 for role in ("subtotal", "tax", "total")):
        return []
    subtotal, tax, total = (min(amounts[role]) for role in ("subtotal", "tax", "total"))
    return [_check("sum + tax = total", "fields", subtotal + tax, total)]


def check_table(table: Table, index: int) -> list[Check]:
    """All checks that a table's headers and labels allow. ``index``: of the table in the document, from 0."""
    habits = habits_of(cell.text for cell in table.cells)
    grid = _Grid(table, habits)
    return [*_check_products(grid, index), *_check_sums(grid, index)]


def mark_reviews(table: Table, checks: Iterable[Check]) -> Table:
    """The table with the cells marked that failed a check."""
    failed = {(check.row, check.column): check for check in checks if not check.passed}
    cells = []
    for cell in table.cells:
        check = failed.get((cell.row, cell.column))
        reason = f"{check.rule}: expected {check.expected}" if check else cell.review
        cells.append(replace(cell, review=reason))
    return replace(table, cells=cells)


class _Grid:
    """A table's values by place, with the header's rows and each column's heading."""

    def __init__(self, table: Table, habits: Habits) -> None:
        self.values: dict[tuple[int, int], Value] = {}
        self.labels: dict[int, str] = {}
        self.columns = table.columns
        self.rows = table.rows
        by_row: dict[int, list[Cell]] = {}
        for cell in sorted(table.cells, key=lambda cell: (cell.row, cell.column)):
            by_row.setdefault(cell.row, []).append(cell)
            if cell.text:
                self.values[cell.row, cell.column] = typed(cell.text, habits)
        self.header_rows = next(
            (row for row in range(table.rows) if any(is_figure(cell.text) for cell in by_row.get(row, []))), 0
        )
        headings: list[list[str]] = [[] for _ in range(table.columns)]
        for row in range(self.header_rows):
            for cell in by_row.get(row, []):
                for column in range(cell.column, min(cell.column + cell.column_span, table.columns)):
                    headings[column].append(cell.text.replace("\n", " "))
        self.headings = [" ".join(parts) for parts in headings]
        for row in range(self.header_rows, table.rows):
            texts = [cell.text for cell in by_row.get(row, []) if cell.text and not is_figure(cell.text)]
            self.labels[row] = texts[0] if texts else ""

    def number(self, row: int, column: int) -> Decimal | None:
        """The number at a place; None for text, dates and shares."""
        value = self.values.get((row, column))
        return value.number if value and value.kind in ("integer", "decimal") else None

    def column_of(self, pattern: re.Pattern[str], *, besides: tuple[int | None, ...] = ()) -> int | None:
        """The last column with such a heading: a line's amount stands after what it is made of."""
        found = [c for c, text in enumerate(self.headings) if pattern.search(text) and c not in besides]
        return found[-1] if found else None


def _check_products(grid: _Grid, index: int) -> list[Check]:
    quantity = grid.column_of(_QUANTITY, besides=(grid.column_of(_PRICE),))
    price = grid.column_of(_PRICE, besides=(quantity,))
    amount = grid.column_of(_AMOUNT, besides=(quantity, price))
    if quantity is None or price is None or amount is None:
        return []
    checks = []
    for row in range(grid.header_rows, grid.rows):
        factors = grid.number(row, quantity), grid.number(row, price)
        result = grid.number(row, amount)
        if factors[0] is None or factors[1] is None or result is None:
            continue
        check = _check("quantity × price = amount", _where(index, row), factors[0] * factors[1], result)
        checks.append(replace(check, table=index, row=row, column=amount))
    return checks


def _check_sums(grid: _Grid, index: int) -> list[Check]:
    roles = {row: role_of(label) for row, label in grid.labels.items()}
    totals = [row for row, role in roles.items() if role == "total"]
    if not totals and "subtotal" not in roles.values():
        return []
    body = [row for row, role in roles.items() if role is None]
    checks = []
    for column in range(grid.columns):
        parts = [number for row in body if (number := grid.number(row, column)) is not None]
        if len(parts) < 2:
            continue
        sums = {
            role: [
                (row, number)
                for row, own in roles.items()
                if own == role and (number := grid.number(row, column)) is not None
            ]
            for role in ("subtotal", "tax", "total")
        }
        if any(len(found) > 1 for found in sums.values()):
            continue
        subtotal, tax, total = (
            sums[role][0] if sums[role] else None for role in ("subtotal", "tax", "total")
        )
        before_tax = sum(parts, Decimal(0))
        if subtotal:
            check = _check("rows = subtotal", _where(index, subtotal[0]), before_tax, subtotal[1])
            checks.append(replace(check, table=index, row=subtotal[0], column=column))
            before_tax = subtotal[1]
        if total and (tax or not subtotal):
            rule = "sum + tax = total" if tax else "rows = total"
            expected = before_tax + (tax[1] if tax else Decimal(0))
            check = _check(rule, _where(index, total[0]), expected, total[1])
            checks.append(replace(check, table=index, row=total[0], column=column))
    return checks


def _check(rule: str, where: str, expected: Decimal, found: Decimal) -> Check:
    # Amounts are rounded to their last place, and so may a product be.
    exponent = found.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    allowed = Decimal(1).scaleb(-places) * Decimal("0.51")
    return Check(rule, where, _plain(expected), _plain(found), abs(expected - found) <= allowed)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else "0"


def _where(index: int, row: int) -> str:
    return f"table {index + 1}, row {row + 1}"
