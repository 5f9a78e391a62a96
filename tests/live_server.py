"""What the tests of live progress share: a server in the test's own event loop, and chains to follow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import falcon.asgi
import uvicorn
import websockets
from waiting import PATIENCE

from api.errors import add_error_handlers
from api.live import LiveRuns
from api.live_limits import Limits
from api.runs import add_routes
from db.board import Board
from db.chains import Place, StagePlan, encode
from db.keys import Keys
from db.redis_client import ThreadClients


@dataclass
class Served:
    """A server that runs. Attributes: where it is, its runs, itself."""

    port: int
    live: LiveRuns
    server: uvicorn.Server

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, run_id: str, **options: Any) -> Any:
        """A WebSocket client on a run."""
        return websockets.connect(f"ws://127.0.0.1:{self.port}/ws/{run_id}", **options)

    def narrow_socket(self) -> socket.socket:
        """A connection for ``connect(sock=…)`` whose kernel keeps little for a client that does not read."""
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", self.port))
        return narrow


class _Lifespan:
    def __init__(self, live: LiveRuns) -> None:
        self._live = live

    async def process_startup(self, scope: Any, event: Any) -> None:
        await self._live.start()

    async def process_shutdown(self, scope: Any, event: Any) -> None:
        await self._live.stop()


@contextlib.asynccontextmanager
async def serving(
    redis_url: str, *, middleware: Any = (), limits: Limits | None = None, **options: Any
) -> AsyncIterator[Served]:
    """A uvicorn server on a free loopback port with the three endpoints of a run."""
    live = LiveRuns(redis_url, Keys(), ["autoshorts:progress"], limits=limits or Limits(), **options)
    app = falcon.asgi.App(middleware=[_Lifespan(live), *middleware])
    add_error_handlers(app)
    add_routes(app, live)
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # What the kernel takes from the server ahead of a client that does not read; connections inherit it.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started or not live.listening:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    try:
        yield Served(listening.getsockname()[1], live, server)
    finally:
        live.begin_stop()
        server.should_exit = True
        await asyncio.wait_for(task, PATIENCE)


class Story:
    """A chain of the stages ``하나``, ``둘`` and so on, driven by hand. ``post`` comes first."""

    def __init__(self, redis_url: str, chain_id: str | None = None, *, stages: int = 2) -> None:
        self.board = Board(ThreadClients(redis_url), Keys())
        self.chain_id = chain_id or str(uuid4())
        self._stages = stages
        self._token = ""

    def post(self, channel: str | None = None) -> Story:
        names = ["하나", "둘", *(f"stage {number}" for number in range(3, self._stages + 1))][: self._stages]
        plan = [
            StagePlan(name, [{"name": name, "task_id": name, "task_name": name, "queue_name": "default"}])
            for name in names
        ]
        self.board.apply(self.board.post(self.chain_id, "story", plan, channel=channel))
        return self

    def begin(self, stage: int = 1) -> Story:
        begun = self.board.begin(self._place(stage), actor="a", worker="w", retries=0)
        assert begun.verdict == "go"
        self._token = begun.token
        return self

    def report(self, percent: int | None, log: str | None = None, stage: int = 1) -> None:
        assert self.board.progress(self._place(stage), self._token, percent, "{}", log)

    def finish(self, stage: int = 1) -> None:
        answer = self.board.apply(self.board.finish(self._place(stage), self._token, "{}", encode({})))
        assert answer[0] == b"recorded"

    def fail(self, error: str, stage: int = 1) -> None:
        place = self._place(stage)
        self.board.apply(self.board.fail(place, self._token, "{}", error, "", error))

    def run(self) -> None:
        """Through all stages to the end."""
        for stage in range(1, self._stages + 1):
            self.begin(stage)
            self.finish(stage)

    def _place(self, stage: int) -> Place:
        return Place(self.chain_id, stage, 0, f"{self.chain_id}-{stage}")


async def receive(client: Any, timeout: float = PATIENCE) -> dict[str, Any]:
    """The next message on a WebSocket."""
    found: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), timeout))
    return found


async def receive_until(client: Any, state: str, timeout: float = PATIENCE) -> list[dict[str, Any]]:
    """The messages up to the first one in that state."""
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1].get("state") != state:
        messages.append(await receive(client, timeout))
    return messages


async def closed(client: Any, timeout: float = PATIENCE) -> tuple[int, str]:
    """Code and reason with which the server closes a WebSocket; what comes before is dropped."""

    async def drain() -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await client.recv()

    await asyncio.wait_for(drain(), timeout)
    return client.close_code, client.close_reason


async def until(predicate: Any, timeout: float = PATIENCE) -> None:
    """Wait in the event loop until a predicate is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not predicate():
        assert loop.time() < deadline, f"not true within {timeout} s"
        await asyncio.sleep(0.01)
