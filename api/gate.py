"""The gate: every request passes it, to be let in or refused, and on its way out gets its headers."""

from __future__ import annotations

from typing import Any

import falcon
from falcon.asgi import Request, Response, WebSocket

from .auth import Access, Role
from .errors import Refusal, request_id
from .messages import language_of
from .operations import TOKEN, operation_of, read_query

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Falcon middleware.

    It puts on ``req.context``: ``access``, ``role`` (of whoever asks), ``language``, and ``query`` (the
    checked query parameters of the operation).

    Parameters:
        access: decides who may do what.
        language: of messages where the request asks for none.
    """

    def __init__(self, access: Access, language: str) -> None:
        self._access = access
        self._language = language

    async def process_resource(
        self, req: Request, resp: Response, resource: object, params: dict[str, Any]
    ) -> None:
        """Check who asks, and what for.

        Raises:
            Refusal: 401, 403 or 422.
        """
        context: Any = req.context
        access = context.access = self._access
        context.language = language_of(req, self._language)
        method = req.method
        self._check_reach(req, method in _SAFE)
        found = operation_of(resource, method)
        if found is None:
            # The automatic OPTIONS, and 405: neither tells anything.
            needed = None if method == "OPTIONS" else Role.READ if method in _SAFE else Role.OPERATE
        else:
            needed = found.role
        if needed is not None:
            role = context.role = access.authenticate(req, params.get("run_id"))
            if role is None:
                raise Refusal(
                    401,
                    "unauthorized",
                    "send a known key as `Authorization: Bearer …` or `X-API-Key`",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            if role < needed:
                detail = f"this needs the role {needed.name.lower()}, the key has {role.name.lower()}"
                raise Refusal(403, "forbidden", detail)
        if found is not None:
            if req.query_string or found.query:
                wanted = found.query
                if TOKEN not in wanted and "run_id" in params:
                    wanted = {**wanted, TOKEN: {"type": "string"}}
                context.query = read_query(req, wanted)
            else:
                context.query = {}

    async def process_resource_ws(
        self, req: Request, ws: WebSocket, resource: object, params: dict[str, Any]
    ) -> None:
        """Refuse pages of elsewhere and, without keys, other machines. Who asks, the resource finds out.

        Raises:
            Refusal: 403.
        """
        context: Any = req.context
        context.access = self._access
        context.language = language_of(req, self._language)
        self._check_reach(req, safe=False)

    def _check_reach(self, req: Request, safe: bool) -> None:
        if not self._access.reaches(req):
            detail = "without API_KEYS only this machine is served: set API_KEYS, or ALLOW_OPEN=1"
            raise Refusal(403, "forbidden", detail)
        if not safe and not self._access.allows_origin(req):
            raise Refusal(403, "forbidden", "pages of this origin may not call: see CORS_ORIGINS")

    async def process_response(
        self, req: Request, resp: Response, resource: object, req_succeeded: bool
    ) -> None:
        """Name the request."""
        resp.set_header("X-Request-ID", request_id(req))
        resp.set_header("X-Content-Type-Options", "nosniff")


def cors(origins: tuple[str, ...]) -> Any:
    """Falcon's own CORS middleware for the pages of ``origins``."""
    return falcon.CORSMiddleware(
        allow_origins="*" if "*" in origins else origins,
        expose_headers=["Location", "Link", "X-Next-Cursor", "X-Request-ID", "Retry-After"],
    )
