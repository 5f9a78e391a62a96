"""Messages that come twice, late, or from a worker that was taken for dead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from chains import check_stores, ended, lifeline_speaks, recorded
from dramatiq import Worker
from dramatiq.middleware import Middleware, SkipMessage
from waiting import wait_until

from actors.application import Application
from actors.workflow import Workflow, parallel, stage, task_id
from db.chains import Place
from db.models import TaskLog
from db.workers import WorkerFacts, Workers

Work = Callable[..., Worker]


def test_messages_delivered_three_times_run_once(application: Application, work: Work) -> None:
    calls: list[str] = []

    def declare(name: str) -> Any:
        @stage(name=name, actor_name=name)
        def body(document: Any) -> Any:
            calls.append(name)
            return name

        return body

    workflow = Workflow(
        "doubled", [declare("a"), parallel(declare("b1"), declare("b2"), declare("b3")), declare("c")]
    )
    chain_id = workflow.start({})
    for from_stage in (1, 2, 3):
        for message in workflow.first_messages(chain_id, {}, from_stage=from_stage):
            for _ in range(2):
                application.broker.enqueue(message)
    work(application)
    assert ended(application, chain_id).final_result == "c"
    for from_stage in (1, 2, 3):
        for message in workflow.first_messages(chain_id, {}, from_stage=from_stage):
            application.broker.enqueue(message)
    done = threading.Event()

    @dramatiq.actor
    def last() -> None:
        done.set()

    last.send()
    assert done.wait(60)
    recorded(application)
    check_stores(application, chain_id)
    assert sorted(calls) == ["a", "b1", "b2", "b3", "c"]


def test_a_copy_that_comes_too_early_takes_nothing_from_the_one_in_time(
    build_application: Any, work: Work
) -> None:
    application = build_application()

    @stage
    def body(document: Any) -> Any:
        return document

    @stage
    def after(document: Any) -> Any:
        return "after"

    workflow = Workflow("early", [body, after])
    chain_id = workflow.start({})
    board, broker = application.board, application.broker
    broker.flush("default")
    (second,) = workflow.first_messages(chain_id, {}, from_stage=2)
    broker.enqueue(second)
    consumer = broker.consume("default", timeout=100)
    early = wait_until(lambda: next(consumer))
    with pytest.raises(SkipMessage):
        broker.emit_before("process_message", early)
    # The stage before ends only now, and sends it under the same id.
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    begun = board.begin(place, actor="body", worker="w", retries=0)
    broker.launch(board.finish(place, begun.token, "{}", "{}"), [second])
    consumer.ack(early)
    consumer.close()
    work(application)
    assert ended(application, chain_id).final_result == "after"


def test_a_run_that_was_taken_over_changes_nothing(
    build_application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = build_application()

    @stage
    def body(document: Any) -> Any:
        return document

    @stage
    def after(document: Any) -> Any:
        return document

    chain_id = Workflow("fenced", [body, after]).start({})
    board, place = application.board, Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    workers = Workers(board.clients, board.keys)
    workers.register("zombie", WorkerFacts("", "host", 1, ["default"], 1, 0.0), 30)
    zombie = board.begin(place, actor="body", worker="zombie", retries=0)
    early = board.begin(place, actor="body", worker="heir", retries=0)
    assert early.verdict == "busy"
    assert 25_000 < early.alive_for <= 30_000
    assert board.lost([(place, zombie.token), (place, "77")]) == [1]
    board.clients.get().delete(board.keys.life("zombie"))
    heir = board.begin(place, actor="body", worker="heir", retries=0)
    assert (zombie.verdict, heir.verdict) == ("go", "go")
    assert board.lost([(place, zombie.token), (place, heir.token)]) == [0]
    assert not board.progress(place, zombie.token, 50, "{}", None)
    before = board.chain(chain_id), board.array(chain_id)
    for transition in (
        board.finish(place, zombie.token, "{}", '"zombie"'),
        board.retry(place, zombie.token, "{}", "error", "trace", 1, 0),
        board.fail(place, zombie.token, "{}", "error", "trace", "error"),
    ):
        assert board.apply(transition) == [b"stale"]
    assert (board.chain(chain_id), board.array(chain_id)) == before
    finish = board.finish(place, heir.token, "{}", '"heir"')
    assert board.apply(finish) == [b"recorded", b"next"]
    assert board.apply(finish) == [b"repeated"]
    assert board.result(chain_id, 1) == '"heir"'
    assert board.begin(place, actor="body", worker="late", retries=0).verdict == "done"


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_a_second_delivery_waits_while_the_first_runs(
    build_application: Any, work: Work, broker: str, request: pytest.FixtureRequest
) -> None:
    elsewhere = {"BROKER_URL": request.getfixturevalue("rabbit_url")} if broker == "rabbitmq" else {}
    application = build_application(LEASE_TTL="3", **elsewhere)
    gate, calls, skipped = threading.Event(), [], []

    class Witness(Middleware):
        def after_skip_message(self, broker: Any, message: Any) -> None:
            skipped.append(message.message_id)

    application.broker.add_middleware(Witness())

    @stage
    def body(document: Any) -> Any:
        calls.append(document)
        gate.wait(60)
        return document

    workflow = Workflow("waiting", [body])
    chain_id = workflow.start("once")
    work(application)
    wait_until(lambda: calls)
    lifeline_speaks(application)
    application.broker.enqueue(workflow.first_messages(chain_id, "twice")[0])
    # Longer than the lease: only its renewals keep the second delivery away.
    threading.Event().wait(3.5)
    assert calls == ["once"]
    gate.set()
    assert ended(application, chain_id).final_result == "once"
    # It comes once more, and finds the stage done.
    seen = len(skipped)
    wait_until(lambda: len(skipped) > seen)
    assert calls == ["once"]


def test_a_hand_over_whose_answer_is_lost_may_be_repeated(build_application: Any) -> None:
    application = build_application()

    @stage
    def body(document: Any) -> Any:
        return document

    @stage
    def after(document: Any) -> Any:
        return document

    workflow = Workflow("repeated", [body, after])
    chain_id = workflow.start({})
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    begun = application.board.begin(place, actor="body", worker="w", retries=0)
    finish = application.board.finish(place, begun.token, "{}", "{}")
    successors = workflow.first_messages(chain_id, {}, from_stage=2)
    for _ in range(3):
        application.broker.launch(finish, successors)
    # The first message of start, and one successor.
    assert application.board.clients.get().llen("callboard:dramatiq:default") == 2


def test_redis_that_has_forgotten_the_scripts_is_told_them_again(build_application: Any, work: Work) -> None:
    application = build_application()
    gate = threading.Event()

    @stage
    def body(document: Any) -> Any:
        gate.wait(60)
        return document

    @stage
    def after(document: Any) -> Any:
        return document

    chain_id = Workflow("flushed", [body, after]).start(1)
    work(application)
    wait_until(lambda: application.board.task(chain_id, 1))
    application.board.clients.get().script_flush()
    gate.set()
    assert ended(application, chain_id).final_result == 1


def test_a_retry_survives_a_redis_that_is_away_when_it_is_decided(
    build_application: Any, private_redis: Any, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.2)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.2)
    application = build_application(REDIS_URL=private_redis.url)
    failed, gate, calls = threading.Event(), threading.Event(), []

    @stage(max_retries=2, min_backoff=50, max_backoff=50)
    def body(document: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            failed.set()
            gate.wait(60)
            raise ValueError("once")
        return "recovered"

    chain_id = Workflow("retrying", [body]).start({})
    work(application)
    assert failed.wait(60)
    private_redis.stop()
    gate.set()
    threading.Event().wait(0.5)
    private_redis.start()
    assert ended(application, chain_id).final_result == "recovered"


def test_an_actor_of_no_workflow_behaves_as_without_us(application: Application, work: Work) -> None:
    """Pipelines, retries and options are Dramatiq's own (invariant 10)."""
    seen: list[Any] = []
    stages_of_life: list[str] = []
    done = threading.Event()

    class Witness(Middleware):
        def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            stages_of_life.append(f"{message.actor_name} {'later' if delay else 'now'}")

    application.broker.add_middleware(Witness())

    @dramatiq.actor(max_retries=1, min_backoff=10, max_backoff=10)
    def first(number: int) -> int:
        seen.append(number)
        if len(seen) == 1:
            raise ValueError("once")
        return number + 1

    @dramatiq.actor
    def second(number: int) -> None:
        seen.append(number)
        done.set()

    dramatiq.pipeline([first.message(1), second.message()]).run()
    work(application)
    assert done.wait(60)
    assert seen == [1, 1, 2]
    assert stages_of_life[:2] == ["first now", "first later"]
    assert stages_of_life[-1] == "second now"
    recorded(application)
    assert TaskLog.select().count(application.database) == 0


def test_a_tracked_actor_of_no_chain_has_a_row_of_its_own(application: Application, work: Work) -> None:
    broken = [True]

    @dramatiq.actor(tracked=True, max_retries=1, min_backoff=10, max_backoff=10)
    def alone(number: int) -> Any:
        if broken.pop() if broken else False:
            raise ValueError("once")
        return {"number": number}

    @dramatiq.actor(tracked=True, max_retries=0)
    def unlucky() -> None:
        raise ValueError("never")

    message, failing = alone.send(5), unlucky.send()
    work(application)

    def rows() -> dict[str, Any]:
        return {row.task_id: row for row in TaskLog.select().execute(application.database)}

    wait_until(lambda: len([row for row in rows().values() if row.status in ("SUCCESS", "FAILURE")]) == 2)
    row = rows()[message.message_id]
    assert (row.task_name, row.status, row.retries, row.result) == ("alone", "SUCCESS", 1, {"number": 5})
    assert row.chain_execution_id is None
    row = rows()[failing.message_id]
    assert (row.status, row.error) == ("FAILURE", "never")


def test_a_tracked_actor_of_no_chain_may_run_for_longer_than_it_is_remembered(
    build_application: Any,
) -> None:
    board = build_application().board
    client, place = board.clients.get(), Place("", 1, 0, "alone")
    live = board.keys.lone("alone")

    def left_after(move: Callable[[], Any]) -> int:
        client.expire(live, 5)
        move()
        return int(client.ttl(live))

    token = board.begin(place, actor="alone", worker="w", retries=0).token
    week = 7 * 86_400
    assert client.ttl(live) > week
    assert left_after(lambda: board.progress(place, token, 10, "{}", None)) > week
    assert left_after(lambda: board.progress(place, token, 20, "{}", None)) > week
    assert left_after(lambda: board.apply(board.retry(place, token, "{}", "no", "", 1, 0))) > week
    token = board.begin(place, actor="alone", worker="w", retries=1).token
    assert left_after(lambda: board.apply(board.finish(place, token, "{}", "1"))) <= 3600


def test_enqueue_hooks_hear_of_every_message_of_a_chain(application: Application, work: Work) -> None:
    heard: list[str] = []

    class Witness(Middleware):
        def after_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            heard.append(message.actor_name)

    application.broker.add_middleware(Witness())

    @stage
    def one(document: Any) -> Any:
        return document

    @stage
    def two(document: Any) -> Any:
        return document

    chain_id = Workflow("heard", [one, two]).start({})
    work(application)
    ended(application, chain_id)
    assert heard == ["one", "two"]


def test_a_message_that_cannot_be_decoded_keeps_no_other_from_running(
    build_application: Any, work: Work
) -> None:
    application = build_application()

    @stage
    def body(document: Any) -> Any:
        return document

    workflow = Workflow("beside", [body])
    before = workflow.start(1)
    application.broker.do_enqueue("default", "poison", b"\xff no message")
    after = workflow.start(2)
    work(application)
    assert ended(application, before).final_result == 1
    assert ended(application, after).final_result == 2


def test_a_message_without_a_whole_place_is_rejected(build_application: Any, work: Work) -> None:
    application = build_application()
    calls: list[Any] = []

    @stage
    def body(document: Any) -> Any:
        calls.append(document)

    message = body.message_with_options(args=(1,), callboard={"chain": "x"})
    application.broker.enqueue(message)
    work(application)
    dead = f"{application.broker.namespace}:default.XQ"
    wait_until(lambda: application.board.clients.get().zcard(dead) == 1)
    assert calls == []


def test_a_message_left_over_from_an_ended_chain_brings_nothing_back(
    application: Application, work: Work
) -> None:
    calls: list[Any] = []

    @stage
    def body(document: Any) -> Any:
        calls.append(document)
        return document

    workflow = Workflow("over", [body])
    chain_id = workflow.start(1)
    work(application)
    ended(application, chain_id)
    recorded(application)
    application.board.clients.get().delete(application.board.keys.live(chain_id))
    application.broker.enqueue(workflow.first_messages(chain_id, 1)[0])
    done = threading.Event()

    @dramatiq.actor
    def last() -> None:
        done.set()

    last.send()
    assert done.wait(60)
    assert (application.board.chain(chain_id), calls) == (None, [1])
