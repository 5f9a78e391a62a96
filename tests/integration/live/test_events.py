"""Server-sent events and polling on a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from chains import ended, recorded
from live_server import Served, Story, serving, until

from actors.application import Application
from actors.progress import publish_progress
from actors.workflow import Workflow, stage
from api.live_limits import Limits


async def events(served: Served, run_id: str, last_id: str | None = None) -> AsyncIterator[dict[str, Any]]:
    """The events of one stream: data, id; a comment is ``{"comment": …}``."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    url = f"{served.http}/api/runs/{run_id}/events"
    async with (
        httpx.AsyncClient(timeout=60, verify=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        async for line in answer.aiter_lines():
            if not line and event:
                yield event
                event = {}
            elif line.startswith(":"):
                event["comment"] = line[1:].strip()
            elif line:
                name, _, value = line.partition(": ")
                event[name] = json.loads(value) if name == "data" else value


def test_a_stream_begins_with_the_state_and_ends_with_the_run(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        story.report(20, "시작")
        async with serving(redis_url) as served:
            found = []
            async for event in events(served, story.chain_id):
                found.append(event)
                if len(found) == 1:
                    story.report(30, "절반")
                    story.finish()
                    story.begin(2)
                    story.fail("끝", 2)
            assert found[0]["data"]["type"] == "initial_state"
            assert found[0]["data"]["logs"] == ["시작"]
            assert [event["data"]["type"] for event in found[1:]] == ["progress"] * (len(found) - 1)
            assert found[-1]["data"]["state"] == "FAILED"
            # An EventSource that comes back after the end is told to stay away.
            async with httpx.AsyncClient(verify=False) as client:
                url = f"{served.http}/api/runs/{story.chain_id}/events"
                answer = await client.get(url, headers={"Last-Event-ID": found[-1]["id"]})
                assert answer.status_code == 204
                answer = await client.get(f"{served.http}/api/runs/unknown/events")
                assert (answer.status_code, answer.json()["code"]) == (404, "chain_not_found")
            await until(lambda: served.live.open_sockets == 0)

    asyncio.run(scenario())


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(redis_url: str) -> None:
    """Two hundred messages while the client is cut off again and again, in the middle of a burst or not."""

    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        async with serving(redis_url, limits=Limits(queue=8)) as served:

            async def work() -> None:
                for number in range(200):
                    story.report(None, f"log {number}")
                    if number % 7 == 0:
                        await asyncio.sleep(0.005)
                story.finish()
                story.begin(2)
                story.finish(2)

            logs: list[str] = []
            last_id: str | None = None
            connections = 0
            working = None
            ended = False
            while not ended:
                connections += 1
                taken = 0
                async for event in events(served, story.chain_id, last_id):
                    if working is None:
                        working = asyncio.create_task(work())
                    if "data" not in event:
                        continue
                    last_id, data = event["id"], event["data"]
                    logs += data["logs"] if data["type"] == "initial_state" else []
                    logs += [data["message"]] if data.get("message") else []
                    ended = data["state"] == "END"
                    taken += 1
                    if taken == 23 and not ended:
                        break
            assert logs == [f"log {number}" for number in range(200)]
            assert connections > 5
            await working if working else None

    asyncio.run(scenario())


def test_an_id_that_the_stream_has_forgotten_brings_the_whole_state(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        for number in range(1300):
            story.report(None, f"log {number}")
        async with serving(redis_url) as served:
            for last_id in ("1-0", "nonsense"):
                async for event in events(served, story.chain_id, last_id):
                    assert event["data"]["type"] == "initial_state"
                    assert event["data"]["logs"][-1] == "log 1299"
                    break

    asyncio.run(scenario())


def test_heartbeats_and_room(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with serving(redis_url, limits=Limits(sockets=1, heartbeat=0.05)) as served:
            stream = events(served, story.chain_id)
            found = [await stream.__anext__() for _ in range(3)]
            assert found[1:] == [{"comment": "ping"}] * 2
            async with httpx.AsyncClient(verify=False) as client:
                answer = await client.get(f"{served.http}/api/runs/{story.chain_id}/events")
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            await stream.aclose()  # type: ignore[attr-defined]
            await until(lambda: served.live.open_sockets == 0)

    asyncio.run(scenario())


def test_polling_tells_where_a_run_stands(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with serving(redis_url) as served, httpx.AsyncClient(verify=False) as client:
            url = f"{served.http}/api/runs/{story.chain_id}"

            async def poll() -> dict[str, Any]:
                found: dict[str, Any] = (await client.get(url)).json()
                return found

            facts = {"run_id": story.chain_id, "logs": []}
            assert await poll() == {**facts, "state": "PENDING", "progress": 0}
            story.begin()
            story.report(50, "절반")
            expected = {**facts, "state": "하나", "progress": 0.25, "logs": ["절반"]}
            while await poll() != expected:
                pass
            story.board.apply(story.board.revoke(story.chain_id, "stop"))
            while (await poll())["state"] != "FAILED":
                pass
            story.board.apply(story.board.resume(story.chain_id, None))
            while (await poll())["state"] != "하나":
                await asyncio.sleep(0.05)
            assert (await client.get(f"{served.http}/api/runs/unknown")).status_code == 404

    asyncio.run(scenario())


def test_what_was_published_by_hand_is_there_for_those_who_come_later(
    build_application: Any, redis_url: str
) -> None:
    application: Application = build_application()
    publish_progress("by hand", state="PLOT_GENERATION", progress=0.1, log="플롯 생성 시작")
    publish_progress("by hand", progress=0.15, log="CSV 생성 완료")
    stream = application.board.keys.messages("by hand")
    assert 0 < application.board.clients.get().ttl(stream) <= 3600
    story = Story(redis_url).post("autoshorts:progress").begin()
    publish_progress(story.chain_id, state="QA", progress=0.9, log="품질 검수")
    assert application.board.clients.get().ttl(application.board.keys.messages(story.chain_id)) == -1

    async def scenario() -> None:
        async with serving(redis_url) as served, httpx.AsyncClient(verify=False) as http:
            found = (await http.get(f"{served.http}/api/runs/by hand")).json()
            assert (found["state"], found["progress"]) == ("PLOT_GENERATION", 0.15)
            assert found["logs"] == ["플롯 생성 시작", "CSV 생성 완료"]
            async with served.connect(story.chain_id) as socket:
                assert json.loads(await socket.recv())["state"] == "QA"
                publish_progress(story.chain_id, state="QA", progress=0.95, log="확인")
                message = json.loads(await socket.recv())
                assert (message["progress"], message["message"]) == (0.95, "확인")

    asyncio.run(scenario())


def test_an_hour_after_its_end_a_run_is_read_from_the_ledger(
    build_application: Any, redis_url: str, work: Any
) -> None:
    application: Application = build_application()

    @stage(name="하나")
    def live_ledger_stage(data: dict[str, int]) -> dict[str, int]:
        return data

    workflow = Workflow("live_ledger", [live_ledger_stage])
    work(application)
    chain_id = workflow.start({"n": 1})
    ended(application, chain_id)
    recorded(application)
    client = application.board.clients.get()
    keys = application.board.keys
    client.delete(chain_id, keys.live(chain_id), keys.messages(chain_id))

    async def scenario() -> None:
        async with (
            serving(redis_url, status=application.status) as served,
            httpx.AsyncClient(verify=False) as http,
        ):
            found = (await http.get(f"{served.http}/api/runs/{chain_id}")).json()
            assert found == {"run_id": chain_id, "state": "END", "progress": 1, "logs": []}
            async with served.connect(chain_id) as socket:
                assert json.loads(await socket.recv())["state"] == "END"
            assert (await http.get(f"{served.http}/api/runs/nobody")).status_code == 404

    asyncio.run(scenario())
