"""The recorder: nothing lost on the way to the ledger, whatever is down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from chains import check_stores, ended, recorded
from dramatiq import Worker
from servers import PostgresServer
from waiting import wait_until

from actors import control, starting
from actors.workflow import Workflow, stage
from db.keys import BATCH_CHAIN_TTL
from db.models import ChainExecution, TaskLog
from db.scripts import source
from middleware.recorder import Recorder

Work = Callable[..., Worker]


def two_stages() -> Workflow:
    @stage
    def one(document: Any) -> Any:
        return document

    @stage
    def two(document: Any) -> Any:
        return document

    return Workflow("two_stages", [one, two])


def test_chains_finish_while_postgresql_is_down_and_are_recorded_on_its_return(
    build_application: Any, private_postgres: PostgresServer, work: Work
) -> None:
    application = build_application(DATABASE_URL=private_postgres.url)
    ids = two_stages().start_many(range(100))
    private_postgres.stop()
    work(application)
    assert [ended(application, chain_id).final_result for chain_id in ids] == list(range(100))
    assert application.board.clients.get().xlen(application.board.keys.events) > 0
    private_postgres.start()
    recorded(application)
    for chain_id in ids:
        check_stores(application, chain_id)
    assert TaskLog.select().where(TaskLog.status == "SUCCESS").count(application.database) == 200


def test_a_malformed_event_does_not_stop_the_others(build_application: Any, work: Work) -> None:
    application = build_application()
    application.board.clients.get().xadd(application.board.keys.events, {"chain": "x", "state": "no JSON"})
    chain_id = two_stages().start({})
    work(application)
    ended(application, chain_id)
    recorded(application)
    check_stores(application, chain_id)


def test_the_stream_may_vanish_with_its_group(build_application: Any, work: Work) -> None:
    application = build_application()
    workflow = two_stages()
    work(application)
    ended(application, workflow.start({}))
    recorded(application)
    application.board.clients.get().delete(application.board.keys.events)
    chain_id = workflow.start({})
    ended(application, chain_id)
    wait_until(
        lambda: (
            ChainExecution.select()
            .where(ChainExecution.chain_id == chain_id, ChainExecution.status == "SUCCESS")
            .count(application.database)
        )
    )


def test_recorders_rest_together(build_application: Any) -> None:
    application = build_application()
    board, keys = application.board, application.board.keys
    client = board.clients.get()

    def event(task_id: str) -> dict[Any, Any]:
        return {"chain": "", "seq": 1, "task": f'{{"task":"{task_id}","actor":"a","status":"STARTED"}}'}

    recorder = Recorder(board.clients.url, keys, application.ledger, linger=1.0)
    recorder.start()

    def rests() -> bool:
        """Whether it has begun a rest of which most is left."""
        client.xadd(keys.events, event("t1"))
        wait_until(lambda: not client.xlen(keys.events))
        return client.pttl(keys.rest) > 500

    wait_until(rests)
    client.xadd(keys.events, event("t2"))
    begun = time.monotonic()
    left = client.pttl(keys.rest) / 1000
    other = Recorder(board.clients.url, keys, application.ledger)
    other.start()
    wait_until(lambda: not client.xlen(keys.events))
    assert time.monotonic() - begun >= left - 0.1
    for each in (recorder, other):
        each.stop()
    assert TaskLog.select().count(application.database) == 2


def test_what_a_recorder_has_in_hand_outlives_an_emptied_redis(
    build_application: Any, private_postgres: PostgresServer
) -> None:
    application = build_application(DATABASE_URL=private_postgres.url)
    board, keys = application.board, application.board.keys
    client = board.clients.get()
    private_postgres.stop()
    for task_id in ("t1", "t2"):
        task = f'{{"task":"{task_id}","actor":"a","status":"STARTED"}}'
        client.xadd(keys.events, {"chain": "", "seq": 1, "task": task})
    recorder = Recorder(board.clients.url, keys, application.ledger)
    recorder.start()

    def taken() -> bool:
        return client.exists(keys.events) > 0 and bool(
            [group for group in client.xinfo_groups(keys.events) if group["pending"] == 2]
        )

    wait_until(taken)
    client.flushdb()
    private_postgres.start()
    wait_until(lambda: TaskLog.select().count(application.database) == 2)
    recorder.stop()


def test_a_batch_s_chain_leaves_the_board_when_the_ledger_has_it(build_application: Any, work: Work) -> None:
    application = build_application()
    workflow = two_stages()
    starting.start_named(workflow, {"batch.0": {"n": 0}, "batch.1": {"n": 1}}, batch_id="batch")
    alone = workflow.start({})
    work(application)
    assert [ended(application, chain_id).status for chain_id in ("batch.0", "batch.1", alone)] == [
        "SUCCESS"
    ] * 3
    recorded(application)
    client, keys = application.board.clients.get(), application.board.keys
    for chain_id in ("batch.0", "batch.1"):
        left = [keys.live(chain_id), keys.array(chain_id), keys.messages(chain_id)]
        wait_until(lambda left=left: all(client.ttl(key) <= BATCH_CHAIN_TTL for key in left))
        client.unlink(*left)
        from_ledger = application.status.find(chain_id)
        assert from_ledger is not None
        assert from_ledger.status == "SUCCESS"
    assert client.ttl(keys.live(alone)) > BATCH_CHAIN_TTL
    # One that goes on meanwhile stays.
    control.resume("batch.0", from_stage=2, application=application)
    assert ended(application, "batch.0").final_result == {"n": 0}


def test_a_chain_that_went_on_meanwhile_is_not_shed(build_application: Any, work: Work) -> None:
    application = build_application()
    starting.start_named(two_stages(), {"batch.0": {}}, batch_id="batch")
    worker = work(application)
    ended(application, "batch.0")
    worker.stop()
    control.resume("batch.0", from_stage=1, application=application)
    client, keys = application.board.clients.get(), application.board.keys
    live = application.board.chain("batch.0")
    assert live is not None
    work(application)
    ended(application, "batch.0")
    own = [keys.live("batch.0"), keys.array("batch.0"), keys.messages("batch.0")]
    shed = client.register_script(source("shed"))
    assert shed(own, [60, live.state["seq"]]) == 0
