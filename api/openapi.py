"""The OpenAPI 3.1 document, made from the routes and the operations of their responders."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import falcon

from callboard import __version__

from . import schemas
from .operations import TOKEN, Operation, operation_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ID = {"type": "string", "minLength": 1, "maxLength": 200}
_HEADER = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
_FIELD = re.compile(r"{(\w+)[}:]")
_CONVERTER = re.compile(r":\w+}")
#: Ends of paths that clients of existing systems write with a slash.
_SLASHED = ("/api/v1/jobs/{job_id}", "/media/videos/{video_id}")


def document(routes: Iterable[tuple[str, object]], *, keys_needed: bool) -> dict[str, Any]:
    """The document.

    Parameters:
        routes: URI templates with their resources.
        keys_needed: whether there are API keys.
    """
    paths: dict[str, Any] = {}
    for template, resource in routes:
        operations = {
            method.lower(): _operation(template, resource, method, found, keys_needed)
            for method in METHODS
            if (found := operation_of(resource, method)) is not None
        }
        if operations:
            path = _CONVERTER.sub("}", template)
            paths[f"{path}/" if path in _SLASHED else path] = operations
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Callboard",
            "version": __version__,
            "description": "Tracked workflows on Dramatiq. Progress comes by WebSocket, too: /ws/{run_id}.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": schemas.ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(
    template: str, resource: object, method: str, found: Operation, keys_needed: bool
) -> dict[str, Any]:
    responder = getattr(resource, f"on_{method.lower()}")
    fields = _FIELD.findall(template)
    made: dict[str, Any] = {
        "operationId": f"{method.lower()}{type(resource).__name__}",
        "summary": found.summary,
        "description": inspect.getdoc(responder) or "",
        "tags": [_tag(template)],
        "parameters": [*_in_path(found, fields), *_in_query(found, fields), *_in_headers(found)],
        "responses": _responses(found, named=bool(fields)),
    }
    if found.body:
        required = any(schema.get("required") for schema in found.body.values())
        content = {media: {"schema": schema} for media, schema in found.body.items()}
        made["requestBody"] = {"required": required, "content": content}
    if found.role is not None and keys_needed:
        made["security"] = [{"bearer": []}, {"key": []}]
        made["description"] += f"\n\nNeeds a key with the role {found.role.name.lower()}."
    return made


def _tag(template: str) -> str:
    words = [word for word in template.split("/") if word and word not in ("api", "v1") and "{" not in word]
    return words[0] if words else "api"


def _in_path(found: Operation, fields: list[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": found.path.get(name, _ID)} for name in fields
    ]


def _in_query(found: Operation, fields: list[str]) -> list[dict[str, Any]]:
    wanted = dict(found.query)
    if "run_id" in fields and found.role is not None and found.media == "text/event-stream":
        wanted[TOKEN] = {"type": "string", "description": "a short-lived token in place of a key"}
    return [{"name": name, "in": "query", "schema": schema} for name, schema in wanted.items()]


def _in_headers(found: Operation) -> list[dict[str, Any]]:
    language = {
        "name": "Accept-Language",
        "in": "header",
        "description": "the language of messages",
        "schema": {"type": "string", "examples": ["ko", "en"]},
    }
    own = [
        {"name": name, "in": "header", "description": text, "schema": _HEADER}
        for name, text in found.headers.items()
    ]
    return [language, *own]


def _responses(found: Operation, *, named: bool) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    refusals = (400, 401, 403, *((404,) if named else ()), 422, 500, 503)
    answers: dict[int, Any] = dict.fromkeys((*refusals, *((408,) if found.body else ())), schemas.ERROR)
    answers |= dict(found.answers)
    responses: dict[str, Any] = {}
    for status in sorted(answers):
        schema = answers[status]
        if schema is schemas.ERROR:
            content = {falcon.MEDIA_JSON: {"schema": error}}
        elif schema is not None:
            content = {falcon.MEDIA_JSON: {"schema": schema}}
            if found.other_media is not None:
                content[found.other_media] = {"schema": {"type": "string"}}
        elif status == HTTPStatus.NO_CONTENT:
            content = {}
        else:
            content = {found.media: {"schema": {"type": "string"}}}
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "headers": {"X-Request-ID": {"schema": {"type": "string"}}},
            **({"content": content} if content else {}),
        }
    return responses
