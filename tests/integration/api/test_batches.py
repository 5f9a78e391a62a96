"""Batches over HTTP: where they stand, how long they will take, and what is left of an old one."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_batches import Shop, ended
from api_server import Api, error_of, serving
from chains import recorded
from dramatiq import Worker
from servers import PostgresServer, RedisServer, fresh_database
from waiting import wait_until
from websockets.sync.client import connect

from actors.application import Application
from actors.batches.driver import post
from actors.batches.release import send_chunks
from actors.prune import steps
from db.batches.facts import BatchFacts
from db.connection import session
from db.models import BatchChunk, BatchExecution, ChainExecution, TaskLog
from db.values import utc_now

Work = Callable[..., Worker]


@pytest.fixture
def shop(api: Api, tmp_path: Path) -> Shop:
    return Shop(api.application, tmp_path)


def test_a_batch_from_start_to_end(api: Api, shop: Shop, work: Work) -> None:
    shop.seconds = 0.02
    shop.gate.clear()
    shop.free = 60
    batch_id = shop.start([*shop.files(118), *shop.files(2, "bad")], chunk_size=7)
    first = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
    assert (first["batch_id"], first["batch_name"], first["status"]) == (batch_id, "october", "PENDING")
    assert (first["total_images"], first["total_chunks"], first["chunk_size"]) == (120, 18, 7)
    assert first["progress_percentage"] == 0.0
    assert (first["estimated_time_remaining"], first["estimated_time_remaining_p90"]) == (None, None)
    work(api.application)
    seen = []

    def look() -> bool:
        found = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
        counted = found["completed_images"] + found["failed_images"] + found["revoked_images"]
        assert found["progress_percentage"] == pytest.approx(counted / 1.2, abs=1e-4)
        assert found["source"] == "redis"
        seen.append(found)
        return found["finished_at"] is not None

    def estimates() -> list[dict[str, Any]]:
        return [
            one for one in seen if one["estimated_time_remaining"] is not None and one["status"] == "STARTED"
        ]

    wait_until(lambda: look() or estimates(), 60, "no time is told", 0.05)
    shop.gate.set()
    wait_until(look, 60, "the batch has not ended", 0.05)
    told = estimates()
    assert told
    for one in told:
        assert one["estimated_time_remaining"] <= one["estimated_time_remaining_p90"]
        assert one["images_per_second"] > 0 or one["estimated_time_remaining"] == 0
    last = ended(api, batch_id)
    assert (last["status"], last["completed_images"], last["failed_images"]) == ("FAILURE", 118, 2)
    assert (last["completed_chunks"], last["failed_chunks"], last["progress_percentage"]) == (18, 0, 100.0)
    assert (last["estimated_time_remaining"], last["estimated_time_remaining_p90"]) == (0.0, 0.0)
    # The board has forgotten it: the ledger says the same.
    api.application.board.clients.get().flushdb()
    again = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
    assert again == {**last, "source": "ledger"}


def test_with_the_ledger_away(
    serve: Callable[..., Api], private_postgres: PostgresServer, tmp_path: Path
) -> None:
    with fresh_database(private_postgres.url) as url:
        api = serve(DATABASE_URL=url)
        shop = Shop(api.application, tmp_path)
        batch_id = shop.start(shop.files(3))
        private_postgres.kill()
        try:
            found = api.get(f"/pipeline/batch/{batch_id}")
            assert (found.status_code, found.json()["data"]["source"]) == (200, "redis")
            for path in ("/pipeline/batch/unknown", "/pipeline/batch"):
                assert error_of(api.get(path))["code"] == "unavailable"
        finally:
            private_postgres.start()


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_with_redis_away(
    build_application: Callable[..., Application], private_redis: RedisServer, tmp_path: Path, how: str
) -> None:
    with serving(build_application(REDIS_URL=private_redis.url)) as api:
        shop = Shop(api.application, tmp_path)
        batch_id = shop.start(shop.files(3))
        getattr(private_redis, how)()
        try:
            began = time.monotonic()
            found = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
            assert (found["source"], found["total_images"]) == ("ledger", 3)
            assert [one["batch_id"] for one in api.get("/pipeline/batch").json()["data"]] == [batch_id]
            assert error_of(api.get("/pipeline/batch/unknown"))["code"] == "batch_not_found"
            assert time.monotonic() - began < 48  # 10 on a machine of its own
        finally:
            private_redis.resume() if how == "pause" else private_redis.start()


def test_pages_of_batches(api: Api) -> None:
    with session(api.application.database) as database:
        for number in range(30):
            BatchExecution.insert(
                batch_id=f"b{number:02}",
                status="FAILURE" if number % 3 == 0 else "SUCCESS",
                created_at=datetime(2025, 1, 1) + timedelta(minutes=number),
                finished_at=datetime(2025, 1, 2),
            ).execute(database)

    def ids(query: str) -> list[str]:
        return [one["batch_id"] for one in api.get(f"/pipeline/batch?{query}").json()["data"]]

    assert ids("limit=3") == ["b29", "b28", "b27"]
    assert ids("limit=2&offset=28") == ["b01", "b00"]
    assert ids("status=FAILURE&limit=2&offset=1") == ["b24", "b21"]
    assert ids("status=REVOKED") == []
    assert len(ids("")) == 30
    for query in (
        "limit=0",
        "limit=1001",
        "offset=-1",
        "status=GONE",
        "status=success",
        "page=2",
        "offset=x",
    ):
        refused = api.get(f"/pipeline/batch?{query}")
        assert refused.status_code == 422
        assert query.partition("=")[0] in error_of(refused)["detail"]


def test_of_a_batch_that_only_the_ledger_knows_the_whole_run_counts(api: Api) -> None:
    started = utc_now() - timedelta(seconds=40)
    with session(api.application.database) as database:
        BatchExecution.insert(
            batch_id="elsewhere",
            status="STARTED",
            total_images=100,
            completed_images=20,
            started_at=started,
        ).execute(database)
    found = api.get("/pipeline/batch/elsewhere").json()["data"]
    most = 4 * (utc_now() - started).total_seconds()
    assert 159 <= found["estimated_time_remaining"] <= most + 1
    assert found["estimated_time_remaining_p90"] is None


def test_a_batch_is_followed_live(api: Api, shop: Shop, work: Work) -> None:
    shop.gate.clear()
    shop.free = 20
    batch_id = shop.start([*shop.files(58), *shop.files(2, "bad")], chunk_size=5)
    with connect(f"ws://127.0.0.1:{api.port}/ws/{batch_id}") as socket:
        first = json.loads(socket.recv(60))
        assert (first["type"], first["state"], first["progress"]) == ("initial_state", "PENDING", 0.0)
        work(api.application)
        told = []
        for count in (20, 40, 60):
            shop.free = count
            while not told or told[-1]["progress"] < (count - 1) / 60:
                told.append(json.loads(socket.recv(60)))
        while told[-1]["state"] not in ("END", "FAILED"):
            told.append(json.loads(socket.recv(60)))
    shares = [one["progress"] for one in told]
    assert shares == sorted(shares)
    assert len(set(shares)) >= 3
    last = told[-1]
    assert (last["state"], last["progress"]) == ("FAILED", 1.0)
    assert last["message"] == "58 completed, 2 failed, 0 revoked"
    assert {one["state"] for one in told[:-1]} <= {"PENDING", "STARTED"}
    # Who comes later sees how it ended.
    with connect(f"ws://127.0.0.1:{api.port}/ws/{batch_id}") as socket:
        assert json.loads(socket.recv(60))["state"] == "FAILED"


def test_a_million_images_are_not_rounded_to_the_end(api: Api) -> None:
    facts = BatchFacts("big", "shop", 1_000_000, 1000, 1, "default", 1.0, 1_700_000_000.0)
    post(api.application, "big", facts)
    api.application.batches.mark("big", "S", [range(999_999)])
    found = api.get("/pipeline/batch/big").json()["data"]
    assert (found["progress_percentage"], found["completed_images"]) == (99.9999, 999_999)


def test_of_a_batch_that_was_pruned_nothing_is_left(api: Api, shop: Shop, work: Work) -> None:
    application = api.application
    work(application)
    pruned, kept = (shop.start(shop.files(5, name), chunk_size=2, on_complete="heard") for name in "ab")
    for batch_id in (pruned, kept):
        ended(api, batch_id)
    wait_until(lambda: len(shop.heard) == 2)
    recorded(application)
    long_ago = utc_now() - timedelta(days=100)
    with session(application.database) as database:
        chains = ChainExecution.select(ChainExecution.id).where(ChainExecution.batch_id == pruned)
        moments = {"started_at": long_ago, "finished_at": long_ago}
        TaskLog.update(moments).where(TaskLog.chain_execution.in_(chains)).execute(database)
        ChainExecution.update(created_at=long_ago, finished_at=long_ago).where(
            ChainExecution.batch_id == pruned
        ).execute(database)
        BatchExecution.update(created_at=long_ago, **moments).where(
            BatchExecution.batch_id == pruned
        ).execute(database)
    # After so long the board has forgotten it.
    client, keys = application.board.clients.get(), application.board.keys
    client.delete(keys.batch(pruned), keys.batch_items(pruned))
    gone = Counter[str]()
    for step in steps(application):
        gone[step.kind] += step.count
    assert gone == {"chains": 5, "tasks": 10, "batches": 1}
    for path in ("", "/items", "/items?format=csv", "/statistics"):
        assert error_of(api.get(f"/pipeline/batch/{pruned}{path}"))["code"] == "batch_not_found"
        assert api.get(f"/pipeline/batch/{kept}{path}").status_code == 200
    # A message that comes late brings nothing back.
    send_chunks(application, pruned, range(3))
    application.broker.join("callboard", timeout=60_000)
    wait_until(lambda: client.zscore(keys.batches, pruned) is None)
    assert client.exists(keys.batch(pruned), keys.batch_items(pruned)) == 0
    with session(application.database) as database:
        for model in (BatchExecution, BatchChunk, ChainExecution):
            found = model.select(model.batch_id).distinct().tuples().execute(database)
            assert [batch_id for (batch_id,) in found] == [kept]
    assert len(shop.heard) == 2
