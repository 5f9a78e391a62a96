"""The conversation on a WebSocket that follows a run.

    server                                                client
      <── {"type": "auth", "key" | "token": "…"}            only where headers and ?token= said nothing
    {"type": "initial_state", state, progress, logs} ──>    at once, and again after an outage of Redis
    {"type": "progress", run_id, state, progress, message} ──>
      <── {"type": "ping"}
    {"type": "pong"} ──>

It ends with one of the codes in ``live_limits``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

import redis
from falcon.asgi import Request, WebSocket
from falcon.errors import PayloadTypeError, WebSocketDisconnected

from callboard.errors import CallboardError

from .auth import Access
from .live import LiveRuns
from .live_limits import BAD_MESSAGE, FORBIDDEN, TOO_BIG, TRY_LATER, UNAUTHORISED, UNKNOWN_RUN, Full
from .live_run import CLOSE_SECONDS, Follower

PONG = '{"type":"pong"}'

logger = logging.getLogger(__name__)


class Closing(Exception):
    """The conversation is over. Attributes: ``code`` and ``reason`` of the close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class RunSocket:
    """``WS /ws/{run_id}``."""

    def __init__(self, live: LiveRuns) -> None:
        self._live = live
        self._unknown = 0

    async def on_websocket(self, req: Request, ws: WebSocket, run_id: str) -> None:
        """Hold the conversation."""
        # A refusal before this would reach a browser without its code.
        await ws.accept()
        try:
            await self._check(req, ws, run_id)
            await self._follow(req, ws, run_id)
        except WebSocketDisconnected:
            return
        except (Closing, Full) as closing:
            await _close(ws, closing.code, str(closing))
        except (redis.RedisError, CallboardError) as error:
            logger.warning("Run %s cannot be followed now: %s", run_id, error)
            await _close(ws, TRY_LATER, "try again later")

    async def _check(self, req: Request, ws: WebSocket, run_id: str) -> None:
        access: Access | None = getattr(req.context, "access", None)
        if access is None:
            return
        if not access.allows_origin(req):
            raise Closing(FORBIDDEN, "pages of this origin may not connect")
        if access.authenticate(req, run_id) is not None:
            return
        if req.get_header("Authorization") or req.get_header("X-API-Key") or req.get_param("token"):
            raise Closing(UNAUTHORISED, "unknown key or token")
        if self._unknown >= self._live.limits.sockets:
            raise Closing(TRY_LATER, "too many sockets wait to authenticate; try again later")
        self._unknown += 1
        try:
            said = await asyncio.wait_for(self._hear(ws), self._live.limits.sign_in)
        except asyncio.TimeoutError:
            raise Closing(UNAUTHORISED, "no key or token was sent") from None
        finally:
            self._unknown -= 1
        if not _knows(access, said, run_id):
            raise Closing(UNAUTHORISED, "unknown key or token")

    async def _follow(self, req: Request, ws: WebSocket, run_id: str) -> None:
        run = await self._live.find(run_id)
        if run is None:
            raise Closing(UNKNOWN_RUN, "unknown run")
        with self._live.following(run, aborter(req)) as follower:
            # The initial state comes first, also to a client that pings at once.
            begun = asyncio.Event()
            talk: list[asyncio.Future[Any]] = [
                asyncio.create_task(self._answer(ws, follower, begun)),
                asyncio.create_task(self._tell(ws, follower, begun)),
            ]
            try:
                await asyncio.wait([*talk, follower.verdict], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in talk:
                    task.cancel()
                ended = await asyncio.gather(*talk, return_exceptions=True)
            # What is still unsent to a client that reads nothing would hold the connection for ever.
            follower.force_soon()
            if follower.verdict.done():
                raise Closing(*follower.verdict.result())
            for error in ended:
                if isinstance(error, Exception):
                    raise error

    async def _hear(self, ws: WebSocket) -> dict[str, Any]:
        try:
            text = await ws.receive_text()
        except PayloadTypeError:
            raise Closing(BAD_MESSAGE, "expected a text message") from None
        if len(text) > self._live.limits.message:
            raise Closing(TOO_BIG, f"a message may have {self._live.limits.message} characters")
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise Closing(BAD_MESSAGE, "expected a JSON object")
        return said

    async def _answer(self, ws: WebSocket, follower: Follower, begun: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while True:
            said = await self._hear(ws)
            follower.heard = loop.time()
            if said.get("type") == "ping":
                await begun.wait()
                await ws.send_text(PONG)

    async def _tell(self, ws: WebSocket, follower: Follower, begun: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not follower.verdict.done():
            text = _next(follower, loop.time())
            if text is None:
                await follower.news()
            else:
                await ws.send_text(text)
                begun.set()


def _next(follower: Follower, now: float) -> str | None:
    if follower.refresh:
        follower.catch_up()
        return follower.run.snapshot()
    entry = follower.take(now)
    if entry is not None:
        return entry.text
    if follower.overrun:
        follower.catch_up()
        return follower.run.newest()
    return None


def _knows(access: Access, said: dict[str, Any], run_id: str) -> bool:
    if said.get("type") != "auth":
        return False
    key, text = said.get("key"), said.get("token")
    if isinstance(key, str):
        return access.role_of_key(key) is not None
    token = access.read_token(text) if isinstance(text, str) else None
    return token is not None and token.run_id == run_id


async def _close(ws: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnected, asyncio.TimeoutError, RuntimeError):
        await asyncio.wait_for(ws.close(code, reason), CLOSE_SECONDS)


def aborter(req: Request) -> Callable[[], None]:
    """What cuts a request's connection: ASGI has no word for it, so uvicorn's transport is asked."""
    transport = getattr(getattr(req._receive, "__self__", None), "transport", None)
    abort: Callable[[], None] = getattr(transport, "abort", lambda: None)
    return abort
