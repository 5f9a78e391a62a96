"""Started by the command line, by HTTP and by Python, with what existing readers see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_server import error_of, serving
from chains import ended
from mail_server import MailServer
from messaging_posts import SENDER, SUBJECT, TEXT, Post, people
from shell import Shell

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.fixture
def shell(redis_url: str, tmp_path: Path, mails: MailServer) -> Iterator[Shell]:
    url = f"smtp://127.0.0.1:{mails.port}"
    shell = Shell(tmp_path, REDIS_URL=redis_url, SMTP_URL=url, SMTP_FROM=SENDER, WORKFLOWS="")
    assert shell.call("migrate").returncode == 0
    yield shell
    shell.clear()


@pytest.mark.parametrize(("name", "sent"), [("recipients.csv", 6), ("recipients.jsonl", 3)])
def test_by_the_command_line(shell: Shell, mails: MailServer, name: str, sent: int) -> None:
    options = {"subject": "Call for {name}", "text": "{name} ({role}): at {call}.", "success_threshold": 0.8}
    document = json.dumps({"options": options})
    file = str(SAMPLES / name)
    lines = shell.json_lines("run", "messaging_workflow", "--file", file, "--input", document)
    assert lines[-1]["final_result"]["sent"] == sent
    assert sum(mails.count().values()) == sent
    subjects = [str(mail["Subject"]) for mail in mails.mails]
    assert "Call for 김민수" in subjects
    assert ("Your flowers" in subjects) == (name == "recipients.jsonl")


def test_by_http_and_as_a_job(post: Post, mails: MailServer) -> None:
    with serving(post.application) as api:
        document = {
            "messages": people("a@example.com", "b@example.com"),
            "options": {"subject": SUBJECT, "text": TEXT},
        }
        started = api.post("/pipeline", json={"workflow": "messaging_workflow", "input": document})
        assert started.status_code == 202, started.text
        chain_id = started.json()["chain_id"]
        ended(post.application, chain_id, 60)
        assert api.reaches(chain_id, "SUCCESS")["completed_tasks"] == 3
        job = api.get(f"/api/v1/jobs/{chain_id}/").json()
        assert (job["status"], job["progress"], job["result"]["sent"]) == ("DONE", 100, 2)
        client = post.application.board.clients.get()
        told = client.get(f"job:{chain_id}:progress")
        assert json.loads(told or b"{}")["progress"] == 100
        assert mails.count() == {"a@example.com": 1, "b@example.com": 1}


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({"options": {}}, "is not valid"),
        ({"messages": [{"name": "Kim"}]}, "'to' is a required property"),
        ({"messages": people("a@x.kr"), "options": {"smtp_url": "smtp://evil"}}, "smtp_url"),
        ({"messages": people("a@x.kr"), "options": {"per_second": 0}}, "per_second"),
        ({"messages": people("a@x.kr") * 1001}, "messages: "),
    ],
)
def test_what_http_refuses(build_post: Callable[..., Post], document: dict[str, object], detail: str) -> None:
    with serving(build_post(with_worker=False).application) as api:
        answer = api.post("/pipeline", json={"workflow": "messaging_workflow", "input": document})
        assert answer.status_code == 422
        assert detail in error_of(answer)["detail"]
