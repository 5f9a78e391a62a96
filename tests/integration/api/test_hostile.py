"""Rough clients: what no client library would send, and what stops half-way."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

import pytest
from api_server import PNG, Api, error_of

from api import bodies

FORM = "Content-Type: multipart/form-data; boundary=X"
JSON = "Content-Type: application/json"


def ask(
    api: Api, line: str, *headers: str, body: bytes = b"", ends: bool = False
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer to a request that is sent as it stands.

    Parameters:
        ends: whether the client says after the body that nothing more will come.
    """
    with socket.create_connection(("127.0.0.1", api.port), 10) as connection:
        head = "\r\n".join((f"{line} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers))
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    if not answer:
        return 0, {}
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("path", ["/pipeline", "/pipeline/batch"])
def test_a_part_whose_name_is_no_text(api: Api, path: str) -> None:
    body = b"--X\r\nContent-Disposition: form-data; name=\xff\xfe\r\n\r\nx\r\n--X--\r\n"
    status, refusal = ask(api, f"POST {path}", FORM, f"Content-Length: {len(body)}", body=body)
    assert (status, refusal["code"]) == (400, "body_invalid")
    assert "not UTF-8" in refusal["detail"]


def test_half_a_surrogate_pair_is_no_place(api: Api) -> None:
    place = f"{api.application.storage.folder('one').url.removeprefix('file://')}/\ud800.png"
    for answer in (
        api.post("/pipeline", json={"workflow": "play", "input": {"file_path": place}}),
        api.post("/pipeline/batch", json={"batch_name": "october", "file_paths": [place]}),
    ):
        if answer.status_code != 422:  # no such workflow here: nothing was looked at
            assert (answer.status_code, error_of(answer)["code"]) == (400, "place_refused")
    assert answer.status_code == 400


def test_a_reason_may_hold_whatever_json_may(api: Api) -> None:
    api.play()
    chain_id = api.start()
    answer = api.post(f"/pipeline/{chain_id}/revoke", json={"reason": "rain\ud800 \0stopped play"})
    assert answer.status_code == 202
    told = api.reaches(chain_id, "REVOKED")
    assert told["error_message"] == "rain\ufffd \ufffdstopped play"
    unknown = api.post("/pipeline/batch/unknown/revoke", json={"reason": "\ud800"})
    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "batch_not_found")


@pytest.mark.parametrize("name", ["a" * 256, "각" * 86, "a/" * 250 + "a"])
def test_a_name_that_no_file_system_takes_is_no_file(api: Api, name: str) -> None:
    api.application.storage.folder("one").write_bytes("a.csv", b"x")
    answer = api.get(f"/pipeline/one/files/{name}")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "file_not_found")


def test_a_body_that_is_cut_off_is_not_taken_for_a_whole_one(api: Api) -> None:
    api.play()
    chain_id = api.start()
    sent = (JSON, "Content-Length: 20")
    ask(api, f"POST /pipeline/{chain_id}/revoke", *sent, body=b"{} ", ends=True)
    # Answered or not, nobody reads it; what counts is that nothing was revoked.
    assert ask(api, f"POST /pipeline/{chain_id}/resume", JSON, "Content-Length: 2", body=b"{}")[0] == 409
    assert api.get(f"/pipeline/status/{chain_id}").json()["status"] == "PENDING"


def test_a_body_that_does_not_come_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)
    status, refusal = ask(api, "POST /pipeline", JSON, "Content-Length: 100", body=b'{"workflow":')
    assert (status, refusal["code"]) == (408, "too_slow")
    part = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
    for path in ("/pipeline", "/pipeline/batch"):
        for body in (part, b"--X\r\nContent-Disp"):
            status, refusal = ask(api, f"POST {path}", FORM, "Content-Length: 9000", body=body)
            assert (status, refusal["code"]) == (408, "too_slow")


def test_a_line_of_the_log_is_one_request(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "callboard.api")
    api.get("/nowhere/%0d%0aall%20is%20well%00%1b[2J" + "a" * 5000)
    api.get("/pipeline/history?limit=%0aall")
    lines = [record.getMessage() for record in caplog.records if record.name == "callboard.api"]
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < 2500 for line in lines), lines


def test_what_is_not_there_says_what_is(api: Api) -> None:
    assert "/openapi.json" in error_of(api.get("/nowhere"))["detail"]
    refused = api.post("/health")
    assert (refused.status_code, "GET" in error_of(refused)["detail"]) == (405, True)


def test_a_part_of_a_file_that_may_have_changed_is_the_whole(api: Api) -> None:
    api.application.storage.folder("one").write_bytes("a.csv", b"1,2,3")
    headers = {"Range": "bytes=0-1", "If-Range": '"of-another-day"'}
    answer = api.get("/pipeline/one/files/a.csv", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"1,2,3")
    documented = api.get("/openapi.json").json()["paths"]["/pipeline/{chain_id}/files/{name}"]["get"]
    assert set(documented["responses"]["200"]["content"]) == {"*/*"}
