"""What the API process holds in memory goes when nobody needs it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from api_server import Api
from servers import RedisServer
from waiting import wait_until

from api import tidy
from api.board import AsyncBoard, count_entries
from api.gathered import KEYS, UNDER_WAY
from api.house import House
from api.ledger import OffLoop, Unanswered
from api.metrics import Metrics
from db.keys import Keys

Serve = Callable[..., Api]


def test_polls_that_wait_in_vain_get_their_error(private_redis: RedisServer) -> None:
    """Redis hangs, and more polls come than its time-outs let go."""

    async def scenario() -> None:
        board = AsyncBoard(private_redis.url, Keys())
        gets = board._gets
        await gets.get("warm")
        private_redis.pause()
        try:
            polls = [gets.get(f"k{number}") for number in range(2 * KEYS * UNDER_WAY)]
            await asyncio.sleep(0)
            board.give_up_polls()
            waiting = len(gets._waiting)
            assert waiting > KEYS
            late = gets.get("late")
            board.give_up_polls()
            assert list(gets._waiting) == ["late"]
            assert sum(poll.done() for poll in polls) == waiting
        finally:
            private_redis.resume()
        ended = await asyncio.gather(*polls, return_exceptions=True)
        assert sum(isinstance(each, redis.TimeoutError) for each in ended) >= waiting
        assert await late is None
        assert not gets._waiting
        board.give_up_polls()
        assert not gets._waited_before
        await board.close()

    asyncio.run(scenario())


def test_reads_that_nobody_waits_for_never_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger hangs: each read that gives up would lie in the queue for as long."""
    monkeypatch.setattr("api.ledger.READ_SECONDS", 60.0)

    async def scenario() -> None:
        gate, begun = threading.Event(), []
        off_loop = OffLoop(readers=1)

        def read(number: int) -> None:
            begun.append(number)
            gate.wait(60)

        hung = asyncio.ensure_future(off_loop.read(read, 0))
        while not begun:
            await asyncio.sleep(0.01)
        monkeypatch.setattr("api.ledger.READ_SECONDS", 0.2)
        asked = [off_loop.read(read, number) for number in range(1, 50)]
        ended = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, Unanswered) for each in ended)
        gate.set()
        monkeypatch.setattr("api.ledger.READ_SECONDS", 60.0)
        await hung
        await off_loop.read(read, 99)
        assert begun == [0, 99]
        off_loop.close()

    asyncio.run(scenario())


def test_caches_are_emptied_and_old_counts_forgotten(
    build_application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        application = build_application()
        board, off_loop = AsyncBoard(application.board.clients.url, application.board.keys), OffLoop()
        metrics = Metrics(House(application, board, off_loop), lambda: 0)
        housework = tidy.Tidy(board, metrics)
        count_entries(b"[]")
        await metrics._counted([])
        assert metrics._statistics is not None
        await housework.empty_caches()
        assert count_entries.cache_info().currsize == 0
        assert metrics._statistics is not None
        metrics._fresh_until = 0.0
        await housework.empty_caches()
        assert metrics._statistics is None
        assert await metrics._counted([])
        off_loop.close()
        await board.close()

    asyncio.run(scenario())


def test_the_process_does_so_by_itself(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "CACHES_INTERVAL", 0.1)
    api = serve()
    chain_id = api.play().start({})
    assert api.get(f"/api/v1/tasks/ai-pipeline/{chain_id}/tasks").status_code == 200
    wait_until(lambda: count_entries.cache_info().currsize == 0)
    assert api.get(f"/api/v1/tasks/ai-pipeline/{chain_id}/tasks").status_code == 200
