"""What was understood of a document: fields, and checks of its sums. Plain data that travels as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .values import Habits, typed

RULES = "rules"
LLM = "llm"


@dataclass(frozen=True)
class Field:
    """A labelled value.

    Attributes:
        label, value: as they stand in the document.
        kind: integer, decimal, percent, date or text.
        page: from 1; None where it is not known.
        confidence: of the words it was read from, from 0 to 1; None where it is not known.
        review: why a person should look at it, or None.
    """

    label: str
    value: str
    kind: str
    page: int | None = None
    confidence: float | None = None
    review: str | None = None


@dataclass(frozen=True)
class Check:
    """One sum that was done again.

    Attributes:
        rule: what ought to hold, such as ``quantity × price = amount``.
        where: for people, such as ``table 1, row 4``.
        expected, found: the result as computed, and as it stands there.
        passed: whether they agree.
        table, row, column: the cell with the result, from 0; None for checks of fields.
    """

    rule: str
    where: str
    expected: str
    found: str
    passed: bool
    table: int | None = None
    row: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Findings:
    """Fields and checks of a document, and the ``engine`` that found them: ``rules`` or ``llm``.

    ``usage`` counts what a language model took: prompt_tokens, completion_tokens, requests.
    """

    engine: str
    fields: list[Field] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Findings:
        fields = [Field(**entry) for entry in value["fields"]]
        return cls(**{**value, "fields": fields, "checks": [Check(**entry) for entry in value["checks"]]})


def make_field(
    label: str,
    value: str,
    habits: Habits,
    *,
    page: int | None = None,
    confidence: float | None = None,
    review: str | None = None,
) -> Field:
    """A field whose kind is told from its value."""
    return Field(
        label=label.strip(),
        value=value.strip(),
        kind=typed(value, habits).kind,
        page=page,
        confidence=None if confidence is None else round(confidence, 4),
        review=review,
    )
