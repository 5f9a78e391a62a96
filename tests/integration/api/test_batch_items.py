"""Each image of a batch over HTTP, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from api_batches import Shop, ended, fill, items, lines
from api_server import Api, error_of
from chains import recorded
from dramatiq import Worker
from waiting import wait_until

from actors.batches import revoke
from db.batches.facts import BatchFacts
from db.batches.ledger import chain_id_of, create
from db.connection import session
from db.models import BatchChunk, BatchExecution, ChainExecution, TaskLog

Work = Callable[..., Worker]


@pytest.fixture
def shop(api: Api, tmp_path: Path) -> Shop:
    return Shop(api.application, tmp_path)


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
    wait_until(lambda: [one["stage"] for one in items(api, batch_id, "?status=open")] == [2, 2])
    for one in items(api, batch_id, "?status=open"):
        assert (one["stage_name"], one["error"], one["finished_at"]) == ("쓰기", None, None)
        assert one["started_at"] is not None
    assert [one["chain_id"] for one in items(api, batch_id, "?status=pending")] == [None] * 4
    revoke.revoke_batch(batch_id, "not needed", application=api.application)
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
def test_many_images(request: pytest.FixtureRequest, serve: Callable[..., Api], database: str) -> None:
    api = serve(DATABASE_URL=request.getfixturevalue(database))
    images = 20_000
    fill(api.application, images)
    page = items(api, "big", "?status=failed&limit=100&offset=900")
    assert [one["index"] for one in page] == list(range(18_000, 20_000, 20))
    with api.get("/pipeline/batch/big/items?format=csv", stream=True) as answer:
        assert sum(part.count(b"\n") for part in answer.iter_content(65_536)) - 1 == images
    told = api.get("/pipeline/batch/big/statistics").json()["data"]
    (read,) = told["stages"]
    assert (read["tasks"], read["failed"], read["retries"]) == (images, images // 20, images - 1)
    assert read["seconds"] == {"p50": pytest.approx(0.5, abs=0.02), "p95": pytest.approx(0.95, abs=0.02)}
    assert told["errors"] == [{"error": "no page", "workflow": "shop", "stage": 1, "count": images // 20}]
