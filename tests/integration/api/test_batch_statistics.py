"""Batches in numbers, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from api_batches import Shop, ended
from api_server import Api, error_of
from chains import recorded
from dramatiq import Worker

from actors.batches.driver import post
from db.batches.facts import BatchFacts
from db.batches.ledger import create
from db.batches.pace import NO_PACE, Sample
from db.connection import session
from db.models import BatchChunk, BatchExecution

Work = Callable[..., Worker]


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_batches_in_numbers(
    request: pytest.FixtureRequest, serve: Callable[..., Api], work: Work, tmp_path: Path, database: str
) -> None:
    api = serve(DATABASE_URL=request.getfixturevalue(database))
    shop = Shop(api.application, tmp_path)
    shop.seconds = 0.05
    first = shop.start([*shop.files(8), *shop.files(2, "bad")])
    work(api.application)
    ended(api, first)
    second = shop.start(shop.files(5, "more"))
    ended(api, second)
    recorded(api.application)

    one = api.get(f"/pipeline/batch/{first}/statistics").json()["data"]
    assert (one["batch_id"], one["batches"], one["retries"]) == (first, {"FAILURE": 1}, 0)
    assert one["images"] == {"total": 10, "completed": 8, "failed": 2, "revoked": 0, "open": 0}
    assert one["chunks"] == {"total": 1, "completed": 1, "failed": 0}
    assert one["seconds"]["p50"] == one["seconds"]["p95"] > 0
    assert one["images_per_second"] == pytest.approx(10 / one["seconds"]["p50"], rel=0.05)
    assert one["recent_images_per_second"] is None
    read, write = one["stages"]
    assert (read["workflow"], read["stage"], read["name"], read["task"]) == ("shop", 1, "읽기", "read")
    assert (read["tasks"], read["succeeded"], read["failed"]) == (10, 10, 0)
    assert (write["tasks"], write["succeeded"], write["failed"], write["name"]) == (10, 8, 2, "쓰기")
    assert 0.05 <= read["seconds"]["p50"] <= read["seconds"]["p95"] < 60
    assert 0 <= write["wait"]["p50"] <= write["wait"]["p95"]
    # Ten images, four threads, fifty milliseconds each: the last ones wait for two others.
    assert read["wait"]["p95"] >= 0.1
    assert one["errors"] == [{"error": "no page", "workflow": "shop", "stage": 2, "count": 2}]

    both = api.get("/pipeline/batch/statistics").json()["data"]
    assert (both["batch_id"], both["batches"]) == (None, {"FAILURE": 1, "SUCCESS": 1})
    assert (both["images"]["total"], both["images"]["completed"]) == (15, 13)
    assert [stage["tasks"] for stage in both["stages"]] == [15, 15]
    assert both["errors"] == one["errors"]
    moment = api.get(f"/pipeline/batch/{second}").json()["data"]["created_at"]
    newer = api.get(f"/pipeline/batch/statistics?since={moment}").json()["data"]
    assert (newer["since"], newer["batches"], newer["errors"]) == (moment, {"SUCCESS": 1}, [])
    nothing = api.get("/pipeline/batch/statistics?since=2999-01-01").json()["data"]
    assert (nothing["batches"], nothing["stages"], nothing["images_per_second"]) == ({}, [], None)


def test_bad_questions_about_numbers(api: Api) -> None:
    assert error_of(api.get("/pipeline/batch/none/statistics"))["code"] == "batch_not_found"
    refused = api.get("/pipeline/batch/statistics?since=soon")
    assert (refused.status_code, "since" in error_of(refused)["detail"]) == (422, True)


def test_how_fast_it_goes_and_what_never_started(api: Api) -> None:
    facts = BatchFacts("b", "shop", 10, 5, 1, "default", 1.0, time.time())
    create(api.application.database, "b1", facts, {}, [(f"{number}.png", None) for number in range(10)])
    post(api.application, "b1", facts)
    api.application.batches.mark("b1", "S", [range(3)])
    begun = time.time() - 10
    pace = NO_PACE.after(Sample(begun, 0, 1))
    api.application.batches.note("b1", "pace", pace.as_json())
    with session(api.application.database) as database:
        BatchChunk.update(error="it could not be started").where(BatchChunk.number == 1).execute(database)
        BatchExecution.update(failed_images=5).execute(database)
    found = api.get("/pipeline/batch/b1/statistics").json()["data"]
    slowest = 3 / (time.time() - begun)
    assert slowest * 0.99 <= found["recent_images_per_second"] <= 0.3 * 1.01
    assert found["errors"] == [
        {"error": "it could not be started", "workflow": None, "stage": None, "count": 5}
    ]
    assert api.get("/pipeline/batch/statistics").json()["data"]["recent_images_per_second"] > 0
