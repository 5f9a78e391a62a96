"""What a chain of messages may be told, checked field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from callboard.errors import BadInput

TRANSPORTS = ("smtp", "webhook", "file")
#: Characters of a template.
LONGEST_TEMPLATE = 1 << 20

#: JSON Schema of ``options``, for clients and for the check by HTTP.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "subject": {
            "type": "string",
            "description": "template; {name} is the recipient's value of that name",
        },
        "text": {"type": "string", "description": "template of the plain text"},
        "html": {"type": "string", "description": "template of the HTML part; values are escaped"},
        "reply_to": {"type": "string", "description": "an address"},
        "transport": {"enum": list(TRANSPORTS), "description": "smtp unless given"},
        "per_second": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
        "max_attempts": {"type": "integer", "minimum": 1, "maximum": 20},
        "success_threshold": {"type": "number", "minimum": 0, "maximum": 1},
        "repeat_uncertain": {"type": "boolean"},
    },
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Options:
    """How a list is sent.

    Attributes:
        subject, text, html: templates, for those who bring none of their own; empty where not given.
        reply_to: address for answers, or empty.
        transport: ``smtp``, ``webhook`` or ``file``.
        per_second: messages per second at most; 0 for as many as go.
        max_attempts: how often a message is tried that the other side puts off.
        success_threshold: share of the list (0 to 1) that must be sent for the chain to be SUCCESS.
        repeat_uncertain: whether a message is sent again of which nobody knows whether it arrived.
    """

    subject: str = ""
    text: str = ""
    html: str = ""
    reply_to: str = ""
    transport: str = "smtp"
    per_second: float = 0.0
    max_attempts: int = 6
    success_threshold: float = 1.0
    repeat_uncertain: bool = True

    @classmethod
    def of(cls, document: Any) -> Options:
        """Those of a chain's input.

        Raises:
            BadInput: names the field, what was read and what is expected.
        """
        given = document.get("options") if isinstance(document, dict) else None
        given = {} if given is None else given
        if not isinstance(given, dict):
            raise BadInput(f"options: read {given!r}, expected an object")
        known = SCHEMA["properties"]
        for name, value in given.items():
            if name not in known:
                raise BadInput(f"options: read {str(name)[:80]!r}, expected one of {', '.join(known)}")
            _check(name, value, known[name])
        return cls(**given)


def _check(name: str, value: Any, schema: dict[str, Any]) -> None:
    expected = ""
    kind = schema.get("type")
    if "enum" in schema:
        expected = "" if value in schema["enum"] else f"one of {', '.join(schema['enum'])}"
    elif kind == "string":
        fits = isinstance(value, str) and len(value) <= LONGEST_TEMPLATE
        expected = "" if fits else f"a text of up to {LONGEST_TEMPLATE} characters"
    elif kind == "boolean":
        expected = "" if isinstance(value, bool) else "true or false"
    else:
        whole = kind == "integer"
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        least, most = schema.get("minimum", 0), schema["maximum"]
        fits = fits and least <= value <= most and value != schema.get("exclusiveMinimum")
        above = " above 0" if "exclusiveMinimum" in schema else f" from {least}"
        expected = "" if fits else f"a{' whole' if whole else ''} number{above} to {most}"
    if expected:
        raise BadInput(f"options.{name}: read {str(value)[:80]!r}, expected {expected}")
