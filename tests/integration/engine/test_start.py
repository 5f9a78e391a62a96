"""Starting chains: rows first, then board and queue; refusals start nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from chains import check_stores, ended, recorded
from dramatiq import Worker
from dramatiq.errors import ConnectionClosed
from servers import PostgresServer, RedisServer

from actors.application import Application
from actors.workflow import Workflow, stage
from callboard.errors import BoardUnavailable, ChainStateError, LedgerUnavailable, WorkflowError
from db.models import ChainExecution

Work = Callable[..., Worker]


def echo() -> Workflow:
    @stage
    def body(document: Any) -> Any:
        return document

    return Workflow("echo", [body])


def rows(application: Application) -> int:
    return int(application.database.execute_sql("SELECT count(*) FROM chain_executions").fetchone()[0])


def queued(application: Application) -> int:
    return int(application.board.clients.get().llen("callboard:dramatiq:default"))


def test_an_id_of_ones_own_is_used_once(build_application: Any) -> None:
    application = build_application()
    workflow = echo()
    assert workflow.start({}, chain_id="20251105_1430_우주여행고양이") == "20251105_1430_우주여행고양이"
    with pytest.raises(ChainStateError, match="in the ledger already"):
        workflow.start({}, chain_id="20251105_1430_우주여행고양이")
    assert (rows(application), queued(application)) == (1, 1)


@pytest.mark.parametrize("chain_id", ["", "callboard:events", "../up", "a b", "x" * 201, "-dash"])
def test_an_id_that_could_name_something_else_is_refused(build_application: Any, chain_id: str) -> None:
    application = build_application()
    with pytest.raises(WorkflowError, match="chain id"):
        echo().start({}, chain_id=chain_id)
    assert (rows(application), queued(application)) == (0, 0)


def test_an_idempotency_key_starts_one_chain(build_application: Any) -> None:
    application = build_application()
    workflow = echo()
    started: list[str] = []
    threads = [
        threading.Thread(target=lambda: started.append(workflow.start({}, idempotency_key="order 7")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 8
    assert len(set(started)) == 1
    assert (rows(application), queued(application)) == (1, 1)
    assert workflow.start({}, idempotency_key="order 8") != started[0]


def test_an_input_that_is_not_json_is_refused(build_application: Any) -> None:
    application = build_application()
    with pytest.raises(WorkflowError, match="the input of echo is not JSON"):
        echo().start({"when": object()})
    assert (rows(application), queued(application)) == (0, 0)


def test_many_chains_at_once(application: Application, work: Work) -> None:
    workflow = echo()
    ids = workflow.start_many(({"n": number} for number in range(1100)), initiated_by="tests")
    assert len(set(ids)) == 1100
    assert rows(application) == 1100
    work(application, worker_threads=8)
    results = [ended(application, chain_id, 60).final_result for chain_id in ids]
    assert results == [{"n": number} for number in range(1100)]
    recorded(application)
    for chain_id in ids[::100]:
        check_stores(application, chain_id)
    assert (
        ChainExecution.select().where(ChainExecution.status == "SUCCESS").count(application.database) == 1100
    )


def test_with_the_ledger_down_a_start_is_refused_whole(
    build_application: Any, private_postgres: PostgresServer
) -> None:
    application = build_application(DATABASE_URL=private_postgres.url)
    workflow = echo()
    private_postgres.stop()
    with pytest.raises(LedgerUnavailable):
        workflow.start({}, chain_id="refused")
    with pytest.raises(LedgerUnavailable):
        workflow.start_many([1, 2, 3])
    assert queued(application) == 0
    assert application.board.array("refused") is None
    private_postgres.start()
    assert workflow.start({}, chain_id="refused") == "refused"
    assert rows(application) == 1


def test_with_redis_down_a_start_is_refused_whole(build_application: Any, private_redis: RedisServer) -> None:
    application = build_application(REDIS_URL=private_redis.url)
    workflow = echo()
    private_redis.stop()
    with pytest.raises(BoardUnavailable, match="nothing was started"):
        workflow.start({}, chain_id="refused")
    with pytest.raises(BoardUnavailable):
        workflow.start_many([1, 2, 3])
    assert rows(application) == 0
    private_redis.start()
    assert workflow.start({}, chain_id="refused") == "refused"


def test_a_start_whose_message_rabbitmq_did_not_take_leaves_nothing(
    build_application: Any, rabbit_url: str, monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    application = build_application(BROKER_URL=rabbit_url)
    workflow = echo()

    def refuse(*_: object) -> None:
        raise ConnectionClosed("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(application.broker, "send", refuse)
        with pytest.raises(BoardUnavailable, match="nothing was started"):
            workflow.start({}, chain_id="refused")
    assert rows(application) == 0
    assert application.board.array("refused") is None
    assert application.board.clients.get().zcard(application.board.keys.open) == 0
    workflow.start({}, chain_id="refused")
    work(application)
    assert ended(application, "refused").status == "SUCCESS"


def test_chains_that_have_begun_though_redis_did_not_say_so_keep_their_rows(
    build_application: Any, monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    application = build_application()
    workflow = echo()
    worker = work(application)
    launch, known = application.broker.launch, application.board

    def lose_the_answer(*arguments: Any) -> Any:
        launch(*arguments)
        ended(application, "answered-late")
        raise redis.ConnectionError("the answer is lost")

    monkeypatch.setattr(application.broker, "launch", lose_the_answer)
    assert workflow.start({}, chain_id="answered-late") == "answered-late"
    worker.stop()
    assert rows(application) == 1
    assert known.chain("answered-late") is not None


def test_a_key_that_no_column_holds_is_refused(build_application: Any) -> None:
    application = build_application()
    for key in ("k" * 256, "nul\0"):
        with pytest.raises(WorkflowError, match="up to 255 characters and no NUL"):
            echo_once(application).start({}, idempotency_key=key)
    assert (rows(application), queued(application)) == (0, 0)


def echo_once(application: Application) -> Workflow:
    return application.workflows.get("echo") or echo()
