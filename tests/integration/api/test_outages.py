"""A server that is down: 503 with Retry-After, not 500 and not a hang. And no SQL for what is live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import redis
import requests
from api_server import Api, error_of, serving
from chains import recorded
from dramatiq import Worker
from servers import PostgresServer, RedisServer, fresh_database
from waiting import wait_until

Work = Callable[..., Worker]
Serve = Callable[..., Api]
TASKS = "/api/v1/tasks/ai-pipeline"
#: Seconds; on a machine of its own an answer takes 5.
NO_HANG = 25


def is_503(answer: requests.Response) -> bool:
    body = error_of(answer)
    assert answer.status_code == 503, answer.text
    assert body["code"] in ("unavailable", "not_ready")
    assert int(answer.headers["Retry-After"]) > 0
    return True


def all_503_without_a_hang(asked: list[Callable[[], requests.Response]]) -> None:
    """Side by side, as each waits for as long as the server lets it."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda ask: ask(), asked))
    assert time.monotonic() - began < NO_HANG
    assert all(map(is_503, answers))


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_redis_away(build_application: Callable[..., object], private_redis: RedisServer, how: str) -> None:
    with serving(build_application(REDIS_URL=private_redis.url)) as api:  # type: ignore[arg-type]
        api.play()
        chain_id = api.start()
        getattr(private_redis, how)()
        asked: list[Callable[[], requests.Response]] = []
        try:
            for path in (
                f"{TASKS}/{chain_id}/tasks",
                f"/pipeline/status/{chain_id}",
                *([f"/api/v1/jobs/{chain_id}/", f"/media/videos/{chain_id}/"] if how == "stop" else []),
                "/ready",
            ):
                asked.append(partial(api.get, path))
            asked.append(partial(api.post, f"/pipeline/{chain_id}/revoke", json={}))
            asked.append(partial(api.post, "/pipeline", json={"workflow": "play"}))
            all_503_without_a_hang(asked)
            assert api.get("/health").status_code == 200
            assert len(api.get("/pipeline/history").json()) == 1
            assert 'callboard_up{dependency="redis"} 0' in api.get("/metrics").text
        finally:
            private_redis.resume() if how == "pause" else private_redis.start()
        wait_until(lambda: api.get("/ready").status_code == 200)
        assert api.get("/pipeline/history").status_code == 200


def test_it_ends_though_a_cancellation_was_taken_for_a_time_out(
    build_application: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    swallowed = []

    async def hear(listener: object, pubsub: object) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if swallowed:
                raise
            swallowed.append(True)
            raise redis.ConnectionError("no answer in time") from None

    monkeypatch.setattr("api.live_listener.Listener._hear", hear)
    with serving(build_application()) as api:  # type: ignore[arg-type]
        assert api.get("/health").status_code == 200
        time.sleep(0.5)
    assert swallowed


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_the_database_away(serve: Serve, private_postgres: PostgresServer, work: Work, how: str) -> None:
    with fresh_database(private_postgres.url) as url:
        api = serve(DATABASE_URL=url)
        api.play()
        work(api.application)
        api.gate.set()
        chain_id = api.start()
        api.reaches(chain_id, "SUCCESS")
        getattr(private_postgres, how)()
        try:
            paths = ("/pipeline/status/nobody", f"{TASKS}/nobody/tasks", "/pipeline/history", "/ready")
            all_503_without_a_hang([partial(api.get, path) for path in paths])
            # What Redis knows is read as ever.
            assert api.get(f"/pipeline/status/{chain_id}").json()["status"] == "SUCCESS"
            assert len(api.get(f"{TASKS}/{chain_id}/tasks").json()["data"]) == 4
            assert 'callboard_up{dependency="database"} 0' in api.get("/metrics").text
        finally:
            private_postgres.resume() if how == "pause" else private_postgres.start()
        wait_until(lambda: api.get("/ready").status_code == 200, interval=0.5)
        assert len(api.get("/pipeline/history").json()) == 1


def test_polling_what_is_live_runs_no_sql(serve: Serve, private_postgres: PostgresServer, work: Work) -> None:
    with fresh_database(private_postgres.url) as url:
        api = serve(DATABASE_URL=url)
        api.play()
        work(api.application)
        chain_id = api.start()
        wait_until(lambda: api.get(f"{TASKS}/{chain_id}/stage/2").json()["data"]["progress"] == 50)
        recorded(api.application)
        paths = [
            f"{TASKS}/{chain_id}/tasks",
            f"{TASKS}/{chain_id}/stage/2",
            f"/pipeline/status/{chain_id}",
            f"/api/v1/jobs/{chain_id}/",
            f"/media/videos/{chain_id}/",
            f"/api/runs/{chain_id}",
        ]

        def poll() -> int:
            session, before = requests.Session(), private_postgres.statements()
            for _ in range(100):
                for path in paths:
                    answer = session.get(f"{api.url}{path}", timeout=60)
                    assert answer.status_code == 200
            session.close()
            return private_postgres.statements() - before

        assert poll() == 0
        api.gate.set()
        api.reaches(chain_id, "SUCCESS")
        recorded(api.application)
        assert poll() == 0
