"""What each responder is: who may call it, what it takes, what it answers. Checked and documented from here.

class History:
    @operation("The chains, newest first", query={"limit": {...}}, answers={200: CHAINS})
    async def on_get(self, req, resp): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

import falcon

from .auth import Role
from .errors import Refusal

Responder = TypeVar("Responder", bound=Callable[..., Any])
Schema = dict[str, Any]
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
#: Query parameters that an operation takes where its path names a run.
TOKEN = "token"


@dataclass(frozen=True)
class Operation:
    """The contract of one responder.

    Attributes:
        summary: one line.
        role: who may call it; None: everyone.
        query: JSON Schema of each query parameter; others are refused by name.
        path: JSON Schema of the fields of the path that are no ids.
        body: JSON Schema by media type.
        answers: by status, a JSON Schema, or None where there is no JSON body.
        media: content type of an answer that is not JSON.
        headers: request headers that it looks at, with what they are for.
        other_media: content type in which a good answer may come instead of JSON.
    """

    summary: str
    role: Role | None = Role.READ
    query: Mapping[str, Schema] = field(default_factory=dict)
    path: Mapping[str, Schema] = field(default_factory=dict)
    body: Mapping[str, Schema] = field(default_factory=dict)
    answers: Mapping[int, Schema | None] = field(default_factory=dict)
    media: str = falcon.MEDIA_JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    other_media: str | None = None


def operation(summary: str, **contract: Any) -> Callable[[Responder], Responder]:
    """Give a responder its :class:`Operation`."""
    made = Operation(summary, **contract)

    def mark(responder: Responder) -> Responder:
        responder.operation = made  # type: ignore[attr-defined]
        return responder

    return mark


def operation_of(resource: object, method: str) -> Operation | None:
    """The operation of a resource's responder; None where it has none."""
    responder = getattr(resource, f"on_{method.lower()}", None)
    return getattr(responder, "operation", None)


def read_query(request: falcon.Request, wanted: Mapping[str, Schema]) -> dict[str, Any]:
    """The query parameters, converted and checked; defaults where they are absent.

    Raises:
        Refusal: 422 naming the parameter.
    """
    given = request.params
    for name, value in given.items():
        if name not in wanted:
            known = ", ".join(wanted) or "none"
            raise Refusal(422, "query_invalid", f"unknown query parameter {name!r} (known: {known})")
        if not isinstance(value, str):
            raise Refusal(422, "query_invalid", f"{name}: given more than once")
    return {
        name: _convert(name, given[name], schema) if name in given else schema.get("default")
        for name, schema in wanted.items()
    }


def _convert(name: str, text: Any, schema: Schema) -> Any:
    kind, expected = schema["type"], schema.get("description", schema["type"])
    try:
        if kind == "integer":
            return _whole(text, schema)
        if kind == "boolean":
            return _TRUTHS[text.lower()]
        if schema.get("format") == "date-time":
            return _moment(text)
        if "\0" in text or len(text) > schema.get("maxLength", 1000):
            raise ValueError
        if text not in schema.get("enum", [text]):
            expected = " or ".join(schema["enum"])
            raise ValueError
    except (ValueError, KeyError, OverflowError):
        raise Refusal(422, "query_invalid", f"{name}: read {text[:100]!r}, expected {expected}") from None
    return text


def _whole(text: str, schema: Schema) -> int:
    if not text.isascii() or len(text) > 12 or not text.lstrip("-").isdigit():
        raise ValueError
    number = int(text)
    if not schema.get("minimum", number) <= number <= schema.get("maximum", number):
        raise ValueError
    return number


def _moment(text: str) -> datetime:
    """A naive UTC moment. A ``+`` that was not escaped arrives as a blank."""
    moment = datetime.fromisoformat(text.replace(" ", "+").replace("Z", "+00:00"))
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(timezone.utc).replace(tzinfo=None)
