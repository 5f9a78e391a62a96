"""A webhook and files, and lists that come as files."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from chains import ended
from messaging_posts import Post, as_lines, many, people
from waiting import wait_until

from actors.batches import chunks
from actors.batches.start import start_batch_pipeline
from actors.batches.status import batch_status
from actors.control import resume

Build = Callable[..., Post]


@dataclass
class Hook:
    """A webhook that answers as the address says; what it has accepted, by header and body.

    Attributes:
        answers: the status for an address, in turn; 200 where there is none left.
    """

    port: int = 0
    answers: dict[str, list[int]] = field(default_factory=dict)
    accepted: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    connections: int = 0


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            hook.connections += 1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.asked[body["to"]] += 1
            waiting = hook.answers.get(body["to"], [])
            status = waiting.pop(0) if waiting else 200
            if status == 0:
                self.close_connection = True
                hook.accepted.append((dict(self.headers), body))
                return
            if status == 200:
                hook.accepted.append((dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hook
        server.shutdown()
        thread.join()


def test_a_webhook(build_post: Build, hook: Hook) -> None:
    post = build_post(WEBHOOK_URL=f"http://127.0.0.1:{hook.port}/in?x=1", WEBHOOK_TOKEN="t0ken")
    hook.answers = {"@busy": [503, 429], "@gone": [410], "@lost": [0]}
    chain = post.send(people("@kim", "@busy", "@gone", "@lost"), transport="webhook", success_threshold=0.7)
    assert chain.status == "SUCCESS", chain.error
    assert hook.asked == {"@kim": 1, "@busy": 3, "@gone": 1, "@lost": 2}
    assert post.statuses(chain.chain_id) == {
        "@kim": "sent",
        "@busy": "sent",
        "@gone": "failed",
        "@lost": "sent",
    }
    headers, body = hook.accepted[0]
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Idempotency-Key"] == body["id"]
    assert (body["to"], body["subject"]) == ("@kim", "Hello ")
    keys = [headers["Idempotency-Key"] for headers, body in hook.accepted if body["to"] == "@lost"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_webhook_keeps_its_connection(build_post: Build, hook: Hook) -> None:
    post = build_post(WEBHOOK_URL=f"http://127.0.0.1:{hook.port}/")
    assert post.send(many(30), transport="webhook").status == "SUCCESS"
    assert hook.connections == 1


def test_a_webhook_with_a_wrong_token_fails_at_once(build_post: Build, hook: Hook) -> None:
    post = build_post(WEBHOOK_URL=f"http://127.0.0.1:{hook.port}/")
    hook.answers = {"@kim": [401]}
    chain = post.send(people("@kim", "@lee"), transport="webhook")
    assert (chain.status, hook.asked) == ("FAILURE", {"@kim": 1})
    assert "WEBHOOK_URL or WEBHOOK_TOKEN is wrong: the answer was 401" in chain.error
    resume(chain.chain_id, application=post.application)
    assert ended(post.application, chain.chain_id).status == "SUCCESS"
    assert hook.asked == {"@kim": 2, "@lee": 1}


def test_files_in_the_chains_folder(build_post: Build, tmp_path: Path) -> None:
    post = build_post(SMTP_FROM="club@example.com")
    listed = tmp_path / "people.csv"
    listed.write_text(
        "email,name,hour\nkim@example.com,김민수,7\nbad address,x,1\n\nlee@example.com,이,8\n", "cp949"
    )
    chain = post.send(listed, transport="file", success_threshold=0.6)
    assert chain.status == "SUCCESS", chain.error
    assert (chain.final_result["sent"], chain.final_result["rejected"]) == (2, 1)
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in (tmp_path / "storage" / chain.chain_id / "mails").iterdir()
    ]
    assert {str(mail["Subject"]) for mail in mails} == {"Hello 김민수", "Hello 이"}
    rows = post.report(chain.chain_id)["rows"]
    assert [(row["row"], row["status"]) for row in rows] == [(1, "sent"), (2, "rejected"), (3, "sent")]
    assert rows[1]["reply"] == "address 'bad address' is no address such as kim@example.com"


def test_a_batch_of_lists(build_post: Build, tmp_path: Path) -> None:
    post = build_post(SMTP_FROM="club@example.com")
    paths = []
    for number in range(3):
        path = tmp_path / f"list-{number}.jsonl"
        path.write_text(as_lines(people(f"a{number}@example.com", f"b{number}@example.com")))
        paths.append(str(path))
    chunks.declare(post.application.broker)
    batch_id = start_batch_pipeline(
        "lists",
        paths,
        options={"subject": "Hi {name}", "text": "at {hour}", "transport": "file"},
        workflow="messaging_workflow",
        application=post.application,
    )
    wait_until(lambda: batch_status(batch_id, application=post.application).status == "SUCCESS", 30)
    assert len(list((tmp_path / "storage").rglob("*.eml"))) == 6
