"""WebSockets on a run: the shapes of the document, and every way in which they end."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any
from uuid import uuid4

import pytest
import redis
import websockets
from live_server import Served, Story, closed, receive, receive_until, serving, until

from api.auth import Access, digest
from api.live_limits import Limits


def test_initial_state_then_progress_in_the_documented_shapes(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        story.report(40, "준비 완료")
        async with serving(redis_url) as served, served.connect(story.chain_id) as client:
            assert await receive(client) == {
                "type": "initial_state",
                "state": "하나",
                "progress": 0.2,
                "logs": ["준비 완료"],
            }
            story.report(60, "🎉 절반")
            assert await receive(client) == {
                "type": "progress",
                "run_id": story.chain_id,
                "state": "하나",
                "progress": 0.3,
                "message": "🎉 절반",
            }
            story.finish()
            story.begin(2)
            story.finish(2)
            messages = await receive_until(client, "END")
            assert messages[-1]["progress"] == 1
            assert [message["message"] for message in messages] == [""] * len(messages)
            progress = [message["progress"] for message in messages]
            assert progress == sorted(progress)

    asyncio.run(scenario())


def test_ping_is_answered_with_pong_and_other_words_with_nothing(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with serving(redis_url) as served, served.connect(story.chain_id) as client:
            assert (await receive(client))["state"] == "PENDING"
            await client.send('{"type": "hello"}')
            await client.send('{ "type": "ping" }')
            assert await receive(client) == {"type": "pong"}

    asyncio.run(scenario())


def test_the_documents_client_keeps_its_state(redis_url: str) -> None:
    """What ``onmessage`` of RunStatus.tsx does, in Python."""

    async def scenario() -> None:
        run_id = "20251105_1430_우주여행고양이"
        story = Story(redis_url, run_id).post("autoshorts:progress").begin()
        status: dict[str, Any] = {}
        logs: list[str] = []

        def on_message(data: dict[str, Any]) -> None:
            nonlocal status, logs
            if data["type"] == "initial_state":
                status, logs = data, data["logs"] or []
            elif data["type"] == "progress":
                if data["message"]:
                    logs = [*logs, data["message"]]
                progress, state = data.get("progress"), data.get("state")
                status = {
                    **status,
                    "progress": status.get("progress") if progress is None else progress,
                    "state": status.get("state") if state is None else state,
                }

        story.report(20, "플롯 생성 시작")
        async with serving(redis_url) as served, served.connect(run_id) as client:
            on_message(await receive(client))
            story.report(40, "시나리오 CSV 생성 완료")
            story.finish()
            story.begin(2)
            story.finish(2)
            while status["state"] != "END":
                on_message(await receive(client))
        assert status["progress"] == 1
        assert logs == ["플롯 생성 시작", "시나리오 CSV 생성 완료"]

    asyncio.run(scenario())


def test_a_message_published_by_hand_is_passed_on_once(redis_url: str) -> None:
    """``redis-cli PUBLISH``, as any older worker may do: to a chain, and to a run that we know only by it."""

    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        by_hand = redis.Redis.from_url(redis_url)
        async with serving(redis_url) as served:
            async with served.connect(story.chain_id) as client:
                await receive(client)
                text = {"run_id": story.chain_id, "state": "PLOT_GENERATION", "progress": 0.15, "log": "CSV"}
                by_hand.publish("callboard:progress", json.dumps(text))
                story.report(90, "다음")
                first, second = await receive(client), await receive(client)
                assert (first["state"], first["message"]) in [("PLOT_GENERATION", "CSV"), ("하나", "다음")]
                assert {first["message"], second["message"]} == {"CSV", "다음"}
                by_hand.publish("callboard:progress", "no JSON")
                by_hand.publish("callboard:progress", '{"run_id": 3, "progress": "x"}')
                story.report(95)
                assert (await receive(client))["progress"] == 0.475
            by_hand.publish("autoshorts:progress", '{"run_id":"lone","progress":0.5,"log":"하나"}')
            await until(lambda: "lone" in served.live.runs)
            async with served.connect("lone") as client:
                expected = {"type": "initial_state", "state": "PENDING", "progress": 0.5, "logs": ["하나"]}
                assert await receive(client) == expected
                by_hand.publish("autoshorts:progress", '{"run_id":"lone","state":"QA"}')
                expected = {"type": "progress", "run_id": "lone", "state": "QA", "progress": None}
                assert await receive(client) == {**expected, "message": ""}
        by_hand.close()

    asyncio.run(scenario())


def test_bad_messages_and_unknown_runs_are_closed_with_a_code(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with serving(redis_url) as served:
            for said, code in (
                ("{", 4400),
                ("[1]", 4400),
                (b"\x00", 4400),
                ("[" * 4000, 4400),
                ('"' + "x" * 5000 + '"', 1009),
            ):
                async with served.connect(story.chain_id) as client:
                    await client.send(said)
                    assert (await closed(client))[0] == code
            for run_id in ("unknown", "%00", "x" * 300):
                async with served.connect(run_id) as client:
                    assert await closed(client) == (4404, "unknown run")
            await until(lambda: served.live.open_sockets == 0)
            assert list(served.live.runs) == [story.chain_id]

    asyncio.run(scenario())


def test_there_is_room_for_so_many_and_idle_ones_go(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with (
            serving(redis_url, limits=Limits(sockets=2)) as served,
            served.connect(story.chain_id) as one,
            served.connect(story.chain_id) as two,
        ):
            await receive(one)
            await receive(two)
            assert served.live.open_sockets == 2
            async with served.connect(story.chain_id) as three:
                assert (await closed(three))[0] == 1013
        async with serving(redis_url, limits=Limits(sockets=2, idle=0.3)) as served:
            async with served.connect(story.chain_id) as one, served.connect(story.chain_id) as two:
                assert await closed(one) == (4408, "idle")
                assert await closed(two) == (4408, "idle")
            await until(lambda: served.live.open_sockets == 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("cut", ["close", "abort"])
def test_a_client_that_has_gone_is_forgotten_at_once(redis_url: str, cut: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with serving(redis_url) as served:
            client = await served.connect(story.chain_id)
            await receive(client)
            if cut == "abort":
                client.transport.abort()
            else:
                await client.close()
            # Far sooner than by a heartbeat.
            await until(lambda: served.live.open_sockets == 0, 10)

    asyncio.run(scenario())


def test_a_slow_client_is_coalesced_then_dropped_and_the_others_get_all(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        limits = Limits(queue=128, patience=1.0)
        async with serving(redis_url, limits=limits) as served:
            slow = await _deaf_client(served, story.chain_id)
            async with served.connect(story.chain_id) as quick:
                await receive(quick)
                await until(lambda: served.live.open_sockets == 2)
                got: list[str] = []

                async def read() -> None:
                    while len(got) < 3000:
                        got.append((await receive(quick))["message"])

                reading = asyncio.create_task(read())
                for number in range(3000):
                    story.report(None, f"{number} " + "가" * 150)
                    if number % 5 == 0:
                        await asyncio.sleep(0)
                    if number % 100 == 0:
                        await until(lambda: len(got) >= number - 10)  # noqa: B023
                await asyncio.wait_for(reading, 60)
                assert [int(text.split()[0]) for text in got] == list(range(3000))
                # The slow one is dropped, not the quick one; and its connection is not kept either.
                await until(lambda: served.live.open_sockets == 1)
                await until(lambda: len(served.server.server_state.connections) == 1)
                story.report(99)
                assert (await receive(quick))["progress"] == 0.495
            slow.close()

    asyncio.run(scenario())


def test_a_client_that_pauses_gets_the_newest_state(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        async with (
            serving(redis_url, limits=Limits(queue=8, patience=30)) as served,
            served.connect(
                story.chain_id, sock=served.narrow_socket(), compression=None, max_queue=1
            ) as client,
        ):
            await receive(client)
            number = await _overrun(served, story)
            story.report(77, "마지막")
            await until(lambda: served.live.runs[story.chain_id].progress == 0.385)
            messages = await receive_until_progress(client, 0.385)
            assert messages[-1]["message"] == ""  # coalesced: the state without the log line
            assert len(messages) < number
            story.report(78, "다음")
            assert (await receive(client))["message"] == "다음"

    asyncio.run(scenario())


def test_a_client_that_stays_behind_is_told_so(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post().begin()
        async with serving(redis_url, limits=Limits(queue=8, patience=0.3)) as served:
            async with served.connect(
                story.chain_id, sock=served.narrow_socket(), compression=None, max_queue=1
            ) as client:
                await receive(client)
                follower = next(iter(served.live._followers))
                await _overrun(served, story)
                await until(follower.verdict.done)
                assert (await closed(client))[0] == 4429
            await until(lambda: served.live.open_sockets == 0)

    asyncio.run(scenario())


async def _overrun(served: Served, story: Story) -> int:
    """Report until the only client, which does not read, is further behind than the queue holds."""
    follower = next(iter(served.live._followers))
    for number in range(20_000):  # as long as the kernel takes bytes the client is not slow
        story.report(None, f"{number} " + "가" * 150)
        if number % 4 == 3:
            await until(lambda: follower.run.head > number)  # noqa: B023
            await asyncio.sleep(0)
            if follower.run.head - follower._position > 16:
                return number
    raise AssertionError("the client was never behind")


async def receive_until_progress(client: Any, progress: float) -> list[dict[str, Any]]:
    messages = [await receive(client)]
    while messages[-1]["progress"] != progress:
        messages.append(await receive(client))
    return messages


async def _deaf_client(served: Served, run_id: str) -> socket.socket:
    """A client that shakes hands and then reads nothing any more."""
    client = served.narrow_socket()
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    head = f"GET /ws/{run_id} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    await loop.sock_sendall(client, (head + key).encode())
    assert (await loop.sock_recv(client, 12)).endswith(b" 101")
    return client


class _Gate:
    def __init__(self, access: Access) -> None:
        self._access = access

    async def process_resource_ws(self, req: Any, ws: Any, resource: Any, params: Any) -> None:
        req.context.access = self._access


def test_only_those_who_belong_may_follow(redis_url: str) -> None:
    key = "k" * 20
    access = Access([(digest(key), "read")])

    async def scenario() -> None:
        story = Story(redis_url).post()
        run_id = story.chain_id
        async with serving(redis_url, middleware=[_Gate(access)], limits=Limits(sign_in=60)) as served:
            for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
                async with served.connect(run_id, additional_headers=headers) as client:
                    assert (await receive(client))["type"] == "initial_state"
            token = access.sign_token(run_id)
            async with served.connect(f"{run_id}?token={token}") as client:
                assert (await receive(client))["type"] == "initial_state"
            for said in ({"type": "auth", "key": key}, {"type": "auth", "token": token}):
                async with served.connect(run_id) as client:
                    await client.send(json.dumps(said))
                    assert (await receive(client))["type"] == "initial_state"
            for refused in (
                {"type": "auth", "key": "wrong"},
                {"type": "auth", "token": access.sign_token(str(uuid4()))},
                {"type": "auth"},
                {"type": "ping", "key": key},
            ):
                async with served.connect(run_id) as client:
                    await client.send(json.dumps(refused))
                    assert (await closed(client))[0] == 4401
            async with served.connect(f"{run_id}?token=wrong") as client:
                assert (await closed(client))[0] == 4401
            page = {"X-API-Key": key, "Origin": "https://elsewhere.example"}
            async with served.connect(run_id, additional_headers=page) as client:
                assert (await closed(client))[0] == 4403
        async with (
            serving(redis_url, middleware=[_Gate(access)], limits=Limits(sign_in=0.1)) as served,
            served.connect(run_id) as client,
        ):
            assert await closed(client) == (4401, "no key or token was sent")

    asyncio.run(scenario())


def test_the_end_of_the_server_closes_sockets_with_a_code(redis_url: str) -> None:
    async def scenario() -> None:
        story = Story(redis_url).post()
        async with serving(redis_url) as served:
            client = await served.connect(story.chain_id)
            await receive(client)
        assert await closed(client) == (1012, "the server stops")
        with pytest.raises((OSError, websockets.InvalidHandshake)):
            await served.connect(story.chain_id)

    asyncio.run(scenario())
