"""What becomes of the events that a recorder had taken when its worker died."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from dramatiq import Worker
from recorders import held, note, recorder_of, take_away, tasks
from waiting import wait_until

from actors.sweep import Sweep
from db.ledger import Ledger
from db.models import TaskLog
from db.workers import Workers

Work = Callable[..., Worker]


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
