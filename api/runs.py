"""Runs as they happen: by WebSocket, by server-sent events, and by polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import falcon
import falcon.asgi
import redis
from falcon.asgi import Request, Response, SSEvent

from callboard.errors import UnknownChain

from .errors import RETRY_AFTER, Refusal
from .live import LiveRuns
from .live_limits import Full
from .live_run import ENDED, Follower, Run, parse, progress_text
from .live_source import ENTRY_ID, id_order
from .operations import operation
from .sockets import RunSocket, aborter

RUN = {
    "type": "object",
    "properties": {
        "run_id": {"type": "string"},
        "state": {"type": "string", "description": "the stage's name, PENDING before it; END or FAILED"},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "logs": {"type": "array", "items": {"type": "string"}},
        "artifacts": {
            "type": "object",
            "description": "of a run that has succeeded and whose result names some: URLs in the storage",
        },
    },
    "required": ["run_id", "state", "progress", "logs"],
    "additionalProperties": False,
}


def add_routes(app: falcon.asgi.App, live: LiveRuns) -> None:  # type: ignore[type-arg]
    """Serve the runs of ``live``, which the caller starts and stops."""
    app.add_route("/ws/{run_id}", RunSocket(live))
    app.add_route("/api/runs/{run_id}", RunState(live))
    app.add_route("/api/runs/{run_id}/events", RunEvents(live))


async def _known(live: LiveRuns, run_id: str) -> Run:
    run = await live.find(run_id)
    if run is None:
        raise UnknownChain(run_id)
    return run


class RunState:
    """``GET /api/runs/{run_id}``: for clients that poll."""

    def __init__(self, live: LiveRuns) -> None:
        self._live = live

    @operation("Where a run stands: poll until END or FAILED", answers={200: RUN})
    async def on_get(self, req: Request, resp: Response, run_id: str) -> None:
        """The run's state, progress and log lines; at the end also what it has made."""
        run = await _known(self._live, run_id)
        facts = run.facts()
        if run.state == "END":
            artifacts = await self._live.source.artifacts(run_id)
            facts |= {} if artifacts is None else {"artifacts": artifacts}
        resp.media = facts
        resp.cache_control = ["no-store"]


class RunEvents:
    """``GET /api/runs/{run_id}/events``: the messages of the WebSocket as server-sent events.

    Each has the id that it has in the run's stream. A client that comes back with ``Last-Event-ID`` is sent
    what came after it, and nothing twice; one that has seen the end is told by 204 not to come back.
    """

    def __init__(self, live: LiveRuns) -> None:
        self._live = live

    @operation(
        "A run's messages as server-sent events, until it has ended",
        answers={200: None, 204: None},
        media="text/event-stream",
        headers={"Last-Event-ID": "the id of the last event that the client has"},
    )
    async def on_get(self, req: Request, resp: Response, run_id: str) -> None:
        """A stream of events."""
        run = await _known(self._live, run_id)
        seen = req.get_header("Last-Event-ID")
        if seen is not None:
            if ENTRY_ID.fullmatch(seen) is None:
                seen = None
            elif run.state in ENDED and id_order(seen) >= id_order(run.last_id):
                resp.status = falcon.HTTP_204
                return
            elif not await self._live.source.is_whole_after(run_id, seen):
                seen = None
        following = ExitStack()
        try:
            follower = following.enter_context(self._live.following(run, aborter(req)))
        except Full as full:
            headers = {"Retry-After": str(RETRY_AFTER)}
            raise Refusal(503, "unavailable", str(full), headers=headers) from None
        resp.cache_control = ["no-store"]
        resp.set_header("X-Accel-Buffering", "no")
        resp.sse = _Stream(self._live, follower, following, seen)


class _Stream:
    """What the server iterates over. It leaves its run when it is over, or when the server lets go of it."""

    def __init__(self, live: LiveRuns, follower: Follower, following: ExitStack, seen: str | None) -> None:
        self._follower = follower
        self._following = following
        self._events = _Events(live, follower, seen).run()

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> SSEvent:
        try:
            return await self._events.__anext__()
        except BaseException:
            self._leave()
            raise

    def __del__(self) -> None:
        # Falcon just stops to iterate when the client has gone.
        self._leave()

    def _leave(self) -> None:
        self._follower.spare()
        self._following.close()


class _Events:
    """The events of one stream: ``seen`` is the id of the last one that the client has, if it has any."""

    def __init__(self, live: LiveRuns, follower: Follower, seen: str | None) -> None:
        self._live = live
        self._follower = follower
        self._seen = seen

    async def run(self) -> AsyncIterator[SSEvent]:
        follower, run = self._follower, self._follower.run
        loop = asyncio.get_running_loop()
        if self._seen is None:
            follower.catch_up()
            self._seen = run.last_id
            yield SSEvent(text=run.snapshot(), event_id=self._seen, retry=1000)
        while not follower.verdict.done():
            if follower.refresh or follower.overrun:
                async for event in self._replay():
                    yield event
                continue
            entry = follower.take(loop.time())
            if entry is not None:
                if entry.id is None:
                    yield SSEvent(text=entry.text)
                elif id_order(entry.id) > id_order(self._seen):
                    self._seen = entry.id
                    yield SSEvent(text=entry.text, event_id=entry.id)
            elif follower.refresh or follower.overrun:
                continue
            elif run.state in ENDED:
                return
            else:
                try:
                    await asyncio.wait_for(follower.news(), self._live.limits.heartbeat)
                except asyncio.TimeoutError:
                    follower.heard = loop.time()
                    yield SSEvent(comment="ping")

    async def _replay(self) -> AsyncIterator[SSEvent]:
        """What the run's stream holds after the last event."""
        run = self._follower.run
        self._follower.catch_up()
        while True:
            assert self._seen is not None
            try:
                [entries] = await self._live.source.read({run.run_id: self._seen})
            except redis.RedisError:
                # The client comes back with Last-Event-ID.
                self._follower.end(0, "Redis does not answer")
                return
            if not entries:
                return
            for entry_id, text in entries:
                self._seen = entry_id
                message = parse(text)
                if message is not None:
                    yield SSEvent(text=progress_text(message), event_id=entry_id)
