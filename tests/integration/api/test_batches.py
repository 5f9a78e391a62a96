"""Batches over HTTP: where they stand, how long they will take, and each of their images."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from api_server import Api, error_of, serving
from chains import recorded
from dramatiq import Worker
from servers import PostgresServer, RedisServer, fresh_database
from waiting import wait_until

from actors import batch_chunks, batch_revoke, batches
from actors.application import Application
from actors.batch_driver import post
from actors.batch_release import send_chunks
from actors.prune import steps
from actors.workflow import Workflow, stage
from db.batch_facts import BatchFacts
from db.batch_pace import NO_PACE, Sample
from db.batches import chain_id_of, create
from db.connection import session
from db.models import BatchChunk, BatchExecution, ChainExecution, TaskLog
from db.values import utc_now

Work = Callable[..., Worker]


class Shop:
    """A workflow of two stages on the API's application; a file named ``bad…`` fails in the second.

    ``seconds``: what the first stage takes; ``gate``: while it is closed, the second waits.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        self.application = application
        self.folder = folder
        self.seconds = 0.0
        self.gate = threading.Event()
        self.gate.set()
        batch_chunks.declare(application.broker)

        @stage(name="읽기", actor_name="read", max_retries=0)
        def read(document: dict[str, Any]) -> dict[str, Any]:
            time.sleep(self.seconds)
            return document

        @stage(name="쓰기", actor_name="write", max_retries=0)
        def write(document: dict[str, Any]) -> None:
            while not self.gate.wait(0.02):
                pass
            if Path(document["file_path"]).name.startswith("bad"):
                raise ValueError("no page\nin this file")

        Workflow("shop", [read, write])
        self.heard: list[Any] = []
        dramatiq.actor(actor_name="heard", broker=application.broker)(self.heard.append)

    def files(self, count: int, name: str = "image") -> list[str]:
        paths = [self.folder / f"{name}-{number}.png" for number in range(count)]
        for path in paths:
            path.touch()
        return [str(path) for path in paths]

    def start(self, files: list[str], **options: Any) -> str:
        return batches.start_batch_pipeline(
            "october", files, workflow="shop", application=self.application, **options
        )


@pytest.fixture
def shop(api: Api, tmp_path: Path) -> Shop:
    return Shop(api.application, tmp_path)


def ended(api: Api, batch_id: str, timeout: float = 60) -> dict[str, Any]:
    """The batch's facts once it has ended."""

    def look() -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
        return found if found["finished_at"] else {}

    return wait_until(look, timeout, "the batch has not ended", 0.05)


# -- where it stands ---------------------------------------------------------------------------------------


def test_a_batch_from_start_to_end(api: Api, shop: Shop, work: Work) -> None:
    shop.seconds = 0.02
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

    wait_until(look, 60, "the batch has not ended", 0.05)
    told = [
        one for one in seen[:-1] if one["estimated_time_remaining"] is not None and one["status"] == "STARTED"
    ]
    assert told
    for one in told:
        assert one["estimated_time_remaining"] <= one["estimated_time_remaining_p90"]
        assert one["images_per_second"] > 0 or one["estimated_time_remaining"] == 0
    last = seen[-1]
    assert (last["status"], last["completed_images"], last["failed_images"]) == ("FAILURE", 118, 2)
    assert (last["completed_chunks"], last["failed_chunks"], last["progress_percentage"]) == (18, 0, 100.0)
    assert (last["estimated_time_remaining"], last["estimated_time_remaining_p90"]) == (0.0, 0.0)
    # The board has forgotten it: the ledger says the same.
    api.application.board.clients.get().flushdb()
    again = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
    assert again == {**last, "source": "ledger", "images_per_second": None}


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
            assert time.monotonic() - began < 16
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
    with session(api.application.database) as database:
        BatchExecution.insert(
            batch_id="elsewhere",
            status="STARTED",
            total_images=100,
            completed_images=20,
            started_at=utc_now() - timedelta(seconds=40),
        ).execute(database)
    found = api.get("/pipeline/batch/elsewhere").json()["data"]
    assert found["estimated_time_remaining"] == pytest.approx(160, abs=8)
    assert found["estimated_time_remaining_p90"] is None


def test_a_million_images_are_not_rounded_to_the_end(api: Api) -> None:
    facts = BatchFacts("big", "shop", 1_000_000, 1000, 1, "default", 1.0, 1_700_000_000.0)
    post(api.application, "big", facts)
    api.application.batches.mark("big", "S", [range(999_999)])
    found = api.get("/pipeline/batch/big").json()["data"]
    assert (found["progress_percentage"], found["completed_images"]) == (99.9999, 999_999)


# -- its images --------------------------------------------------------------------------------------------


def items(api: Api, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/pipeline/batch/{batch_id}/items{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def lines(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_each_image(
    request: pytest.FixtureRequest, serve: Callable[..., Api], work: Work, tmp_path: Path, database: str
) -> None:
    api = serve(DATABASE_URL=request.getfixturevalue(database))
    shop = Shop(api.application, tmp_path)
    files = [*shop.files(8), *shop.files(2, "bad"), *shop.files(3, "more")]
    public = [f"https://example.org/{number}" for number in range(13)]
    batch_id = shop.start(files, public_file_paths=public, chunk_size=4, window=1)
    assert {item["status"] for item in items(api, batch_id)} == {"pending"}
    work(api.application)
    ended(api, batch_id)
    found = api.get(f"/pipeline/batch/{batch_id}/items").json()
    assert found["total"] == 13
    assert [(one["index"], one["file_path"], one["public_file_path"]) for one in found["data"]] == [
        *zip(range(13), files, public, strict=True)
    ]
    assert all(one["chain_id"] == chain_id_of(batch_id, one["index"]) for one in found["data"])
    recorded(api.application)
    for wipe in (False, True):
        if wipe:
            # The same from the ledger alone.
            api.application.board.clients.get().flushdb()
        failed = items(api, batch_id, "?status=failed")
        assert [one["index"] for one in failed] == [8, 9]
        for one in failed:
            assert (one["stage"], one["stage_name"], one["retries"]) == (2, "쓰기", 0)
            assert one["error"].endswith("no page")
            assert one["started_at"] <= one["finished_at"]
        good = items(api, batch_id, "?status=completed&limit=4&offset=7")
        assert [one["index"] for one in good] == [7, 10, 11, 12]
        assert all(one["stage"] is None and one["error"] is None and one["finished_at"] for one in good)
        for status in ("revoked", "open", "pending"):
            assert items(api, batch_id, f"?status={status}") == []
        told = lines(api.get(f"/pipeline/batch/{batch_id}/items?format=csv&status=failed"))
        assert [
            {**one, "index": int(one["index"]), "stage": int(one["stage"]), "retries": 0} for one in told
        ] == failed


def test_where_open_and_revoked_images_stand(api: Api, shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start(shop.files(6), chunk_size=2, window=1)
    work(api.application, worker_threads=2)
    wait_until(lambda: [one["stage"] for one in items(api, batch_id, "?status=open")] == [2, 2], 20)
    for one in items(api, batch_id, "?status=open"):
        assert (one["stage_name"], one["error"], one["finished_at"]) == ("쓰기", None, None)
        assert one["started_at"] is not None
    assert [one["chain_id"] for one in items(api, batch_id, "?status=pending")] == [None] * 4
    batch_revoke.revoke_batch(batch_id, "not needed", application=api.application)
    shop.gate.set()
    ended(api, batch_id)
    revoked = items(api, batch_id, "?status=revoked")
    assert [one["index"] for one in revoked] == list(range(6))
    assert [one["stage"] for one in revoked] == [2, 2, None, None, None, None]
    assert revoked[0]["error"] == "not needed"


def test_the_board_is_newer_than_the_ledger(api: Api, shop: Shop, work: Work) -> None:
    batch_id = shop.start(shop.files(1, "bad"))
    work(api.application)
    ended(api, batch_id)
    recorded(api.application)
    with session(api.application.database) as database:
        # As if the recorder were behind.
        ChainExecution.update(status="STARTED", error_message=None, finished_at=None).execute(database)
        TaskLog.delete().execute(database)
    (one,) = items(api, batch_id)
    assert (one["status"], one["stage"], one["stage_name"]) == ("failed", 2, "쓰기")
    assert "no page" in one["error"]
    assert one["finished_at"] is not None


def test_images_of_a_chunk_that_failed(api: Api) -> None:
    facts = BatchFacts("b", "shop", 5, 2, 1, "default", 1.0, 1_700_000_000.0)
    create(api.application.database, "b1", facts, {}, [(f"{number}.png", None) for number in range(5)])
    with session(api.application.database) as database:
        BatchChunk.update(error="its chains could not be started").where(BatchChunk.number == 2).execute(
            database
        )
    (one,) = items(api, "b1", "?status=failed")
    assert (one["index"], one["file_path"], one["chain_id"]) == (4, "4.png", None)
    assert (one["error"], one["stage"]) == ("its chains could not be started", None)


def test_csv_holds_no_formula(api: Api) -> None:
    facts = BatchFacts("b", "shop", 5, 5, 1, "default", 1.0, 1_700_000_000.0)
    names = ["=cmd|' /C calc'!A1", "+1", "-1", "@SUM(A1)", 'quoted "name", 한글.png']
    create(api.application.database, "b1", facts, {}, [(name, name) for name in names])
    answer = api.get("/pipeline/batch/b1/items", headers={"Accept": "text/csv"})
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    told = [one["file_path"] for one in lines(answer)]
    assert told == [*(f"'{name}" for name in names[:4]), names[4]]
    assert all(one["public_file_path"] == one["file_path"] for one in lines(answer))
    assert len(lines(api.get("/pipeline/batch/b1/items?format=csv&limit=2&offset=1"))) == 2
    assert lines(api.get("/pipeline/batch/b1/items?format=csv&offset=9")) == []


def test_bad_questions_about_images(api: Api) -> None:
    facts = BatchFacts("b", "shop", 1, 5, 1, "default", 1.0, 1_700_000_000.0)
    create(api.application.database, "b1", facts, {}, [("a.png", None)])
    for query in (
        "status=FAILURE",
        "limit=0",
        "limit=1001",
        "limit=1000001&format=csv",
        "offset=-1",
        "format=xml",
    ):
        refused = api.get(f"/pipeline/batch/b1/items?{query}")
        assert (refused.status_code, query.partition("=")[0] in error_of(refused)["detail"]) == (422, True)
    for path in ("/pipeline/batch/none/items", "/pipeline/batch/none/items?format=csv"):
        assert error_of(api.get(path))["code"] == "batch_not_found"
    with session(api.application.database) as database:
        BatchExecution.insert(batch_id="elsewhere", total_images=1).execute(database)
    assert error_of(api.get("/pipeline/batch/elsewhere/items"))["code"] == "batch_refused"


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_a_hundred_thousand_images(
    request: pytest.FixtureRequest, serve: Callable[..., Api], database: str
) -> None:
    api = serve(DATABASE_URL=request.getfixturevalue(database))
    images = 100_000
    fill(api.application, images)
    began = time.monotonic()
    page = items(api, "big", "?status=failed&limit=100&offset=4900")
    paged = time.monotonic() - began
    assert [one["index"] for one in page] == list(range(98_000, 100_000, 20))
    began = time.monotonic()
    with api.get("/pipeline/batch/big/items?format=csv", stream=True) as answer:
        count = sum(part.count(b"\n") for part in answer.iter_content(65_536)) - 1
    whole = time.monotonic() - began
    assert count == images
    began = time.monotonic()
    told = api.get("/pipeline/batch/big/statistics").json()["data"]
    counted = time.monotonic() - began
    (read,) = told["stages"]
    assert (read["tasks"], read["failed"], read["retries"]) == (images, images // 20, 99_999)
    assert read["seconds"] == {"p50": pytest.approx(0.5, abs=0.02), "p95": pytest.approx(0.95, abs=0.02)}
    assert told["errors"] == [{"error": "no page", "workflow": "shop", "stage": 1, "count": images // 20}]
    print(f"{database}: a page {paged:.2f} s, all as CSV {whole:.1f} s, statistics {counted:.2f} s")
    assert paged < 5
    assert whole < 120
    assert counted < 30


def fill(application: Application, images: int) -> None:
    """A batch ``big`` of so many images in the ledger; each has one task, and one in twenty has failed."""
    facts = BatchFacts("big", "shop", images, 100, 1, "default", 1.0, 1_700_000_000.0)
    create(application.database, "big", facts, {}, [(f"/in/{number}.png", None) for number in range(images)])
    stages = [
        {"stage_name": name, "tasks": [{"task_id": "x", "task_name": "x"}]} for name in ("읽기", "쓰기")
    ]
    moment, ends = datetime(2025, 1, 1), datetime(2025, 1, 1, 0, 0, 2)
    with session(application.database) as database:
        for start in range(0, images, 1000):
            chains, tasks = [], []
            for number in range(start, start + 1000):
                bad = number % 20 == 0
                status = "FAILURE" if bad else "SUCCESS"
                chains.append(
                    {
                        "id": number + 1,
                        "chain_id": chain_id_of("big", number),
                        "chain_name": "shop",
                        "status": status,
                        "batch_id": "big",
                        "created_at": moment,
                        "started_at": moment,
                        "finished_at": ends,
                        "error_message": "no page\nat all" if bad else None,
                        "stages": stages,
                    }
                )
                tasks.append(
                    {
                        "task_id": f"t{number}",
                        "task_name": "read",
                        "status": status,
                        "stage": 1,
                        "started_at": moment,
                        "finished_at": moment + timedelta(milliseconds=number % 1000),
                        "chain_execution": number + 1,
                        "error": "no page\nat all" if bad else None,
                        "retries": number % 3,
                    }
                )
            ChainExecution.insert_many(chains).execute(database)
            TaskLog.insert_many(tasks).execute(database)
        BatchExecution.update(
            status="FAILURE",
            completed_images=images - images // 20,
            failed_images=images // 20,
            started_at=moment,
            finished_at=datetime(2025, 1, 1, 1),
        ).execute(database)


# -- and when it is gone -----------------------------------------------------------------------------------


def test_of_a_batch_that_was_pruned_nothing_is_left(api: Api, shop: Shop, work: Work) -> None:
    application = api.application
    work(application)
    pruned, kept = (shop.start(shop.files(5, name), chunk_size=2, on_complete="heard") for name in "ab")
    for batch_id in (pruned, kept):
        ended(api, batch_id)
    wait_until(lambda: len(shop.heard) == 2, 20)
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
    application.broker.join("callboard", timeout=30_000)
    wait_until(lambda: client.zscore(keys.batches, pruned) is None, 20)
    assert client.exists(keys.batch(pruned), keys.batch_items(pruned)) == 0
    with session(application.database) as database:
        for model in (BatchExecution, BatchChunk, ChainExecution):
            found = model.select(model.batch_id).distinct().tuples().execute(database)
            assert [batch_id for (batch_id,) in found] == [kept]
    assert len(shop.heard) == 2


# -- statistics --------------------------------------------------------------------------------------------


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
    assert 0.05 <= read["seconds"]["p50"] <= read["seconds"]["p95"] < 5
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
    pace = NO_PACE.after(Sample(time.time() - 10, 0, 1))
    api.application.batches.note("b1", "pace", pace.as_json())
    with session(api.application.database) as database:
        BatchChunk.update(error="it could not be started").where(BatchChunk.number == 1).execute(database)
        BatchExecution.update(failed_images=5).execute(database)
    found = api.get("/pipeline/batch/b1/statistics").json()["data"]
    assert found["recent_images_per_second"] == pytest.approx(0.3, rel=0.1)
    assert found["errors"] == [
        {"error": "it could not be started", "workflow": None, "stage": None, "count": 5}
    ]
    assert api.get("/pipeline/batch/statistics").json()["data"]["recent_images_per_second"] > 0
