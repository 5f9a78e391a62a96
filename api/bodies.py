"""Request bodies: read within bounds, and checked against a JSON Schema."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, TypeVar

import falcon
from falcon.asgi import Request
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from actors.inputs import shortened

from .errors import Refusal

T = TypeVar("T")

_SHOWN = 300
#: Seconds within which the next piece of a body, 64 KB or more, has to be there.
PATIENCE = 60.0


async def in_time(piece: Awaitable[T]) -> T:
    """The next piece of a body.

    Raises:
        Refusal: 408 where it does not come.
    """
    try:
        return await asyncio.wait_for(piece, PATIENCE)
    except asyncio.TimeoutError:
        detail = f"nothing more of the body came for {PATIENCE:g} seconds"
        raise Refusal(408, "too_slow", detail, headers={"Connection": "close"}) from None


async def read_json(req: Request, limit: int, schema: dict[str, Any]) -> dict[str, Any]:
    """The body as a JSON object that fits ``schema``; an empty body is an empty object.

    Raises:
        Refusal: 408, 413, 415 or 422, or 400 where it is cut off or not JSON.
    """
    return parse_body(await read_body(req, limit), schema)


async def read_body(req: Request, limit: int) -> bytes:
    """The body, of the content type JSON unless it is empty.

    Raises:
        Refusal: 408, 413 or 415, or 400 where it is cut off.
    """
    body = await _read(req, limit)
    if body and not is_json(req.content_type):
        expected = f"{falcon.MEDIA_JSON}, not {(req.content_type or 'none')[:80]!r}"
        raise Refusal(415, "media_type", f"expected the content type {expected}")
    return body


def parse_body(body: bytes, schema: dict[str, Any]) -> dict[str, Any]:
    """What a body holds, as :func:`read_json` has it.

    Raises:
        Refusal: 400 or 422.
    """
    data = parse_json(body) if body else {}
    check(data, schema, "body_invalid")
    found: dict[str, Any] = data
    return found


def is_json(content_type: str | None) -> bool:
    """Whether a content type names JSON."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == falcon.MEDIA_JSON or kind.endswith("+json")


def parse_json(text: bytes | str) -> Any:
    """What JSON text holds.

    Raises:
        Refusal: 400.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "body_invalid", f"this is not JSON: {str(error)[:_SHOWN]}") from None


def check(data: Any, schema: dict[str, Any], code: str) -> None:
    """Hold ``data`` against ``schema``.

    Raises:
        Refusal: 422, naming the place in the data and, where there are any, the unknown fields.
    """
    try:
        error = best_match(_validator(json.dumps(schema, sort_keys=True)).iter_errors(data))
    except (SchemaError, RecursionError) as problem:
        raise Refusal(422, code, f"this cannot be checked: {str(problem)[:_SHOWN]}") from None
    if error is None:
        return
    where = error.json_path.removeprefix("$").removeprefix(".") or "the whole"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [name[:80] for name in error.instance if name not in known]
        message = f"unknown fields: {', '.join(map(repr, unknown[:10]))} (known: {', '.join(known)})"
    else:
        message = f"{where[:_SHOWN]}: {shortened(error.message)}"
    raise Refusal(422, code, message)


@lru_cache(maxsize=64)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def forget_schemas() -> None:
    """Let go of the schemas that were kept to be quick."""
    _validator.cache_clear()


async def _read(req: Request, limit: int) -> bytes:
    if (req.content_length or 0) > limit:
        raise _too_large(limit)
    # One more tells whether there is more; a length that is not announced may be anything.
    parts, size = [], 0
    while chunk := await in_time(req.stream.read(min(limit + 1 - size, 1 << 16))):
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
    if size < (req.content_length or 0):
        # The client has gone, and what came may be JSON as it stands.
        raise Refusal(400, "body_invalid", f"the body ends after {size} of {req.content_length} bytes")
    return b"".join(parts)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"a body has at most {limit} bytes")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
