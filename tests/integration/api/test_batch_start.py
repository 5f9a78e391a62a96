"""``POST /pipeline/batch``: a form with files, URLs, a prefix; and what is refused leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
import requests
from api_server import PNG, Api, error_of
from dramatiq import Worker
from waiting import wait_until

from actors.batches import chunks
from db.models import BatchChunk, BatchExecution, ChainExecution

Work = Callable[..., Worker]
Serve = Callable[..., Api]
FORM = {"batch_name": "test_batch_001", "workflow": "play"}


@pytest.fixture
def serve_batches(serve: Serve) -> Serve:
    """Serves an application that can start batches of ``play``."""

    def start(**environment: str) -> Api:
        api = serve(**environment)
        api.play()
        chunks.declare(api.application.broker)
        return api

    return start


@pytest.fixture
def shop(serve_batches: Serve, tmp_path: Path) -> Api:
    """With a folder ``in`` that inputs may name files in."""
    (tmp_path / "in").mkdir()
    return serve_batches(INPUT_ROOTS=f"file://{tmp_path}/in")


def images(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    return [str(folder / name) for name in names]


def stored(api: Api) -> list[Path]:
    root = Path(api.application.storage.url.removeprefix("file://"))
    return list(root.rglob("*"))


def rows(api: Api) -> list[int]:
    models: list[Any] = [BatchExecution, BatchChunk, ChainExecution]
    return [model.select().count(api.application.database) for model in models]


def ended(api: Api, batch_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/pipeline/batch/{batch_id}").json()["data"]
        return found if found["finished_at"] else {}

    return wait_until(look, 60, "the batch has not ended")


def test_the_form_of_the_document(shop: Api, work: Work) -> None:
    files = [("files", (f"image{number}.jpg", PNG + b"%d" % number)) for number in (1, 2, 3)]
    answer = shop.post("/pipeline/batch", data=FORM, files=files)
    assert answer.status_code == 202, answer.text
    batch_id = answer.json()["data"]["context_id"]
    message = "배치 파이프라인 시작됨: 3개 이미지"
    assert answer.json() == {"success": True, "data": {"context_id": batch_id, "message": message}}
    assert answer.headers["Location"] == f"{shop.url}/pipeline/batch/{batch_id}"
    assert requests.get(answer.headers["Location"], timeout=60).json()["data"]["batch_id"] == batch_id
    shop.gate.set()
    work(shop.application)
    found = ended(shop, batch_id)
    assert (found["status"], found["batch_name"]) == ("SUCCESS", "test_batch_001")
    assert (found["total_images"], found["completed_images"]) == (3, 3)
    contents = {Path(given["file_path"].removeprefix("file://")).read_bytes() for given in shop.seen}
    assert contents == {PNG + b"%d" % number for number in (1, 2, 3)}
    record = shop.application.ledger.read_chain(f"{batch_id}.0")
    assert record is not None
    assert record.chain.initiated_by == "api_server"


def test_every_field_of_the_form(shop: Api) -> None:
    fields = {
        **FORM,
        "chunk_size": "2",
        "priority": "low",
        "window": "3",
        "options": '{"hangul": "off"}',
        "success_threshold": "0.5",
    }
    files = [("files", ("a.png", PNG))] * 5
    answer = shop.post("/pipeline/batch", data=fields, files=files, headers={"Accept-Language": "en"})
    assert answer.json()["data"]["message"] == "Batch pipeline started: 5 images"
    (row,) = BatchExecution.select().execute(shop.application.database)
    assert (row.total_chunks, row.options, row.batch_name) == (3, {"hangul": "off"}, "test_batch_001")
    assert row.plan == {
        "workflow": "play",
        "window": 3,
        "priority": "low",
        "success_threshold": 0.5,
        "by": "api_server",
        "callbacks": {},
        "private_webhooks": False,
        "auto": False,
    }


@pytest.mark.parametrize(
    ("fields", "files", "status", "code", "named"),
    [
        ({"batch_name": None}, 1, 422, "body_invalid", "'batch_name' is a required property"),
        ({"batch_name": " "}, 1, 422, "batch_invalid", "batch_name: a batch needs a name"),
        ({"batch_name": "n" * 10_240}, 1, 422, "body_invalid", "batch_name: 'nnn"),
        ({"workflow": "nothing"}, 1, 422, "unknown_workflow", "'nothing'"),
        ({"chunk_size": "0"}, 1, 422, "body_invalid", "chunk_size: 0 is less than the minimum of 1"),
        ({"chunk_size": "1000000"}, 1, 422, "body_invalid", "chunk_size: 1000000 is greater"),
        ({"chunk_size": "many"}, 1, 422, "body_invalid", "chunk_size: 'many' does not match '^auto$'"),
        ({"window": "-1"}, 1, 422, "body_invalid", "window: -1"),
        ({"priority": "urgent"}, 1, 422, "body_invalid", "priority: 'urgent' is not one of"),
        ({"success_threshold": "nan"}, 1, 422, "batch_invalid", "success_threshold: read nan"),
        ({"options": "{"}, 1, 400, "body_invalid", "not JSON"),
        ({"options": "[1]"}, 1, 422, "body_invalid", "options: [1] is not of type 'object'"),
        ({"options": '{"file_path": "/etc/passwd"}'}, 1, 400, "place_refused", "file_path"),
        ({"on_failure": "nobody"}, 1, 422, "batch_invalid", "on_failure: no actor is named 'nobody'"),
        ({"on_success": "http://127.0.0.1/"}, 1, 422, "batch_invalid", "on_success: 'http://127.0.0.1/'"),
        ({"colour": "red"}, 1, 422, "body_invalid", "unknown fields: 'colour'"),
        ({"prefix": "s3://b/"}, 1, 422, "body_invalid", "prefix: expected as JSON"),
        ({}, 0, 422, "body_invalid", "expected files named 'files', read no file"),
        ({}, 6, 413, "too_large", "at most 5 files (MAX_UPLOAD_FILES); a batch takes more as JSON"),
    ],
)
def test_forms_that_are_refused_leave_nothing(
    serve_batches: Serve, fields: dict[str, Any], files: int, status: int, code: str, named: str
) -> None:
    api = serve_batches(MAX_UPLOAD_FILES="5")
    data = {name: (None, value) for name, value in {**FORM, **fields}.items() if value is not None}
    refused = api.post("/pipeline/batch", files=[*[("files", ("a.png", PNG))] * files, *data.items()])
    assert (refused.status_code, error_of(refused)["code"]) == (status, code), refused.text
    assert named in error_of(refused)["detail"]
    assert (stored(api), rows(api)) == ([], [0, 0, 0])


def test_files_that_are_refused_leave_nothing(serve_batches: Serve) -> None:
    api = serve_batches(MAX_UPLOAD_TOTAL="4096", MAX_UPLOAD_BYTES="2048")
    whole = ("files", ("a.png", PNG))
    for files, status, named in (
        ([whole, ("files", ("b.png", b"<html>"))], 422, "file 2 is no PNG"),
        ([whole, ("other", ("b.png", PNG))], 422, "expected files named 'files', read one named 'other'"),
        ([("files", ("a.png", PNG + b"x" * 1900))] * 3, 413, "an upload has at most 4096 bytes"),
        ([whole, ("files", ("a.png", PNG + b"x" * 3000))], 413, "a file has at most 2048 bytes"),
    ):
        refused = api.post("/pipeline/batch", data=FORM, files=files)
        assert (refused.status_code, named in error_of(refused)["detail"]) == (status, True), refused.text
        assert (stored(api), rows(api)) == ([], [0, 0, 0])


@pytest.mark.parametrize("allowed", [10_000, 1_000])
def test_ten_thousand_files_in_one_form(serve_batches: Serve, allowed: int) -> None:
    api = serve_batches(MAX_UPLOAD_FILES=str(allowed))
    files = [("files", ("a.png", PNG))] * (10_000 if allowed == 10_000 else 10_001)
    answer = requests.post(f"{api.url}/pipeline/batch", data=FORM, files=files, timeout=240)
    if allowed == 10_000:
        assert answer.status_code == 202, answer.text
        assert rows(api) == [1, 1000, 0]
        assert len([path for path in stored(api) if path.is_file()]) == 10_000
    else:
        assert answer.status_code == 413
        assert "an upload has at most 1000 files" in error_of(answer)["detail"]
        assert (stored(api), rows(api)) == ([], [0, 0, 0])


def test_paths_as_json(shop: Api, work: Work, tmp_path: Path) -> None:
    paths = images(tmp_path / "in", "a.png", "b.png")
    body = {
        "batch_name": "october",
        "workflow": "play",
        "file_paths": [paths[0], f"file://{paths[1]}"],
        "public_file_paths": list(reversed(paths)),
        "options": {"pages": 3},
    }
    answer = shop.post("/pipeline/batch", json=body)
    assert answer.status_code == 202, answer.text
    shop.gate.set()
    work(shop.application)
    assert ended(shop, answer.json()["data"]["context_id"])["status"] == "SUCCESS"
    assert sorted(shop.seen, key=lambda given: given["file_path"]) == [
        {"file_path": paths[0], "public_file_path": paths[1], "options": {"pages": 3}},
        {"file_path": paths[1], "public_file_path": paths[0], "options": {"pages": 3}},
    ]


def test_a_folder_as_json(shop: Api, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    images(folder, "scans/a.PNG", "scans/deep/b.pdf", "scans/notes.txt", "c.jpg")
    images(tmp_path, "secret.png")
    for prefix, pattern, count in (
        (f"file://{folder}/scans/", None, 2),
        (f"{folder}/scans", "*.txt", 1),
        (f"{folder}/scans", "deep/*", 1),
        (str(folder), None, 3),
        (f"file://{folder}/", None, 3),
    ):
        body = {"batch_name": "x", "workflow": "play", "prefix": prefix}
        answer = shop.post("/pipeline/batch", json=body | ({"pattern": pattern} if pattern else {}))
        assert answer.status_code == 202, answer.text
        assert f": {count}개" in answer.json()["data"]["message"]
    before = rows(shop)
    (folder / "scans/link.png").symlink_to(tmp_path / "secret.png")
    for prefix, code in (
        (f"{folder}/scans", "place_refused"),
        (str(tmp_path), "place_refused"),
        (f"{folder}/../", "place_refused"),
        ("/", "place_refused"),
        (shop.application.storage.url, "place_refused"),
        ("s3://elsewhere/x/", "place_refused"),
        ("http://127.0.0.1/", "place_refused"),
        (f"{folder}/empty/", "batch_invalid"),
    ):
        refused = shop.post("/pipeline/batch", json={"batch_name": "x", "workflow": "play", "prefix": prefix})
        assert refused.status_code == (422 if code == "batch_invalid" else 400), refused.text
        assert error_of(refused)["code"] == code
    assert rows(shop) == before


def test_a_prefix_on_s3_and_uploads_to_it(serve_batches: Serve, bucket: str, work: Work) -> None:
    api = serve_batches(INPUT_ROOTS=f"{bucket}/in", STORAGE_URL=f"{bucket}/storage")
    file_system = fsspec.filesystem("s3")
    names = ["in/scans/a.png", "in/scans/b.pdf", "in/scans/c.txt", "in/d.png", "secret/e.png"]
    file_system.pipe({f"{bucket}/{name}": PNG for name in names})
    for place, count in (("in/scans/", 2), ("in/scans", 2), ("in", 3)):
        body = {"batch_name": "x", "workflow": "play", "prefix": f"{bucket}/{place}"}
        answer = api.post("/pipeline/batch", json=body)
        assert answer.status_code == 202, answer.text
        assert f": {count}개" in answer.json()["data"]["message"]
    for place in ("", "secret/", "in/../secret/", "in/%2e%2e/secret/", "storage", "in-other/"):
        body = {"batch_name": "x", "workflow": "play", "prefix": f"{bucket}/{place}"}
        refused = api.post("/pipeline/batch", json=body)
        assert (refused.status_code, error_of(refused)["code"]) == (400, "place_refused"), refused.text
    answer = api.post("/pipeline/batch", data=FORM, files=[("files", ("a.png", PNG))] * 3)
    assert answer.status_code == 202, answer.text
    batch_id = answer.json()["data"]["context_id"]
    refused = api.post("/pipeline/batch", data=FORM, files=[("files", ("a.png", PNG)), ("x", ("b.png", PNG))])
    assert refused.status_code == 422
    uploaded = file_system.find(f"{bucket}/storage")
    assert len(uploaded) == 3
    assert all(path.startswith(f"{bucket[5:]}/storage/{batch_id}.upload-") for path in uploaded)
    api.gate.set()
    work(api.application)
    assert ended(api, batch_id)["status"] == "SUCCESS"


def test_json_that_is_refused_leaves_nothing(shop: Api, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (one,) = images(folder, "a.png")
    (folder / "link.png").symlink_to(one)
    (folder / "sub").mkdir()
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({}, 422, "expected file_paths or prefix"),
        ({"file_paths": [one], "prefix": str(folder)}, 422, "one of the two"),
        ({"file_paths": [one], "pattern": "*"}, 422, "pattern: expected with a prefix"),
        ({"prefix": str(folder), "public_file_paths": [one]}, 422, "public_file_paths: expected with"),
        ({"file_paths": []}, 422, "file_paths: [] should be non-empty"),
        ({"file_paths": [5]}, 422, "5 is not of type 'string'"),
        ({"file_paths": one}, 422, "is not of type 'array'"),
        ({"file_paths": [one, one]}, 422, "is named twice"),
        ({"file_paths": [one, f"file://{one}"]}, 422, "is named twice"),
        ({"file_paths": [one, f"{folder}/link.png"]}, 422, "is named twice"),
        ({"file_paths": [f"{folder}/none.png"]}, 422, "no such file"),
        ({"file_paths": [f"{folder}/sub"]}, 422, "a folder, not a file"),
        ({"file_paths": ["/etc/passwd"]}, 400, "not under the storage or INPUT_ROOTS"),
        ({"file_paths": ["a.png"]}, 400, "no absolute path"),
        ({"file_paths": [one], "public_file_paths": [one, one]}, 422, "read 2, expected one for each of 1"),
        ({"file_paths": [one], "chunk_size": 0}, 422, "chunk_size: 0 is less than the minimum"),
        ({"file_paths": [one], "chunk_size": 1_000_000}, 422, "chunk_size: 1000000"),
        ({"file_paths": [one], "window": "3"}, 422, "window: '3' is not of type 'integer'"),
        ({"file_paths": [one], "options": []}, 422, "options: [] is not of type 'object'"),
        ({"file_paths": [one], "batch_name": ""}, 422, "batch_name"),
        ({"file_paths": [one], "batch_name": "a\0b"}, 422, "no NUL"),
        ({"file_paths": [one], "workflow": "none"}, 422, "read 'none', known: play"),
        ({"file_paths": [one], "files": []}, 422, "unknown fields: 'files'"),
    ]
    for body, status, named in cases:
        refused = shop.post("/pipeline/batch", json={"batch_name": "x", "workflow": "play", **body})
        assert refused.status_code == status, (body, refused.text)
        assert named in error_of(refused)["detail"], (body, refused.text)
    assert rows(shop) == [0, 0, 0]
    keys = shop.application.board.keys
    assert shop.application.board.clients.get().zcard(keys.batches) == 0


def test_a_workflow_that_takes_other_inputs(shop: Api, tmp_path: Path) -> None:
    shop.play("strict", accepts={"type": "object", "properties": {"options": {"required": ["pages"]}}})
    body = {"batch_name": "x", "workflow": "strict", "file_paths": images(tmp_path / "in", "a.png")}
    refused = shop.post("/pipeline/batch", json=body)
    assert (refused.status_code, error_of(refused)["code"]) == (422, "input_invalid")
    assert rows(shop) == [0, 0, 0]


def test_an_idempotency_key_starts_one_batch(shop: Api, tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "october"}
    files = [("files", ("a.png", PNG))] * 3

    def upload(_: int) -> requests.Response:
        return shop.post("/pipeline/batch", data=FORM, files=files, headers=headers)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(upload, range(4)))
    body = {"batch_name": "x", "workflow": "play", "file_paths": images(tmp_path / "in", "a.png")}
    answers.append(shop.post("/pipeline/batch", json=body, headers=headers))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert "3개" in answers[0].text
    assert rows(shop) == [1, 1, 0]
    assert len([path for path in stored(shop) if path.is_file()]) == 3
    assert len([path for path in stored(shop) if path.is_dir()]) == 1


def test_a_long_list_and_its_limit(serve_batches: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    api = serve_batches(INPUT_ROOTS=f"file://{folder}", MAX_BATCH_BYTES="1500000")
    paths = images(folder, *(f"{number:05}{'-' * 60}.png" for number in range(10_000)))
    body = {"batch_name": "x", "workflow": "play", "file_paths": paths}
    assert len(json.dumps(body)) > api.application.settings.max_body_bytes
    answer = api.post("/pipeline/batch", json=body)
    assert answer.status_code == 202, answer.text
    assert rows(api) == [1, 1000, 0]
    too_long = api.post("/pipeline/batch", json={**body, "file_paths": paths * 2})
    assert (too_long.status_code, error_of(too_long)["code"]) == (413, "too_large")


@pytest.mark.parametrize("place", ["s3", "file"])
def test_a_storage_that_takes_nothing(
    request: pytest.FixtureRequest, serve_batches: Serve, place: str
) -> None:
    if place == "s3":
        request.getfixturevalue("bucket")
    url = "s3://no-such-bucket-here/storage" if place == "s3" else "file:///dev/null/storage"
    api = serve_batches(STORAGE_URL=url)
    for size in (10, 600_000):
        refused = api.post("/pipeline/batch", data=FORM, files=[("files", ("a.png", PNG + b"x" * size))])
        assert (refused.status_code, error_of(refused)["code"]) == (503, "unavailable"), refused.text
        assert error_of(refused)["detail"].startswith("the storage does not answer")
    assert rows(api) == [0, 0, 0]


def test_without_redis_nothing_is_left(private_redis: Any, serve_batches: Serve, tmp_path: Path) -> None:
    api = serve_batches(REDIS_URL=f"{private_redis.url}/0")
    private_redis.kill()
    refused = api.post("/pipeline/batch", data=FORM, files=[("files", ("a.png", PNG))])
    assert (refused.status_code, error_of(refused)["code"]) == (503, "unavailable")
    assert (stored(api), rows(api)) == ([], [0, 0, 0])


def test_only_keys_that_may_start_do(serve_batches: Serve) -> None:
    reader, starter = "r" * 16, "s" * 16
    api = serve_batches(API_KEYS=f"{reader}:read,{starter}:start")
    files = [("files", ("a.png", PNG))]
    for key, status in (("", 401), (reader, 403), (starter, 202)):
        headers = {"X-API-Key": key} if key else {}
        assert api.post("/pipeline/batch", data=FORM, files=files, headers=headers).status_code == status
