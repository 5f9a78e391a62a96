"""The light client, as another application uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from chains import ended
from live_server import Story

import callboard.client
from actors import starter
from actors.application import Application
from actors.workflow import Workflow, stage
from callboard.client import Client
from callboard.errors import BoardUnavailable, ChainError, WorkflowError
from db.keys import Keys

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def house(build_application: Any, work: Callable[..., Any]) -> Application:
    """An application with one workflow, and a worker for it."""
    application: Application = build_application()
    starter.declare(application.broker)

    @stage(name="하나")
    def client_first(data: dict[str, Any]) -> dict[str, Any]:
        if "bad" in data:
            raise ValueError("bad")
        return data

    @stage(name="둘")
    def client_second(data: dict[str, Any]) -> dict[str, Any]:
        from callboard import progress  # noqa: PLC0415

        progress(50, log="절반")
        return data

    Workflow("from_elsewhere", [client_first, client_second])
    work(application)
    return application


def test_start_follow_and_status(house: Application, redis_url: str) -> None:
    client = Client(redis_url)
    chain_id = client.start("from_elsewhere", {"n": 1}, initiated_by="shop")
    messages = list(client.follow(chain_id, timeout=60))
    assert messages[0]["run_id"] == chain_id
    assert messages[-1] == {"run_id": chain_id, "state": "END", "progress": 1}
    assert [message["log"] for message in messages if "log" in message] == ["절반"]
    array = client.status(chain_id)
    assert array == house.status.get_pipeline_status(chain_id)
    assert [entry["process_status"] for entry in array or []] == ["SUCCESS", "SUCCESS"]
    record = house.ledger.read_chain(chain_id)
    assert record is not None
    assert record.chain.initiated_by == "shop"
    # One who comes later sees the same.
    assert list(client.follow(chain_id)) == messages
    client.close()


def test_a_key_starts_one_chain_whoever_uses_it_and_a_redelivery_none(
    house: Application, redis_url: str
) -> None:
    one, two = Client(redis_url), Client(redis_url)
    ids = {client.start("from_elsewhere", {}, idempotency_key="order 7") for client in (one, two, one)}
    assert len(ids) == 1
    [chain_id] = ids
    assert ended(house, chain_id).status == "SUCCESS"
    own = one.start("from_elsewhere", {}, chain_id="mine")
    assert own == one.start("from_elsewhere", {}, chain_id="mine") == "mine"
    assert list(one.follow("mine", timeout=60))[-1]["state"] == "END"
    # The key belongs to the first chain: whoever follows another is told.
    one.start("from_elsewhere", {}, chain_id="other", idempotency_key="order 7")
    assert chain_id in list(one.follow("other", timeout=60))[-1]["log"]
    house.broker.join("callboard")
    assert house.ledger.read_chain("other") is None
    for client in (one, two):
        client.close()


def test_what_cannot_start_is_told_to_who_follows(
    house: Application, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(redis_url)
    chain_id = client.start("no_such_workflow", {})
    [message] = client.follow(chain_id, timeout=60)
    assert message["state"] == "FAILED"
    assert "no workflow is named 'no_such_workflow'" in message["log"]
    with pytest.raises(WorkflowError, match="not JSON"):
        client.start("from_elsewhere", {"x": object()})
    with pytest.raises(WorkflowError, match="chain id"):
        client.start("from_elsewhere", {}, chain_id="../x")
    with pytest.raises(TimeoutError, match="has not ended"):
        list(client.follow("nobody", timeout=0.05))
    monkeypatch.setattr(callboard.client, "START_SECONDS", 0.1)
    with pytest.raises(ChainError, match="no worker has started"):
        list(client.follow("nobody"))
    assert client.status("nobody") is None
    client.close()


def test_follow_outlasts_a_resume_and_a_lost_stream(redis_url: str) -> None:
    client = Client(redis_url)
    story = Story(redis_url).post().begin()
    story.fail("kaputt")
    assert [message["state"] for message in client.follow(story.chain_id)] == ["하나", "FAILED"]
    story.board.apply(story.board.resume(story.chain_id, None))
    timer = threading.Timer(0.2, story.run)
    timer.start()
    assert [message["state"] for message in client.follow(story.chain_id, 60)][-1] == "END"
    timer.join()
    story.board.clients.get().delete(Keys().messages(story.chain_id))
    assert list(client.follow(story.chain_id, 60)) == [
        {"run_id": story.chain_id, "state": "END", "progress": 1}
    ]
    client.close()


def test_names_are_those_of_the_house(redis_url: str) -> None:
    client = Client(redis_url, namespace="house")
    assert (callboard.client.ACTOR_NAME, callboard.client.QUEUE_NAME) == (
        starter.ACTOR_NAME,
        starter.QUEUE_NAME,
    )
    assert client._live("c") == Keys("house").live("c")
    client._redis.xadd(Keys("house").messages("c"), {"message": "{}"})
    assert [message for _, message in client._messages("c", "0-0", None)] == [{}]
    client.close()


def test_without_redis_the_error_says_so() -> None:
    client = Client("redis://127.0.0.1:1/0")
    with pytest.raises(BoardUnavailable):
        client.start("x", {})
    with pytest.raises(BoardUnavailable):
        client.status("x")


def test_an_application_with_a_db_package_of_its_own_can_use_it(
    house: Application, redis_url: str, tmp_path: Path
) -> None:
    for name in ("db", "api", "actors", "middleware"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise ImportError('the house took a foreign package')\n")
    (tmp_path / "db" / "__init__.py").write_text("NAME = 'foreign'\n")
    key = uuid4().hex
    program = f"""
import json, sys
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
import db
from callboard.client import Client
client = Client({redis_url!r})
chain_id = client.start("from_elsewhere", {{}}, idempotency_key={key!r})
states = [message["state"] for message in client.follow(chain_id, timeout=60)]
print(json.dumps([db.NAME, states[-1], len(client.status(chain_id)),
    sorted(name for name in sys.modules if name.split(".")[0] in ("actors", "api", "middleware"))]))
"""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == ["foreign", "END", 2, []]
