"""The recorder: nothing lost on the way to the ledger, whatever is down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
import redis
from chains import check_stores, ended, recorded
from dramatiq import Worker
from servers import PostgresServer
from waiting import wait_until

from actors import control
from actors.application import Application
from actors.sweep import Sweep
from actors.workflow import Workflow, stage
from db.keys import BATCH_CHAIN_TTL
from db.ledger import Ledger
from db.models import ChainExecution, TaskLog
from db.scripts import source
from db.workers import WorkerFacts, Workers
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
    assert [ended(application, chain_id, 30).final_result for chain_id in ids] == list(range(100))
    assert application.board.clients.get().xlen(application.board.keys.events) > 0
    private_postgres.start()
    recorded(application, 20)
    for chain_id in ids:
        check_stores(application, chain_id)
    assert TaskLog.select().where(TaskLog.status == "SUCCESS").count(application.database) == 200


def note(application: Application, task_id: str, **more: Any) -> bytes:
    """An event of a task of no chain; returns its id in the stream."""
    task = {"task": task_id, "actor": "a", "status": "STARTED", **more}
    fields: dict[Any, Any] = {"chain": "", "seq": 1, "task": json.dumps(task)}
    added: Any = application.board.clients.get().xadd(application.board.keys.events, fields)
    return bytes(added)


def tasks(application: Application) -> set[str]:
    """Those that the ledger has."""
    return {row.task_id for row in TaskLog.select().execute(application.database)}


def held(application: Application) -> dict[str, int]:
    """How many events each recorder of the group holds."""
    client, keys = application.board.clients.get(), application.board.keys
    found: Any = client.xinfo_consumers(keys.events, keys.recorders)
    return {consumer["name"].decode(): consumer["pending"] for consumer in found}


def recorder_of(application: Application, **options: Any) -> Recorder:
    return Recorder(application.board.clients.url, application.board.keys, application.ledger, **options)


def take_away(application: Application, worker_id: str, count: int, *, registered: bool = True) -> None:
    """A worker's recorder reads that many events, and writes none."""
    client, keys = application.board.clients.get(), application.board.keys
    if registered:
        facts = WorkerFacts("", "host", 1, ["default"], 1, 0.0)
        Workers(application.board.clients, keys).register(worker_id, facts, 30)
    with suppress(redis.ResponseError):
        client.xgroup_create(keys.events, keys.recorders, id="0", mkstream=True)
    for number in range(count):
        note(application, f"{worker_id}-{number}")
    client.xreadgroup(keys.recorders, worker_id, {keys.events: ">"}, count=10_000)
    assert held(application).get(worker_id, 0) == count


def test_what_a_recorder_held_is_claimed_as_soon_as_its_worker_is_dead(build_application: Any) -> None:
    application = build_application()
    client, keys = application.board.clients.get(), application.board.keys
    for name in ("host:1:dies", "host:2:lives"):
        take_away(application, name, 2)
    take_away(application, "nobody knows", 2, registered=False)
    recorder = recorder_of(application)
    recorder.start()
    note(application, "other")
    wait_until(lambda: "other" in tasks(application))
    assert tasks(application) == {"other"}
    begun = time.monotonic()
    client.delete(keys.life("host:1:dies"))
    wait_until(lambda: len(tasks(application)) == 3)
    assert time.monotonic() - begun < 5
    wait_until(lambda: "host:1:dies" not in held(application))
    recorder.stop()
    # What others hold waits for them.
    assert tasks(application) == {"other", "host:1:dies-0", "host:1:dies-1"}
    assert held(application) == {"host:2:lives": 2, "nobody knows": 2}


def test_what_nobody_settles_is_claimed_in_the_end(build_application: Any) -> None:
    application = build_application()
    take_away(application, "host:1:stuck", 1)
    take_away(application, "nobody knows", 1, registered=False)
    recorder = recorder_of(application, claim_after=0.5)
    assert recorder.record_once() == 0
    wait_until(lambda: recorder.record_once() or not any(held(application).values()))
    wait_until(lambda: tasks(application) == {"host:1:stuck-0", "nobody knows-0"})


def test_more_than_one_batch_is_claimed(build_application: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.recorder.BATCH", 1500)
    application = build_application()
    take_away(application, "host:1:dead", 4000)
    application.board.clients.get().delete(application.board.keys.life("host:1:dead"))
    recorder = recorder_of(application)
    assert [recorder.record_once() for _ in range(4)] == [1500, 1500, 1000, 0]
    assert len(tasks(application)) == 4000
    assert held(application) == {recorder.consumer: 0}


def test_a_recorder_that_was_only_taken_for_dead_changes_nothing(build_application: Any) -> None:
    """It is stopped while it writes; another writes the same and what came later; then it goes on."""
    application = build_application()
    keys = application.board.keys
    take_away(application, "host:1:slow", 1)
    slow = recorder_of(application, worker_id="host:1:slow")
    write, record = slow.ledger.record, threading.Event()
    written = threading.Event()

    class Slow:
        def record(self, events: Any) -> None:
            written.set()
            assert record.wait(10)
            write(events)

    slow.ledger = cast(Ledger, Slow())
    slow.start()
    wait_until(written.is_set)
    application.board.clients.get().delete(keys.life("host:1:slow"))
    other = recorder_of(application)
    assert other.record_once() == 1
    task = json.dumps({"task": "host:1:slow-0", "actor": "a", "status": "SUCCESS"})
    application.board.clients.get().xadd(keys.events, {"chain": "", "seq": 2, "task": task})
    assert other.record_once() == 1
    record.set()
    wait_until(lambda: held(application).get("host:1:slow", 0) == 0)
    slow.stop()
    (row,) = TaskLog.select().execute(application.database)
    assert (row.status, row.seq) == ("SUCCESS", 2)
    assert application.board.clients.get().xlen(keys.events) == 0


def test_recorders_of_dead_workers_do_not_pile_up(build_application: Any) -> None:
    application = build_application()
    client, keys = application.board.clients.get(), application.board.keys
    for number in range(100):
        take_away(application, f"host:{number}:x", number % 2)
        client.xgroup_createconsumer(keys.events, keys.recorders, f"host:{number}:x")
        if number != 99:
            client.delete(keys.life(f"host:{number}:x"))
    sweep = Sweep(application)
    sweep.reclaim()
    # Those with events must be known as dead until another has them.
    kept = {f"host:{number}:x" for number in range(1, 100, 2)}
    assert held(application) == dict.fromkeys(kept, 1)
    assert {worker.worker_id for worker in sweep.workers.known()} == kept
    recorder = recorder_of(application)
    assert recorder.record_once() == 49
    sweep.reclaim()
    assert held(application) == {"host:99:x": 1, recorder.consumer: 0}
    assert [worker.worker_id for worker in sweep.workers.known()] == ["host:99:x"]


def test_a_recorder_has_its_worker_s_name(build_application: Any, work: Work) -> None:
    application = build_application()
    work(application)
    note(application, "t1")
    wait_until(lambda: tasks(application) == {"t1"})
    (worker,) = Workers(application.board.clients, application.board.keys).known()
    assert list(held(application)) == [worker.worker_id]


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
    client.xadd(keys.events, event("t1"))
    wait_until(lambda: client.pttl(keys.rest) > 0)
    client.xadd(keys.events, event("t2"))
    left = client.pttl(keys.rest) / 1000
    begun = time.monotonic()
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
    wait_until(lambda: TaskLog.select().count(application.database) == 2, 20)
    recorder.stop()


def test_a_batch_s_chain_leaves_the_board_when_the_ledger_has_it(build_application: Any, work: Work) -> None:
    application = build_application()
    workflow = two_stages()
    control.start_named(workflow, {"batch.0": {"n": 0}, "batch.1": {"n": 1}}, batch_id="batch")
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
    control.start_named(two_stages(), {"batch.0": {}}, batch_id="batch")
    work(application)
    ended(application, "batch.0")
    control.resume("batch.0", from_stage=1, application=application)
    client, keys = application.board.clients.get(), application.board.keys
    live = application.board.chain("batch.0")
    assert live is not None
    ended(application, "batch.0")
    own = [keys.live("batch.0"), keys.array("batch.0"), keys.messages("batch.0")]
    shed = client.register_script(source("shed"))
    assert shed(own, [60, live.state["seq"]]) == 0
