"""Every error as JSON: ``{"success": false, "data": null, "message", "detail", "code", "request_id"}``.

What went wrong inside is logged with the request's id, and never shown.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import falcon
import falcon.asgi
import redis
from dramatiq.errors import BrokerConnectionError
from falcon.asgi import Request, Response, WebSocket
from falcon.errors import WebSocketDisconnected

from callboard.errors import (
    BadInput,
    BatchError,
    BatchStateError,
    BoardUnavailable,
    ChainStateError,
    ExtraMissing,
    LedgerUnavailable,
    StorageUnavailable,
    UnknownBatch,
    UnknownChain,
    UnknownWorkflow,
    WorkflowError,
)

from .messages import KOREAN, text

logger = logging.getLogger("callboard.api")

#: Seconds after which a client may try again when a server of ours does not answer.
RETRY_AFTER = 5
#: Characters of a path or a detail that the log shows.
LONGEST_IN_LOG = 1000
_UNAVAILABLE = (
    LedgerUnavailable,
    BoardUnavailable,
    StorageUnavailable,
    redis.RedisError,
    BrokerConnectionError,
    TimeoutError,
)
_BY_STATUS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "media_type",
    503: "unavailable",
}
# WebSocket close codes: "try again later" and "internal error"; else 3000 + the HTTP status.
_WS_LATER, _WS_INTERNAL = 1013, 1011


class Refusal(Exception):
    """An answer that is an error.

    Parameters:
        status: the HTTP status.
        code: for programs; the message for people belongs to it.
        detail: what exactly, for those who write the client.
        data: facts for programs.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.data = data
        self.headers = dict(headers or {})


def request_id(request: falcon.Request) -> str:
    """The request's id: the client's own ``X-Request-ID`` where it is a plain word, else a new one."""
    context: Any = request.context
    found: str | None = getattr(context, "request_id", None)
    if found is None:
        given = request.get_header("X-Request-ID")
        plain = (
            given is not None and len(given) <= 64 and given.replace("-", "").isalnum() and given.isascii()
        )
        found = context.request_id = given if given is not None and plain else os.urandom(16).hex()
    return found


def refusal_of(error: Exception) -> Refusal:  # noqa: PLR0911, PLR0912 (one line a kind of error)
    """What the client is told of an error."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UnknownChain):
        return Refusal(404, "chain_not_found", "Chain not found")
    if isinstance(error, UnknownBatch):
        return Refusal(404, "batch_not_found", "Batch not found")
    if isinstance(error, BatchStateError):
        return Refusal(409, "batch_state", str(error), data={"status": error.status})
    if isinstance(error, BatchError):
        return Refusal(409, "batch_refused", str(error))
    if isinstance(error, ChainStateError):
        return Refusal(
            409, "chain_state", str(error), data={"status": error.status} if error.status else None
        )
    if isinstance(error, UnknownWorkflow):
        return Refusal(409, "unknown_workflow", str(error))
    if isinstance(error, ExtraMissing):
        facts = {"missing": error.missing, "install": error.install}
        return Refusal(503, "workflow_unavailable", str(error), data=facts)
    if isinstance(error, WorkflowError):
        return Refusal(422, "input_invalid", str(error))
    if isinstance(error, BadInput):
        return Refusal(400, "input_invalid", str(error))
    if isinstance(error, _UNAVAILABLE):
        store = "the database" if isinstance(error, LedgerUnavailable) else "Redis"
        if isinstance(error, StorageUnavailable):
            store = "the storage"
        elif isinstance(error, TimeoutError) and not isinstance(error, redis.RedisError):
            store = "a server"
        detail = f"{store} does not answer; try again in {RETRY_AFTER} seconds"
        return Refusal(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER)})
    if isinstance(error, falcon.HTTPError):
        return _of_http_error(error)
    return Refusal(500, "internal_error", "internal error; the request id is in the log")


def _of_http_error(error: falcon.HTTPError) -> Refusal:
    status = error.status_code
    code = _BY_STATUS.get(status, "bad_request" if status < 500 else "internal_error")
    headers = error.headers or {}
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    given = dict(pairs)
    detail = error.description
    if status == 404:
        detail = detail or "there is no such path: /openapi.json names those that there are"
    elif status == 405:
        detail = detail or f"this path takes {given.get('Allow', 'other methods')}"
    return Refusal(status, code, detail or error.title or code, headers=given)


def _in_log(text: str) -> str:
    """Text of a request on one line of the log, whatever is in it."""
    return repr(text[:LONGEST_IN_LOG])[1:-1]


def envelope(request: falcon.Request, refusal: Refusal) -> bytes:
    """The body of a refusal."""
    language = getattr(request.context, "language", KOREAN)
    body = {
        "success": False,
        "data": refusal.data,
        "message": text(language, refusal.code),
        "detail": refusal.detail,
        "code": refusal.code,
        "request_id": request_id(request),
    }
    # Whatever of the request is quoted may hold half a surrogate pair.
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")


async def handle(
    request: Request,
    response: Response | None,
    error: Exception,
    params: dict[str, Any],
    ws: WebSocket | None = None,
) -> None:
    """Falcon's error handler for everything."""
    refusal = refusal_of(error)
    known = refusal.status < 500
    if not known:
        logger.log(
            logging.WARNING if refusal.status == 503 else logging.ERROR,
            "%s %s [%s]: %s: %s",
            request.method,
            _in_log(request.path),
            request_id(request),
            type(error).__name__,
            error,
            exc_info=None if refusal.status == 503 else error,
        )
    else:
        logger.info(
            "%s %s [%s]: %s %s",
            request.method,
            _in_log(request.path),
            request_id(request),
            refusal.status,
            _in_log(refusal.detail),
        )
    if response is None:
        if ws is not None and not isinstance(error, WebSocketDisconnected):
            code = 3000 + refusal.status if known else _WS_LATER if refusal.status == 503 else _WS_INTERNAL
            await ws.close(code)
        return
    response.status = refusal.status
    response.set_headers(refusal.headers)
    response.content_type = falcon.MEDIA_JSON
    response.stream = None
    response.media = None
    response.text = None
    response.data = envelope(request, refusal)


def add_error_handlers(app: falcon.asgi.App) -> None:  # type: ignore[type-arg]
    """Let every error of ``app`` be answered by :func:`handle`."""
    app.add_error_handler(Exception, handle)
    app.add_error_handler(falcon.HTTPError, handle)
    app.add_error_handler(WebSocketDisconnected, _gone)


async def _gone(
    request: Request,
    response: Response | None,
    error: Exception,
    params: dict[str, Any],
    ws: WebSocket | None = None,
) -> None:
    """The other side has closed its socket: nothing is left to say."""
