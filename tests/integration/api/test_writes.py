"""What changes chains: start with JSON and with a file, resume, revoke."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from api_server import PNG, Api, error_of
from dramatiq import Worker

from api.kinds import kind_of

Work = Callable[..., Worker]
Serve = Callable[..., Api]
ACCEPTS = {
    "type": "object",
    "properties": {"file_path": {"type": "string"}, "pages": {"type": "integer"}},
    "required": ["file_path"],
    "additionalProperties": False,
}


def stored(api: Api) -> list[Path]:
    root = Path(api.application.storage.url.removeprefix("file://"))
    return [path for path in root.rglob("*") if path.is_file()]


def test_start_with_json(api: Api, work: Work) -> None:
    api.play()
    answer = api.post("/pipeline", json={"workflow": "play", "input": {"page": 1}})
    assert answer.status_code == 202
    body = answer.json()
    chain_id = body["chain_id"]
    assert body["success"] is True
    assert body["data"] == {"chain_id": chain_id, "workflow": "play"}
    assert body["message"] == "파이프라인 시작됨: play"
    assert answer.headers["Location"] == f"{api.url}/pipeline/status/{chain_id}"
    assert requests.get(answer.headers["Location"], timeout=60).json()["status"] == "PENDING"
    work(api.application)
    api.gate.set()
    api.reaches(chain_id, "SUCCESS")
    assert api.seen == [{"page": 1}]
    record = api.application.ledger.read_chain(chain_id)
    assert record is not None
    assert record.chain.initiated_by == "api_server"


def test_start_under_an_id_of_ones_own(api: Api) -> None:
    api.play()
    body = {"workflow": "play", "chain_id": "20251105_1430_우주여행고양이"}
    answer = api.post("/pipeline", json=body)
    assert answer.json()["chain_id"] == body["chain_id"]
    assert requests.get(answer.headers["Location"], timeout=60).json()["chain_id"] == body["chain_id"]
    again = api.post("/pipeline", json=body)
    assert (again.status_code, error_of(again)["code"]) == (409, "chain_state")


def test_an_idempotency_key_starts_once(api: Api) -> None:
    api.play()
    headers = {"Idempotency-Key": "order-17"}
    answers = [
        api.post("/pipeline", json={"workflow": "play", "input": {}}, headers=headers) for _ in range(3)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["chain_id"] for answer in answers}) == 1
    form = {"workflow": "play"}
    upload = api.post("/pipeline", data=form, files={"file": ("a.png", PNG)}, headers=headers)
    assert upload.json()["chain_id"] == answers[0].json()["chain_id"]
    assert not stored(api)
    assert len(api.get("/pipeline/history").json()) == 1
    refused = api.post("/pipeline", json={"workflow": "play"}, headers={"Idempotency-Key": "k" * 256})
    assert error_of(refused)["code"] == "bad_request"


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"workflow": "nothing"}, 422, "unknown_workflow", "'nothing'"),
        ({}, 422, "body_invalid", "'workflow' is a required property"),
        ({"workflow": "play", "inptu": {}, "x": 1}, 422, "body_invalid", "unknown fields: 'inptu', 'x'"),
        ({"workflow": 5}, 422, "body_invalid", "workflow: 5 is not of type 'string'"),
        ({"workflow": "x" * 9000}, 422, "body_invalid", "xx' is too long"),
        ({"workflow": "play", "chain_id": "../x"}, 422, "body_invalid", "chain_id"),
        ([], 422, "body_invalid", "the whole: [] is not of type 'object'"),
        ({"workflow": "strict", "input": {}}, 422, "input_invalid", "'file_path' is a required property"),
        ({"workflow": "strict", "input": {"pages": "x"}}, 422, "input_invalid", ""),
    ],
)
def test_what_does_not_fit_is_named(api: Api, body: Any, status: int, code: str, named: str) -> None:
    api.play()
    api.play("strict", accepts=ACCEPTS)
    refused = api.post("/pipeline", json=body)
    assert (refused.status_code, error_of(refused)["code"]) == (status, code)
    assert named in error_of(refused)["detail"]


def test_unknown_fields_of_an_input_are_named(api: Api, tmp_path: Path) -> None:
    api.play("strict", accepts=ACCEPTS)
    place = f"{api.application.storage.url}/a.png"
    refused = api.post("/pipeline", json={"workflow": "strict", "input": {"file_path": place, "colour": 1}})
    assert refused.status_code == 422
    assert "unknown fields: 'colour' (known: file_path, pages)" in error_of(refused)["detail"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"workflow": NaN}', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"workflow": ' + b"1" * 5000 + b"}", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"workflow=play", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"", {}, 422),
        (b"x", {"Content-Type": "multipart/form-data"}, 400),
        (b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 400),
    ],
)
def test_bodies_that_cannot_be_read(api: Api, body: bytes, headers: dict[str, str], status: int) -> None:
    refused = api.post("/pipeline", data=body, headers={"Content-Type": "application/json", **headers})
    assert refused.status_code == status
    error_of(refused)


def test_a_body_too_large(serve: Serve) -> None:
    api = serve(MAX_BODY_BYTES="2048")

    def trickle() -> Iterator[bytes]:  # of no announced length
        for _ in range(100):
            yield b" " * 100

    headers = {"Content-Type": "application/json"}
    for data in (b" " * 2049, trickle()):
        refused = api.post("/pipeline", data=data, headers=headers)
        assert (refused.status_code, error_of(refused)["code"]) == (413, "too_large")


def test_start_with_a_file(api: Api, work: Work) -> None:
    api.play("strict", accepts=ACCEPTS)
    work(api.application)
    api.gate.set()
    content = PNG + b"x" * 700_000
    answer = api.post(
        "/pipeline",
        data={"workflow": "strict", "input": json.dumps({"pages": 2})},
        files={"file": ("../../etc/passwd", content, "text/html")},
    )
    assert answer.status_code == 202, answer.text
    chain_id = answer.json()["chain_id"]
    api.reaches(chain_id, "SUCCESS")
    (given,) = api.seen
    assert given == {"pages": 2, "file_path": f"{api.application.storage.url}/{chain_id}/upload-1.png"}
    assert Path(given["file_path"].removeprefix("file://")).read_bytes() == content
    assert len(stored(api)) == 1


@pytest.mark.parametrize(
    ("files", "fields", "status", "code"),
    [
        ([("file", ("a.png", b"<html>"))], {}, 422, "file_refused"),
        ([("file", ("a.png", b""))], {}, 422, "file_refused"),
        ([("file", ("a.png", PNG + b"x" * 5000))], {}, 413, "too_large"),
        ([("file", ("a.png", PNG)), ("file", ("b.png", PNG))], {}, 422, "body_invalid"),
        ([("file", ("a.png", PNG))] * 4, {}, 413, "too_large"),
        ([("file", ("a.png", PNG))], {"workflow": "none"}, 422, "unknown_workflow"),
        ([("file", ("a.png", PNG))], {"colour": "red"}, 422, "body_invalid"),
        ([("file", ("a.png", PNG))], {"input": "[]"}, 422, "body_invalid"),
        ([("file", ("a.png", PNG))], {"input": "{"}, 400, "body_invalid"),
        ([("file", ("a.png", PNG))], {"input": '{"file_path": "/etc/passwd"}'}, 400, "place_refused"),
        ([("other", ("a.png", PNG))], {}, 422, "body_invalid"),
    ],
)
def test_uploads_that_are_refused_leave_nothing(
    serve: Serve, files: Any, fields: dict[str, str], status: int, code: str
) -> None:
    api = serve(MAX_UPLOAD_BYTES="4096", MAX_UPLOAD_FILES="3")
    api.play()
    refused = api.post("/pipeline", data={"workflow": "play", **fields}, files=files)
    assert (refused.status_code, error_of(refused)["code"]) == (status, code)
    assert not stored(api)
    assert api.get("/pipeline/history").json() == []


def test_the_total_of_an_upload_is_bounded(serve: Serve) -> None:
    api = serve(MAX_UPLOAD_TOTAL="4096")
    api.play()
    files = [("file", ("a.png", PNG + b"x" * 3000))] * 2
    refused = api.post("/pipeline", data={"workflow": "play"}, files=files)
    assert refused.status_code == 413
    assert not stored(api)


def test_kinds_are_known_by_their_first_bytes() -> None:
    folder = Path(__file__).resolve().parents[3] / "samples"
    kinds = {path.suffix: kind_of(path.read_bytes()) for path in folder.iterdir() if path.suffix != ".py"}
    assert {
        suffix: kind for suffix, kind in kinds.items() if suffix in (".png", ".jpg", ".pdf", ".json")
    } == {
        ".png": "png",
        ".jpg": "jpg",
        ".pdf": "pdf",
        ".json": None,
    }
    assert kind_of(b"II*\0....") == kind_of(b"MM\0*....") == "tiff"


def test_revoke_and_resume(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    chain_id = api.start()
    api.reaches(chain_id, "STARTED")

    early = api.post(f"/pipeline/{chain_id}/resume")
    assert (early.status_code, error_of(early)["code"]) == (409, "chain_state")
    assert chain_id in error_of(early)["detail"]

    revoked = api.post(f"/pipeline/{chain_id}/revoke", json={"reason": "no longer wanted"})
    assert revoked.status_code == 202, revoked.text
    assert revoked.json()["data"]["chain_id"] == chain_id
    assert api.reaches(chain_id, "REVOKED")["error_message"] == "no longer wanted"
    again = api.post(f"/pipeline/{chain_id}/revoke")
    assert again.status_code == 409
    assert error_of(again)["data"] == {"status": "REVOKED"}

    api.gate.set()
    resumed = api.post(f"/pipeline/{chain_id}/resume")
    assert resumed.status_code == 202, resumed.text
    assert resumed.json()["data"]["chain_id"] == chain_id
    assert resumed.headers["Location"].endswith(f"/pipeline/status/{chain_id}")
    api.reaches(chain_id, "SUCCESS")
    from_start = api.post(f"/pipeline/{chain_id}/resume", json={"from_stage": 3})
    assert from_start.json()["data"]["resumed_from"] == 3

    for path in ("/pipeline/nobody/resume", "/pipeline/nobody/revoke", "/pipeline/a:b/revoke"):
        unknown = api.post(path)
        assert (unknown.status_code, error_of(unknown)["detail"]) == (404, "Chain not found")
    for body in ({"from_stage": 0}, {"stage": 1}, {"from_stage": "2"}):
        assert api.post(f"/pipeline/{chain_id}/resume", json=body).status_code == 422
