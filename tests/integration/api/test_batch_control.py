"""Batches over HTTP: retried, and called off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_server import Api, error_of
from batch_shop import Shop
from chains import recorded
from dramatiq import Worker
from waiting import wait_until

Work = Callable[..., Worker]
KEYS = "starter-starter-start:start,operator-operator-op:operate"


@pytest.fixture
def shop(api: Api, tmp_path: Path) -> Shop:
    return Shop(api.application, tmp_path)


def failed_batch(shop: Shop, work: Work) -> tuple[str, list[str]]:
    bad = [*shop.files(2, "bad"), *shop.files(1, "late")]
    work(shop.application)
    batch_id = shop.start([*shop.files(5), *bad])
    shop.ended(batch_id)
    recorded(shop.application)
    return batch_id, bad


def test_failed_images_are_retried(api: Api, shop: Shop, work: Work) -> None:
    batch_id, bad = failed_batch(shop, work)
    path = f"/pipeline/batch/{batch_id}/retry-failed"
    expected = {
        "batch_id": batch_id,
        "images": 3,
        "stages": [
            {"stage": 1, "name": "First", "images": 2},
            {"stage": 2, "name": "Second", "images": 1},
        ],
        "errors": [{"error": "bad", "images": 2}, {"error": "late", "images": 1}],
    }
    for options in ({"json": {"dry_run": True}}, {"params": {"dry_run": "true"}}):
        planned = api.post(path, **options)
        assert planned.status_code == 200
        body = planned.json()
        assert {**expected, **body["data"]} == body["data"]
        assert body["data"]["dry_run"] is True
        assert body["data"]["expected_seconds"] >= 0
        assert body["message"] == f"배치 '{batch_id}'의 실패한 이미지 3개를 재처리할 수 있습니다"
    assert shop.status(batch_id).failed_images == 3
    shop.mend(bad)
    asked = api.post(path, headers={"Accept-Language": "en"})
    assert asked.status_code == 202
    assert asked.headers["Location"] == f"{api.url}/pipeline/batch/{batch_id}"
    assert asked.json()["message"] == f"3 failed images of batch '{batch_id}' are retried"
    assert (asked.json()["data"]["images"], asked.json()["data"]["dry_run"]) == (3, False)
    assert shop.ended(batch_id).completed_images == 8
    nothing = api.post(path)
    assert (nothing.status_code, error_of(nothing)["code"]) == (409, "batch_state")
    assert error_of(nothing)["data"] == {"status": "SUCCESS"}


def test_a_batch_is_called_off(api: Api, shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start(shop.files(40), chunk_size=4, window=2)
    work(shop.application, worker_threads=2)
    wait_until(lambda: len(shop.ran) == 2)
    revoked = api.post(f"/pipeline/batch/{batch_id}/revoke", json={"reason": "not needed"})
    assert revoked.status_code == 202, revoked.text
    assert revoked.json()["data"] == {
        "batch_id": batch_id,
        "not_started": 32,
        "retries_called_off": 0,
        "queued": 6,
        "told_to_stop": 2,
    }
    assert revoked.json()["message"] == f"배치 '{batch_id}' 취소됨"
    assert shop.ended(batch_id).revoked_images == 40
    again = api.post(f"/pipeline/batch/{batch_id}/revoke")
    assert (again.status_code, error_of(again)["code"]) == (409, "batch_state")
    refused = api.post(f"/pipeline/batch/{batch_id}/retry-failed")
    assert (refused.status_code, error_of(refused)["data"]) == (409, {"status": "REVOKED"})
    assert "was revoked" in error_of(refused)["detail"]
    shop.gate.set()


@pytest.mark.parametrize("word", ["retry-failed", "revoke"])
def test_what_is_refused(api: Api, word: str) -> None:
    for name in ("none", "x" * 300, "%00"):
        unknown = api.post(f"/pipeline/batch/{name}/{word}")
        assert (unknown.status_code, error_of(unknown)["code"]) == (404, "batch_not_found")
    wrong: list[dict[str, Any]] = [{"json": {"other": 1}}, {"json": []}, {"params": {"x": "1"}}]
    for options in wrong:
        assert api.post(f"/pipeline/batch/none/{word}", **options).status_code == 422
    assert api.post("/pipeline/batch/none/retry-failed", json={"dry_run": "yes"}).status_code == 422
    assert api.post("/pipeline/batch/none/retry-failed?dry_run=perhaps").status_code == 422


def test_roles(serve: Callable[..., Api]) -> None:
    api = serve(API_KEYS=KEYS)
    for word in ("retry-failed", "revoke"):
        path = f"/pipeline/batch/none/{word}"
        assert api.post(path).status_code == 401
        assert api.post(path, headers={"X-API-Key": "starter-starter-start"}).status_code == 403
        assert api.post(path, headers={"X-API-Key": "operator-operator-op"}).status_code == 404
