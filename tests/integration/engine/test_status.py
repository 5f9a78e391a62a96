"""Where a chain stands: Redis first, the ledger second, the same shape from both."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from chains import ended, recorded
from dramatiq import Worker
from servers import PostgresServer

import callboard
from actors.progress import publish_progress
from actors.workflow import Workflow, stage

Work = Callable[..., Worker]


@pytest.fixture
def workflow(build_application: Any) -> Workflow:
    build_application()

    @stage(name="데이터 전처리")
    def clean(document: Any) -> Any:
        return document

    @stage(name="특성 추출")
    def extract(document: Any) -> Any:
        return document

    return Workflow("ai_pipeline", [clean, extract])


def test_an_expired_array_is_put_together_again_while_the_chain_waits(workflow: Workflow) -> None:
    application = workflow.application
    chain_id = workflow.start({})
    before = callboard.status_manager.get_pipeline_status(chain_id)
    application.board.clients.get().delete(chain_id)
    answer = application.status.read(chain_id)
    assert (answer.source, answer.array) == ("redis", before)


def test_the_ledger_answers_in_the_same_shape_when_redis_has_forgotten(
    workflow: Workflow, work: Work
) -> None:
    application = workflow.application
    chain_id = workflow.start({})
    work(application)
    ended(application, chain_id)
    recorded(application)
    before = application.board.array(chain_id)
    application.board.clients.get().delete(chain_id, application.board.keys.live(chain_id))
    answer = application.status.read(chain_id)
    assert answer.source == "ledger"
    for entry, live in zip(answer.array, before, strict=True):
        assert list(entry) == list(live)
        assert {**entry, "updated_at": 0} == {**live, "updated_at": 0}
        assert abs(entry["updated_at"] - live["updated_at"]) < 0.1
    assert application.status.find(chain_id).source == "ledger"


def test_the_old_form_is_read_as_an_array_of_one(workflow: Workflow) -> None:
    old = {"chain_id": "example-chain-123", "stage": 2, "status": "PENDING", "progress": 50}
    workflow.application.board.clients.get().set("example-chain-123", json.dumps(old))
    assert callboard.status_manager.get_pipeline_status("example-chain-123") == [old]


def test_an_unknown_chain_is_none(workflow: Workflow) -> None:
    assert callboard.status_manager.get_pipeline_status("nobody") is None
    assert workflow.application.status.find("nobody") is None


def test_the_documented_clients_find_the_running_stage(workflow: Workflow, work: Work) -> None:
    """The calculations of the documents' Python clients, on a chain that waits."""
    chain_id = workflow.start({})
    pipeline_data = callboard.status_manager.get_pipeline_status(chain_id)
    current_task = max(pipeline_data, key=lambda x: x.get("updated_at", 0))
    assert current_task["stage"] in (1, 2)
    assert sum(task["progress"] for task in pipeline_data) / len(pipeline_data) == 0
    assert [task for task in pipeline_data if task["status"] == "FAILURE"] == []


def test_reads_of_a_live_chain_run_no_sql(
    build_application: Any, private_postgres: PostgresServer, work: Work
) -> None:
    application = build_application(DATABASE_URL=private_postgres.url)

    @stage
    def body(document: Any) -> Any:
        return document

    chain_id = Workflow("polled", [body]).start({})
    before = private_postgres.statements()
    for _ in range(200):
        application.status.get_pipeline_status(chain_id)
        application.status.find(chain_id)
    assert private_postgres.statements() - before == 0


def test_messages_published_by_hand(workflow: Workflow) -> None:
    client = workflow.application.board.clients.get()
    listener = client.pubsub()
    listener.subscribe("callboard:progress")
    publish_progress("run 1", state="PLOT_GENERATION", progress=0.1, log="플롯 생성 시작")
    publish_progress("run 1", state="PLOT_GENERATION", progress=0.104)
    publish_progress("run 1", progress=0.15)
    publish_progress("run 1", log="x" * 4_000)
    messages = []
    while (found := listener.get_message(timeout=0.3)) is not None:
        if found["type"] == "message":
            assert len(found["data"]) < 1024
            messages.append(json.loads(found["data"]))
    listener.close()
    assert messages[:2] == [
        {"run_id": "run 1", "state": "PLOT_GENERATION", "progress": 0.1, "log": "플롯 생성 시작"},
        {"run_id": "run 1", "progress": 0.15},
    ]
    assert len(messages) == 3
    with pytest.raises(ValueError, match=r"0\.0 to 1\.0"):
        publish_progress("run 1", progress=15)
