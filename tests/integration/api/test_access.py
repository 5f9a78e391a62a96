"""Who may come in, and which files an input may name."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from api_server import Api, error_of

from api.auth import Access, Role, digest

Serve = Callable[..., Api]
READ, START, OPERATE = "reader-reader-reader", "starter-starter-start", "operator-operator-op"
KEYS = {"API_KEYS": f"{READ}:read,{START}:start,{OPERATE}:operate"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "path",
    [
        "/pipeline/history",
        "/pipeline/status/x",
        "/api/v1/tasks/ai-pipeline/x/tasks",
        "/api/v1/tasks/ai-pipeline/x/stage/1",
        "/api/v1/jobs/x/",
        "/media/videos/x/",
        "/pipeline/batch",
        "/pipeline/batch/x",
        "/pipeline/batch/x/items",
        "/pipeline/batch/x/statistics",
        "/pipeline/batch/statistics",
        "/api/runs/x",
        "/api/runs/x/events",
        "/workflows",
        "/metrics",
    ],
)
def test_every_read_needs_a_key(serve: Serve, path: str) -> None:
    api = serve(**KEYS)
    for headers in ({}, bearer("wrong"), {"X-API-Key": ""}, {"Authorization": f"Basic {READ}"}):
        refused = api.get(path, headers=headers)
        assert (refused.status_code, error_of(refused)["code"]) == (401, "unauthorized")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert api.get(f"{path}?api_key={READ}").status_code == 401
    assert api.get(path, headers=bearer(READ)).status_code in (200, 404)
    assert api.get(path, headers={"X-API-Key": READ}).status_code in (200, 404)


def test_what_everyone_may_see(serve: Serve) -> None:
    api = serve(**KEYS)
    for path in ("/health", "/ready", "/openapi.json", "/docs", "/docs/static/swagger-ui-bundle.js"):
        assert api.get(path).status_code == 200


def test_roles(serve: Serve) -> None:
    api = serve(**KEYS)
    api.play()
    body = {"workflow": "play"}
    refused = api.post("/pipeline", json=body, headers=bearer(READ))
    assert refused.status_code == 403
    assert "needs the role start, the key has read" in error_of(refused)["detail"]
    started = api.post("/pipeline", json=body, headers=bearer(START))
    assert started.status_code == 202
    chain_id = started.json()["chain_id"]
    for word in ("revoke", "resume"):
        assert api.post(f"/pipeline/{chain_id}/{word}", headers=bearer(START)).status_code == 403
        assert api.post(f"/pipeline/{chain_id}/{word}", headers=bearer(OPERATE)).status_code == 202


def test_a_token_opens_one_run_for_a_while(serve: Serve) -> None:
    api = serve(**KEYS)
    api.play()
    chain_id = api.post("/pipeline", json={"workflow": "play"}, headers=bearer(START)).json()["chain_id"]
    assert api.post(f"/api/runs/{chain_id}/token").status_code == 401
    made = api.post(f"/api/runs/{chain_id}/token", headers=bearer(READ))
    assert made.status_code == 200
    token = quote(made.json()["data"]["token"])
    assert api.get(f"/api/runs/{chain_id}?token={token}").status_code == 200
    assert api.get(f"/api/runs/other?token={token}").status_code == 401
    assert api.get(f"/pipeline/status/{chain_id}?token={token}").status_code == 401
    assert api.get(f"/api/runs/{chain_id}?token={token}x").status_code == 401


def test_tokens() -> None:
    access = Access([(digest(READ), "read")])
    other = Access([(digest(START), "read")])
    token = access.sign_token("런", Role.READ, ttl=60)
    read = access.read_token(token)
    assert read is not None
    assert (read.run_id, read.role) == ("런", Role.READ)
    assert time.time() < read.expires <= time.time() + 60
    assert other.read_token(token) is None
    assert access.read_token(access.sign_token("런", ttl=-1)) is None
    for text in ("", ".", "x.y", token[:-1], f"A{token}", "\udcff.\udcff", "가.나", "a" * 5000):
        assert access.read_token(text) is None
    shared = Access([], signing_secret="s" * 16)
    assert Access([(digest(READ), "read")], signing_secret="s" * 16).read_token(shared.sign_token("r"))


def test_without_keys_other_names_and_pages_stay_out(api: Api) -> None:
    assert api.get("/workflows").status_code == 200
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[bad"):
        refused = api.get("/workflows", headers={"Host": host})
        assert refused.status_code in (400, 403)
    elsewhere = api.post("/pipeline", json={}, headers={"Origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    own = api.post("/pipeline", json={}, headers={"Origin": api.url})
    assert own.status_code == 422
    forwarded = api.get("/workflows", headers={"X-Forwarded-For": "203.0.113.7"})
    assert forwarded.status_code == 403


def test_pages_of_elsewhere_by_setting(serve: Serve) -> None:
    page = "https://board.example"
    api = serve(CORS_ORIGINS=page, **KEYS)
    answer = api.get("/workflows", headers={**bearer(READ), "Origin": page})
    assert answer.headers["Access-Control-Allow-Origin"] == page
    assert "Access-Control-Allow-Origin" not in api.get("/health", headers={"Origin": "https://evil"}).headers
    import requests  # noqa: PLC0415

    asked = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = requests.options(f"{api.url}/pipeline", headers=asked, timeout=60)
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()


def test_errors_carry_an_id_that_is_in_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="callboard.api"):
        given = api.get("/nowhere", headers={"X-Request-ID": "order-17"})
        made = api.get("/nowhere", headers={"X-Request-ID": "bad\tid{}"})
    assert error_of(given)["request_id"] == "order-17"
    assert len(error_of(made)["request_id"]) == 32
    for answer in (given, made):
        assert answer.headers["X-Request-ID"] in caplog.text
    wrong = api.post("/workflows")
    assert (wrong.status_code, error_of(wrong)["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["Allow"]


def test_a_bug_is_500_without_its_trace(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise KeyError("s3cret")

    monkeypatch.setattr(type(api.application.ledger), "read_chain", stumble)
    refused = api.get("/pipeline/status/x")
    assert refused.status_code == 500
    assert error_of(refused)["code"] == "internal_error"
    assert "s3cret" not in refused.text
    assert "s3cret" in caplog.text
    assert error_of(refused)["request_id"] in caplog.text


@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd",
        "{root}/../secret.png",
        "{root}/a/../../secret.png",
        "{root}",
        "{root}-beside/a.png",
        "{root}/link/secret.png",
        "{root}/link.png",
        "relative.png",
        "~/a.png",
        "",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "file:/etc/passwd",
        "file://server/share/a.png",
        "file:////server/share/a.png",
        "local:///etc/passwd",
        "//server/share/a.png",
        "\\\\server\\share\\a.png",
        "C:\\a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:6379/",
        "https://example.com/a.png",
        "s3://other/a.png",
        "s3://bucket/in/../other/a.png",
        "s3://bucket/in/%2e%2e/a.png",
        "s3://bucket/in/a.png?x=1",
        "s3://bucket/in",
        "s3://bucket/inside/a.png",
        "simplecache::file:///etc/passwd",
        "{root}/a::file:///etc/passwd",
        "{root}/file:///etc/passwd",
        "data:text/plain,x",
        "{root}/a\0.png",
        "{root}/a\n.png",
    ],
)
def test_places_that_are_refused(serve: Serve, tmp_path: Path, place: str) -> None:
    root, outside = tmp_path / "in", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (tmp_path / "secret.png").touch()
    (outside / "secret.png").touch()
    (root / "link").symlink_to(outside)
    (root / "link.png").symlink_to(outside / "secret.png")
    api = serve(INPUT_ROOTS=f"{root},s3://bucket/in")
    api.play()
    named = place.format(root=root)
    for data in (
        {"file_path": named},
        {"pages": [{"file_path": named}]},
        {"file_paths": [named]},
    ):
        refused = api.post("/pipeline", json={"workflow": "play", "input": data})
        assert (refused.status_code, error_of(refused)["code"]) == (400, "place_refused")
    assert api.get("/pipeline/history").json() == []


def test_places_that_are_taken(serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.png").touch()
    os.symlink(root / "a.png", root / "b.png")
    api = serve(INPUT_ROOTS=f"{root},s3://bucket/in")
    api.play()
    storage = api.application.storage.url
    expected = {
        f"{root}/a.png": f"{root}/a.png",
        f"file://{root}/a.png": f"{root}/a.png",
        f"{root}/b.png": f"{root}/a.png",
        f"{root}/한글 파일.png": f"{root}/한글 파일.png",
        f"{storage}/x/a.png": f"{storage}/x/a.png".removeprefix("file://"),
        "s3://bucket/in/deep/a.png": "s3://bucket/in/deep/a.png",
    }
    for place, handed_on in expected.items():
        chain_id = api.start(file_path=place)
        record = api.application.ledger.read_chain(chain_id)
        assert record is not None
        assert record.chain.input_data == {"file_path": handed_on}
