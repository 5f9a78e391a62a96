"""How long the end of a stage takes to a thousand WebSockets, as a multiple of a bare Redis pub/sub hop.

    python benchmarks/live.py [--sockets 1000] [--stages 50]

One API process, one chain that all sockets follow. Measured in turn, on the same Redis and in the same
process, with the clock read before the call: PUBLISH to a bare subscriber, and the board's finish of a stage
to a WebSocket: to the only one there is, and to each of all. Then the chain of as many stages once more,
without a pause: every socket must be told of each change of state, or of a newer one, and of the end.
Uses REDIS_URL (a database that may be flushed) where given, else a server of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import redis
import redis.asyncio
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent)]

from live_server import Story  # noqa: E402
from servers import RedisServer, free_port  # noqa: E402

HANDSHAKE = (
    "GET /ws/{run_id} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def serve(redis_url: str, port: int, sockets: int) -> None:
    """The API process."""
    import falcon.asgi  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415

    from api.live import LiveRuns  # noqa: PLC0415
    from api.runs import add_routes  # noqa: PLC0415
    from db.keys import Keys  # noqa: PLC0415

    class Lifespan:
        async def process_startup(self, scope: object, event: object) -> None:
            await live.start()

        async def process_shutdown(self, scope: object, event: object) -> None:
            await live.stop()

    live = LiveRuns(redis_url, Keys(), max_sockets=sockets)
    app = falcon.asgi.App(middleware=[Lifespan()])
    add_routes(app, live)
    uvicorn.run(app, port=port, log_level="warning", backlog=4096)


class Socket(asyncio.Protocol):
    """A WebSocket that notes when what came; it does as little as it can beside."""

    def __init__(self, room: Room, run_id: str) -> None:
        self._room = room
        self._run_id = run_id
        self._buffer = b""
        self._shaken = False
        self.came: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(HANDSHAKE.format(run_id=self._run_id).encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        if not self._shaken:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head
            self._shaken, self._buffer = True, rest
        while (frame := self._frame()) is not None:
            self.came.append((now, frame))
            self._room.count += 1
            if self._room.count >= self._room.wanted:
                self._room.full.set()

    def _frame(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        size, start = self._buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(self._buffer[2:4], "big"), 4
        if len(self._buffer) < start + size:
            return None
        frame, self._buffer = self._buffer[start : start + size], self._buffer[start + size :]
        return frame


class Room:
    """The sockets on one run, and how many messages they have together."""

    def __init__(self, port: int, run_id: str) -> None:
        self.port = port
        self.run_id = run_id
        self.sockets: list[Socket] = []
        self.transports: list[asyncio.BaseTransport] = []
        self.count = self.wanted = 0
        self.full = asyncio.Event()

    async def enter(self, many: int) -> None:
        """Connect so many, each of which has its initial state then."""
        loop = asyncio.get_running_loop()
        for _ in range(many):
            self.wanted += 1
            self.full.clear()
            transport, socket = await loop.create_connection(
                lambda: Socket(self, self.run_id), "127.0.0.1", self.port
            )
            self.sockets.append(socket)
            self.transports.append(transport)
            await asyncio.wait_for(self.full.wait(), 10)

    def expect(self) -> None:
        """One more message for each."""
        self.wanted += len(self.sockets)
        self.full.clear()

    async def all_have_it(self) -> None:
        """Returns when each has what was expected."""
        await asyncio.wait_for(self.full.wait(), 30)

    def leave(self) -> None:
        """Disconnect all."""
        for transport in self.transports:
            transport.close()


async def hops(url: str, many: int) -> list[float]:
    """Seconds from PUBLISH to a bare subscriber."""
    publisher = redis.Redis.from_url(url)
    took = []
    async with redis.asyncio.Redis.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("hop")
        await pubsub.get_message(timeout=5)
        for _ in range(many):
            await asyncio.sleep(0.002)
            begin = time.monotonic()
            publisher.publish("hop", "x" * 100)
            assert await pubsub.get_message(timeout=5)
            took.append(time.monotonic() - begin)
    publisher.close()
    return took


async def paced(url: str, port: int, sockets: int, stages: int) -> tuple[list[float], bool]:
    """Seconds from each stage's end to each socket, and whether each was told of each change."""
    story = Story(url, stages=stages).post()
    room = Room(port, story.chain_id)
    await room.enter(sockets)
    took = []
    for stage in range(1, stages + 1):
        room.expect()
        story.begin(stage)
        await room.all_have_it()
        room.expect()
        begin = time.monotonic()
        story.finish(stage)
        await room.all_have_it()
        took += [socket.came[-1][0] - begin for socket in room.sockets]
    told = all(len(socket.came) == 1 + 2 * stages for socket in room.sockets)
    room.leave()
    return took, told


async def unpaced(url: str, port: int, sockets: int, stages: int) -> tuple[float, float, bool]:
    """The chain without a pause: seconds until all know its end, share of messages that came, order kept."""
    story = Story(url, stages=stages).post()
    room = Room(port, story.chain_id)
    await room.enter(sockets)
    begin = time.monotonic()
    await asyncio.to_thread(story.run)

    def known() -> bool:
        return all(b'"END"' in socket.came[-1][1] for socket in room.sockets)

    while not known():
        assert time.monotonic() - begin < 60, "a socket was not told of the end"
        await asyncio.sleep(0.05)
    took = max(socket.came[-1][0] for socket in room.sockets) - begin
    ordered = True
    for socket in room.sockets:
        progress = [json.loads(text)["progress"] for _, text in socket.came]
        ordered = ordered and progress == sorted(progress)
    share = sum(len(socket.came) - 1 for socket in room.sockets) / (2 * stages * sockets)
    room.leave()
    return took, share, ordered


def row(name: str, took: list[float], hop: float) -> list[str]:
    """One line of the table."""
    p50, p99 = quantiles(took)
    return [name, f"{p50 * 1000:.2f}", f"{p99 * 1000:.2f}", f"{p50 / hop:.1f}", f"{p99 / hop:.1f}"]


def quantiles(took: list[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile."""
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


async def measure(url: str, port: int, sockets: int, stages: int) -> None:
    """Run all and print the table."""
    bare = await hops(url, 1000)
    alone, _ = await paced(url, port, 1, stages)
    many, told = await paced(url, port, sockets, stages)
    bare += await hops(url, 1000)
    hop = statistics.median(bare)
    table = Table(title=f"end of a stage to a socket ({stages} stages, {os.cpu_count()} CPUs)")
    for column in ("", "p50 ms", "p99 ms", "p50 in hops", "p99 in hops"):
        table.add_column(column, justify="right")
    table.add_row(*row("bare pub/sub hop", bare, hop))
    table.add_row(*row("to the only socket", alone, hop))
    table.add_row(*row(f"to each of {sockets}", many, hop))
    console = Console()
    console.print(table)
    console.print(f"every socket was told of every change: {told}")
    took, share, ordered = await unpaced(url, port, sockets, stages)
    console.print(
        f"without a pause: all {sockets} know the end after {took:.2f} s, {share:.0%} of {2 * stages} "
        f"messages came as they were, the rest as a newer state; never backwards: {ordered}"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--stages", type=int, default=50)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve:
        url, port = options.serve.split(" ")
        serve(url, int(port), options.sockets + 10)
        return
    with ExitStack() as stack:
        url = os.environ.get("REDIS_URL") or f"{stack.enter_context(RedisServer()).url}/0"
        port = free_port()
        command = [sys.executable, __file__, "--serve", f"{url} {port}", "--sockets", str(options.sockets)]
        process = subprocess.Popen(command)
        try:
            deadline = time.monotonic() + 20
            while not _listens(port):
                assert time.monotonic() < deadline, "the API process does not listen"
                time.sleep(0.05)
            asyncio.run(measure(url, port, options.sockets, options.stages))
        finally:
            process.terminate()
            process.wait(15)


def _listens(port: int) -> bool:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
