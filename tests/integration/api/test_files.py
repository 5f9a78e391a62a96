"""The files of a chain: these and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from api_server import Api, error_of

Serve = Callable[..., Api]


def folder_of(api: Api, chain_id: str) -> Path:
    return Path(api.application.storage.folder(chain_id).url.removeprefix("file://"))


def test_a_file_and_parts_of_it(api: Api) -> None:
    content = bytes(range(256)) * 3000
    api.application.storage.folder("one").write_bytes("결과.xlsx", content)
    answer = api.get("/pipeline/one/files/결과.xlsx")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
    assert answer.headers["Content-Disposition"].endswith("filename*=UTF-8''%EA%B2%B0%EA%B3%BC.xlsx")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for wanted, part in (
        ("bytes=0-9", content[:10]),
        ("bytes=700000-", content[700_000:]),
        ("bytes=-5", content[-5:]),
        ("bytes=767999-9999999", content[-1:]),
    ):
        answer = api.get("/pipeline/one/files/결과.xlsx", headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (206, part), wanted
    assert answer.headers["Content-Range"] == "bytes 767999-767999/768000"
    past = api.get("/pipeline/one/files/결과.xlsx", headers={"Range": "bytes=768000-"})
    assert past.status_code == 416
    assert past.headers["Content-Range"] == "bytes */768000"
    error_of(past)


def test_what_a_browser_shows_and_what_it_saves(api: Api) -> None:
    folder = api.application.storage.folder("one")
    for name, kind, shown in (
        ("map.png", "image/png", "inline"),
        ("hls/720p/0001.ts", "video/mp2t", "inline"),
        ("page.html", "application/octet-stream", "attachment"),
        ("drawing.svg", "application/octet-stream", "attachment"),
        ("empty.jsonl", "application/x-ndjson", "attachment"),
    ):
        folder.write_bytes(name, b"" if name.startswith("empty") else b"x")
        answer = api.get(f"/pipeline/one/files/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Content-Disposition"].startswith(shown)


@pytest.mark.parametrize(
    "path",
    [
        "one/files/nothing.png",
        "one/files/sub",
        "one/files/sub/",
        "one/files//a.png",
        "one/files/.hidden",
        "one/files/../two/a.png",
        "one/files/..%2Ftwo%2Fa.png",
        "one/files/%2e%2e/two/a.png",
        "one/files/sub/..%2f..%2ftwo/a.png",
        "one/files/..%5Ctwo%5Ca.png",
        "one/files/link.png",
        "one/files/linked/a.png",
        "one/files/%2Fetc%2Fpasswd",
        "one/files/a.png%00.txt",
        "../files/a.png",
        "%2e%2e/files/a.png",
        "three/files/a.png",
    ],
)
def test_nothing_else_is_given(api: Api, path: str) -> None:
    for chain in ("one", "two"):
        api.application.storage.folder(chain).write_bytes("a.png", b"x")
    own = folder_of(api, "one")
    (own / "sub").mkdir()
    (own / ".hidden").write_text("x")
    (own / "link.png").symlink_to(folder_of(api, "two") / "a.png")
    (own / "linked").symlink_to(folder_of(api, "two"))
    answer = raw_get(api, f"/pipeline/{path}")
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    assert b"\r\n\r\nx" not in answer


def raw_get(api: Api, path: str) -> bytes:
    """The answer to a path that is sent as it stands; a client would tidy it."""
    import socket  # noqa: PLC0415

    with socket.create_connection(("127.0.0.1", api.port), 10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer


def test_it_needs_a_key_where_there_are_keys(serve: Serve) -> None:
    api = serve(API_KEYS="read-key-of-the-test:read")
    api.application.storage.folder("one").write_bytes("a.png", b"x")
    assert api.get("/pipeline/one/files/a.png").status_code == 401
    headers = {"X-API-Key": "read-key-of-the-test"}
    assert api.get("/pipeline/one/files/a.png", headers=headers).content == b"x"


def test_a_storage_that_is_no_folder(serve: Serve) -> None:
    api = serve(STORAGE_URL="memory://files-of-chains")
    api.application.storage.folder("one").write_bytes("a/b.csv", b"x,y")
    answer = api.get("/pipeline/one/files/a/b.csv")
    assert (answer.content, answer.headers["Content-Type"]) == (b"x,y", "text/csv; charset=utf-8")
    assert api.get("/pipeline/one/files/c.csv").status_code == 404
