"""Redis away and back, and what a process keeps in memory over a day."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import redis
from live_server import Story, closed, receive, serving, until
from servers import RedisServer, free_port

from api.live_limits import Limits

ROOT = Path(__file__).resolve().parents[3]


def test_after_an_outage_every_socket_gets_a_fresh_snapshot(private_redis: RedisServer) -> None:
    async def scenario() -> None:
        url = f"{private_redis.url}/0"
        story = Story(url).post().begin()
        story.report(10, "하나")
        async with serving(url) as served:
            clients = [await served.connect(story.chain_id) for _ in range(3)]
            for client in clients:
                assert (await receive(client))["progress"] == 0.05
            redis.Redis.from_url(url).save()
            private_redis.stop()
            await until(lambda: not served.live.listening)
            async with httpx.AsyncClient(verify=False) as http:
                answer = await http.get(f"{served.http}/api/runs/{story.chain_id}", timeout=60)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            async with served.connect(story.chain_id) as late:
                assert (await closed(late))[0] == 1013
            private_redis.start()
            story = Story(url, story.chain_id)
            story._token = "1"
            story.report(20, "둘")  # before the listener is back, perhaps
            for client in clients:
                while (message := await receive(client))["progress"] != 0.1:
                    assert message["type"] == "initial_state"
                if message["type"] == "initial_state":
                    assert message["logs"] == ["하나", "둘"]
            story.report(30, "셋")
            for client in clients:
                messages = [await receive(client)]
                while messages[-1]["progress"] != 0.15:
                    messages.append(await receive(client))
                assert "initial_state" in [one["type"] for one in messages] or messages[-1]["message"] == "셋"
                await client.close()

    asyncio.run(scenario())


def test_a_client_killed_by_redis_is_not_noticed_by_those_who_follow(redis_url: str) -> None:
    """``CLIENT KILL TYPE pubsub``: the listener is back with nothing lost."""

    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        admin = redis.Redis.from_url(redis_url)
        async with serving(redis_url) as served, served.connect(story.chain_id) as client:
            await receive(client)
            for round_ in range(3):
                admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                story.report(None, f"round {round_}")
                seen: list[str] = []
                while f"round {round_}" not in seen:
                    message = await receive(client)
                    seen += message.get("logs", [message.get("message")])
        admin.close()

    asyncio.run(scenario())


def test_a_day_of_runs_leaves_memory_as_it_was(redis_url: str) -> None:
    async def scenario() -> None:
        limits = Limits(runs=1000, keep_ended=1.0, keep_silent=1.0, keep_asked=1.0)
        async with serving(redis_url, limits=limits) as served, httpx.AsyncClient(verify=False) as http:
            most = 0
            worker = redis.Redis.from_url(redis_url)
            for number in range(5000):
                if number % 50 < 49:
                    message = {"run_id": f"run-{number}", "state": "END", "progress": 1, "log": "끝"}
                    worker.publish("callboard:progress", json.dumps(message))
                else:
                    Story(redis_url, f"run-{number}", stages=1).post().run()
                    await http.get(f"{served.http}/api/runs/run-{number}")
                    most = max(most, len(served.live.runs))
            worker.close()
            assert 49 < most <= 1000
            async with served.connect("run-4999") as client:
                await receive(client)
                # Who follows an ended run in silence is sent away in the end.
                assert await closed(client) == (1000, "the run has ended")
            await until(lambda: not served.live.runs)
            assert not served.live._dirty
            assert not served.live._loads
            assert len(served.live._tasks) == 2

    asyncio.run(scenario())


PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import falcon.asgi, uvicorn
from api.live import LiveRuns
from api.runs import add_routes
from db.keys import Keys

class Lifespan:
    async def process_startup(self, scope, event):
        await live.start()
    async def process_shutdown(self, scope, event):
        await live.stop()
        print("shut down", flush=True)

live = LiveRuns({url!r}, Keys())
app = falcon.asgi.App(middleware=[Lifespan()])
add_routes(app, live)
uvicorn.run(app, port={port}, log_level="warning")
"""


def test_sigterm_ends_sockets_streams_and_deaf_clients_within_seconds(redis_url: str) -> None:
    story = Story(redis_url).post().begin()
    port = free_port()
    paths = [str(ROOT), str(ROOT / "tests")]
    program = PROGRAM.format(paths=paths, url=redis_url, port=port)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": ""}
    )

    async def scenario() -> float:
        import websockets  # noqa: PLC0415

        base = f"http://127.0.0.1:{port}/api/runs/{story.chain_id}"
        async with httpx.AsyncClient(timeout=60, verify=False) as http:
            await until(lambda: _answers(port))
            client: Any = await websockets.connect(f"ws://127.0.0.1:{port}/ws/{story.chain_id}")
            await receive(client)
            deaf = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            deaf[1].write(f"GET /api/runs/{story.chain_id}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for _ in range(3):
                story.report(None, "한 줄")
            async with http.stream("GET", f"{base}/events") as stream:
                lines = stream.aiter_lines()
                assert await lines.__anext__()
                begin = time.monotonic()
                process.send_signal(signal.SIGTERM)
                async for _ in lines:
                    pass
            assert (await closed(client))[0] == 1012
            await asyncio.to_thread(process.wait, 10)
            deaf[1].close()
            return time.monotonic() - begin

    try:
        took = asyncio.run(scenario())
        assert took < 25  # less than 3 on a machine of its own; without an end of its streams, for ever
        assert process.stdout is not None
        assert process.stdout.read() == b"shut down\n"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/runs/unknown").status_code in (404, 500)
    except httpx.TransportError:
        return False
