"""The sweep: whatever was lost is found and sent again, and nothing that has an owner is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker
from waiting import wait_until

from actors.application import Application
from actors.control import resume, send_again
from actors.sweep import EMPTIED, Sweep
from actors.workflow import Workflow, parallel, stage, task_id
from callboard.errors import UnknownChain
from db.chains import Place
from db.ledger import NewChain
from db.workers import WorkerFacts, Workers

Work = Callable[..., Worker]


def _declare(calls: list[str], *names: str) -> list[Any]:
    def declare(name: str) -> Any:
        @stage(name=name, actor_name=name)
        def body(document: Any) -> Any:
            calls.append(name)
            return name

        return body

    return [declare(name) for name in names]


def _settled(application: Application) -> Sweep:
    """A sweep that knows that Redis has not been emptied."""
    application.board.clients.get().set(application.board.keys.epoch, 1)
    return Sweep(application)


def _look_at_once(application: Application) -> None:
    """Makes it every open chain's turn."""
    client, key = application.board.clients.get(), application.board.keys.open
    for chain_id in client.zrange(key, 0, -1):  # type: ignore[union-attr]
        client.zadd(key, {chain_id: 0})


def _drop_messages(application: Application) -> None:
    client = application.board.clients.get()
    for key in client.scan_iter("callboard:dramatiq:*"):
        client.delete(key)


def test_what_has_an_owner_is_left_alone(build_application: Any) -> None:
    application = build_application()
    sweep = Sweep(application)
    workflow = Workflow("owned", _declare([], "a", "b"))
    chain_id = workflow.start(1)
    sweep.tick()
    assert application.board.clients.get().zscore("callboard:open", chain_id) > 0
    for _ in range(2):
        _look_at_once(application)
        assert sweep.look() == 0
    assert application.board.clients.get().llen("callboard:dramatiq:default") == 1
    assert send_again(chain_id, application=application) == []


def test_a_lost_message_is_sent_again(application: Application, work: Work) -> None:
    calls: list[str] = []
    first, *members, last = _declare(calls, "a", "b1", "b2", "c")
    workflow = Workflow("lost", [first, parallel(*members), last])
    chain_id = workflow.start(1)
    _purge(application)
    _look_at_once(application)
    assert Sweep(application).look() == 1
    work(application)
    assert ended(application, chain_id).final_result == "c"
    recorded(application)
    check_stores(application, chain_id)
    assert sorted(calls) == ["a", "b1", "b2", "c"]
    assert application.board.clients.get().zcard("callboard:open") == 0


def test_only_the_members_that_were_lost_are_sent_again(build_application: Any, work: Work) -> None:
    application = build_application()
    calls: list[str] = []
    *members, last = _declare(calls, "b1", "b2", "b3", "c")
    chain_id = Workflow("members", [parallel(*members), last]).start(1)
    messages = "callboard:dramatiq:default.msgs"
    assert application.board.clients.get().hdel(messages, task_id(chain_id, 1, 2)) == 1
    assert send_again(chain_id, application=application) == [2]
    work(application)
    assert ended(application, chain_id).final_result == "c"
    assert sorted(calls) == ["b1", "b2", "b3", "c"]


def _purge(application: Application) -> None:
    for queue_name in application.broker.get_declared_queues():
        application.broker.flush(queue_name)


def test_a_dead_workers_messages_go_back_at_once(build_application: Any, work: Work) -> None:
    application = build_application()
    calls: list[str] = []
    workflow = Workflow("orphaned", _declare(calls, "a", "b"))
    chain_id = workflow.start(1)
    # A worker that has fetched and begun, and is no more.
    board, broker = application.board, application.broker
    workers = Workers(board.clients, board.keys)
    workers.register("host:1:dead", WorkerFacts(broker.broker_id, "host", 1, ["default"], 1, 0.0), 30)
    assert len(broker.do_fetch("default", 10)) == 1
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    assert board.begin(place, actor="a", worker="host:1:dead", retries=0).verdict == "go"
    sweep = Sweep(application)
    assert sweep.reclaim() == 0
    board.clients.get().delete(board.keys.life("host:1:dead"))
    assert sweep.reclaim() == 1
    assert sweep.reclaim() == 0
    assert workers.known() == []
    _look_at_once(application)
    assert sweep.look() == 0
    work(application)
    assert ended(application, chain_id).final_result == "b"
    assert (board.task(chain_id, 1)["deaths"], board.task(chain_id, 1)["attempt"]) == (1, 2)


def test_a_begun_task_whose_worker_and_message_are_gone_is_sent_again(
    build_application: Any, work: Work
) -> None:
    application = build_application()
    chain_id = Workflow("gone", _declare([], "a", "b")).start(1)
    board = application.board
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    board.begin(place, actor="a", worker="host:1:dead", retries=0)
    _drop_messages(application)
    _look_at_once(application)
    assert Sweep(application).look() == 1
    work(application)
    assert ended(application, chain_id).final_result == "b"


def test_a_lost_retry_comes_when_it_is_due_and_with_its_count(build_application: Any, work: Work) -> None:
    application = build_application()
    calls: list[int] = []

    @stage(max_retries=1, min_backoff=6000, max_backoff=6000)
    def body(document: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        raise ValueError("twice")

    chain_id = Workflow("retried", [body]).start(1)
    worker = work(application)
    wait_until(lambda: (application.board.task(chain_id, 1) or {}).get("status") == "RETRY")
    worker.stop()
    _drop_messages(application)
    assert send_again(chain_id, application=application) == [1]
    assert application.board.clients.get().llen("callboard:dramatiq:default.DQ") == 1
    work(application)
    chain = ended(application, chain_id)
    assert (chain.status, len(calls)) == ("FAILURE", 2)
    assert "twice" in chain.error


def test_an_emptied_redis_is_filled_from_the_ledger(application: Application, work: Work) -> None:
    calls: list[str] = []
    workflow = Workflow("emptied", _declare(calls, "a", "b"))
    sweep = Sweep(application)
    client = application.board.clients.get()
    chain_ids = workflow.start_many(range(20))
    client.flushdb()
    # These rows may belong to starts that have not come to the board yet.
    assert sweep.compare() == 0
    assert client.get("callboard:epoch") == EMPTIED
    threading.Event().wait(2.1)
    # RabbitMQ has its messages still.
    assert sweep.compare() == (20 if application.broker.namespace_of_queues else 0)
    assert len([chain_id for chain_id in chain_ids if application.board.chain(chain_id)]) == 20
    assert sweep.compare() == 0
    assert client.get("callboard:epoch") not in (None, EMPTIED)
    work(application)
    for chain_id in chain_ids:
        assert ended(application, chain_id).final_result == "b"
    recorded(application)
    for chain_id in chain_ids:
        check_stores(application, chain_id)
    assert (calls.count("a"), calls.count("b")) == (20, 20)


def test_a_redis_that_is_emptied_twice_is_looked_at_anew(build_application: Any) -> None:
    application = build_application()
    workflow, sweep = Workflow("again", _declare([], "a")), Sweep(application)
    client = application.board.clients.get()
    sweep.compare()
    threading.Event().wait(2.1)
    # Too young for the pass that would have been the last one.
    chain_id = workflow.start(1)
    client.flushdb()
    assert sweep.compare() == 0
    assert client.get("callboard:epoch") == EMPTIED
    threading.Event().wait(2.1)
    assert sweep.compare() == 1
    assert application.board.chain(chain_id) is not None


def test_a_worker_that_died_before_it_was_known_again_gives_its_messages_back(
    build_application: Any, work: Work
) -> None:
    application = build_application(LEASE_TTL="2")
    broker = application.broker
    chain_id = Workflow("unknown", _declare([], "a")).start(1)
    own_id, broker.broker_id = broker.broker_id, "of-a-dead-worker"
    assert len(broker.do_fetch("default", 1)) == 1
    broker.broker_id = own_id
    sweep = Sweep(application)
    assert sweep.reclaim() == 0
    threading.Event().wait(2.1)
    assert sweep.reclaim() == 1
    work(application)
    assert ended(application, chain_id).status == "SUCCESS"


def test_a_start_that_died_after_its_row_is_completed(
    build_application: Any, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = build_application()
    workflow = Workflow("half", _declare([], "a"))
    plan = [planned.as_json() for planned in workflow.plan("half-started")]
    chain = NewChain("half-started", "half", 1, plan, input_data=1)
    sweep = _settled(application)
    application.ledger.create_chains([chain])
    sweep._next_comparison = 0
    assert sweep.compare() == 0, "a start may take a while"
    monkeypatch.setattr("actors.sweep.START_GRACE", 0)
    sweep._next_comparison = 0
    assert sweep.compare() == 1
    work(application)
    assert ended(application, "half-started").final_result == "a"


def test_the_ledger_is_not_trusted_while_it_lags(
    build_application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = build_application()
    monkeypatch.setattr("actors.sweep.START_GRACE", 0)
    workflow = Workflow("lagging", _declare([], "a"))
    sweep = _settled(application)
    chain_id = workflow.start(1)
    board, client = application.board, application.board.clients.get()
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    begun = board.begin(place, actor="a", worker="w", retries=0)
    board.apply(board.finish(place, begun.token, "{}", "1"))
    # The chain has ended and is forgotten, and its events still wait.
    client.delete(board.keys.live(chain_id))
    monkeypatch.setattr("actors.sweep.LARGEST_LAG", -1)
    sweep._next_comparison = 0
    assert sweep.compare() == 0
    assert board.chain(chain_id) is None


def test_one_clock_sweeps_and_another_takes_over(build_application: Any) -> None:
    application = build_application()
    chain_id = Workflow("led", _declare([], "a")).start(1)
    first, second = Sweep(application), Sweep(application)
    first.tick()
    _drop_messages(application)
    _look_at_once(application)
    second.tick()
    assert not application.board.clients.get().exists("callboard:dramatiq:default")
    first.release()
    second.tick()
    assert application.board.clients.get().llen("callboard:dramatiq:default") == 1
    assert send_again(chain_id, application=application) == []


def test_a_lost_chain_can_be_resumed_by_hand(build_application: Any, work: Work) -> None:
    application = build_application()
    chain_id = Workflow("by hand", _declare([], "a")).start(1)
    _drop_messages(application)
    assert resume(chain_id, application=application) == 1
    work(application)
    assert ended(application, chain_id).final_result == "a"
    with pytest.raises(UnknownChain):
        send_again("nobody", application=application)


def test_delayed_messages_survive_a_redis_that_was_away(
    build_application: Any, private_redis: Any, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dramatiq's worker forgets those that it keeps in memory."""
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.2)
    application = build_application(REDIS_URL=private_redis.url)
    calls: list[int] = []

    @stage(max_retries=1, min_backoff=2500, max_backoff=2500)
    def body(document: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        return "recovered"

    alone = threading.Event()

    @dramatiq.actor
    def lonely() -> None:
        alone.set()

    chain_id = Workflow("kept", [body]).start({})
    work(application)
    wait_until(lambda: (application.board.task(chain_id, 1) or {}).get("retries"))
    lonely.send_with_options(delay=2500)
    client = application.board.clients.get()
    wait_until(lambda: not client.llen("callboard:dramatiq:default.DQ"))
    private_redis.stop()
    threading.Event().wait(0.5)
    private_redis.start()
    assert ended(application, chain_id).final_result == "recovered"
    assert alone.wait(60)
