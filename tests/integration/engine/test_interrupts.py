"""What ends a run from outside: a revoke, a takeover, a shutdown, and workers that keep dying."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from chains import check_stores, ended, held_at_retry, recorded
from dramatiq import Worker
from dramatiq.middleware import Retries
from waiting import wait_until

from actors.application import Application
from actors.control import resume, revoke
from actors.progress import progress
from actors.workflow import Workflow, parallel, stage, task_id
from db.chains import Place

Work = Callable[..., Worker]


def test_a_revoked_stage_that_never_reports_is_interrupted(application: Application, work: Work) -> None:
    entered, left = threading.Event(), threading.Event()
    after: list[str] = []

    @stage
    def busy(document: Any) -> Any:
        entered.set()
        try:
            for _ in range(6000):
                time.sleep(0.01)
        finally:
            left.set()

    @dramatiq.actor
    def next_one() -> None:
        time.sleep(0.05)
        after.append("undisturbed")

    chain_id = Workflow("interrupted", [busy]).start(1)
    work(application, worker_threads=1)
    assert entered.wait(60)
    next_one.send()
    receipt = revoke(chain_id, application=application)
    assert [(one.stage, one.member, one.was, one.outcome) for one in receipt] == [
        (1, 0, "STARTED", "told to stop")
    ]
    assert left.wait(60)
    wait_until(lambda: after)
    assert ended(application, chain_id).status == "REVOKED"
    recorded(application)
    check_stores(application, chain_id)


@pytest.mark.parametrize("leaving", ["at once", "at its report", "with an error of its own"])
def test_a_revoked_run_is_neither_a_failure_nor_a_success_to_other_middleware(
    application: Application, work: Work, leaving: str
) -> None:
    told: list[str] = []

    class Pager(dramatiq.Middleware):
        def after_process_message(
            self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
        ) -> None:
            told.append("failed" if message.failed else "processed")

        def after_skip_message(self, broker: Any, message: Any) -> None:
            told.append("skipped")

    entered, may_report = threading.Event(), threading.Event()

    @stage(max_retries=3, min_backoff=1, max_backoff=1)
    def body(document: Any) -> Any:
        entered.set()
        if leaving == "at its report":
            may_report.wait(60)
            progress(50)
        try:
            for _ in range(6000):
                time.sleep(0.01)
        except BaseException as error:
            if leaving == "with an error of its own":
                raise ValueError("the connection was cut") from error
            raise

    application.broker.add_middleware(Pager(), before=Retries)
    chain_id = Workflow("paged", [body]).start(1)
    work(application)
    assert entered.wait(60)
    revoke(chain_id, application=application)
    may_report.set()
    wait_until(lambda: told)
    time.sleep(0.2)
    assert told == ["skipped"]
    assert ended(application, chain_id).status == "REVOKED"


def test_a_body_that_has_called_an_actor_can_still_be_interrupted(build_application: Any, work: Work) -> None:
    application = build_application()
    entered, left = threading.Event(), []

    @dramatiq.actor
    def inner(number: int) -> int:
        return number

    @stage
    def outer(document: Any) -> Any:
        inner(7)
        entered.set()
        try:
            for _ in range(1000):
                time.sleep(0.01)
        except BaseException as error:
            left.append(type(error).__name__)
            raise

    chain_id = Workflow("calling", [outer]).start(1)
    work(application)
    assert entered.wait(10)
    revoke(chain_id, application=application)
    assert wait_until(lambda: left) == ["RunLost"]


def test_a_stage_that_cannot_be_interrupted_is_fenced(application: Application, work: Work) -> None:
    entered, gate, swallowed = threading.Event(), threading.Event(), []

    @stage
    def stubborn(document: Any) -> Any:
        entered.set()
        while not gate.is_set():
            try:
                time.sleep(0.01)
            except BaseException as error:
                swallowed.append(type(error).__name__)
        return "finished all the same"

    chain_id = Workflow("stubborn", [stubborn]).start(1)
    work(application)
    assert entered.wait(60)
    revoke(chain_id, application=application)
    wait_until(lambda: swallowed)
    gate.set()
    time.sleep(0.5)
    chain = ended(application, chain_id)
    assert (chain.status, chain.final_result, swallowed) == ("REVOKED", None, ["RunLost"])


def test_queued_and_retrying_tasks_are_revoked_without_running(application: Application, work: Work) -> None:
    calls: list[str] = []

    @stage(max_retries=3, min_backoff=200, max_backoff=200)
    def failing(document: Any) -> Any:
        calls.append("failing")
        raise ValueError("no")

    @stage(queue_name="elsewhere")
    def waiting(document: Any) -> Any:
        calls.append("waiting")

    retrying = Workflow("retrying", [failing]).start(1)
    queued = Workflow("queued", [waiting]).start(1)
    with held_at_retry(application) as reached:
        worker = work(application, queues={"default"}, worker_threads=1)
        assert reached.wait(60)
        assert revoke(retrying, application=application)[0].outcome == "its retry is called off"
        assert revoke(queued, application=application)[0].outcome == "will not run"
    worker.stop()
    work(application)
    time.sleep(1)  # by then both have come again: nothing can be waited for that must not happen
    assert calls == ["failing"]
    assert {ended(application, chain_id).status for chain_id in (retrying, queued)} == {"REVOKED"}


def test_a_chain_resumed_while_its_revoked_run_is_still_leaving(build_application: Any, work: Work) -> None:
    application = build_application()
    entered, gate, calls = threading.Event(), threading.Event(), []

    @stage
    def body(document: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            return "second"
        entered.set()
        while not gate.is_set():
            try:
                time.sleep(0.01)
            except BaseException:
                continue
        return "first"

    chain_id = Workflow("leaving", [body]).start(1)
    worker = work(application, worker_threads=1)
    assert entered.wait(60)
    revoke(chain_id, application=application)
    # No thread is free, so that its message still waits when the first run lets its own go.
    resume(chain_id, application=application)
    gate.set()
    assert ended(application, chain_id).final_result == "second"
    worker.stop()


def test_a_shutdown_gives_back_what_does_not_end_in_time(application: Application, work: Work) -> None:
    entered, gate, calls = threading.Event(), threading.Event(), []

    @stage
    def slow(document: Any) -> Any:
        calls.append(1)
        entered.set()
        if len(calls) == 1:
            gate.wait(60)
            return "from the worker that was told to go"
        return "from its successor"

    @stage
    def after(document: Any) -> Any:
        return document

    chain_id = Workflow("handed back", [slow, after]).start(1)
    worker = work(application)
    assert entered.wait(60)
    worker.stop(timeout=300)
    task = application.board.task(chain_id, 1)
    assert task is not None
    assert (task["status"], task.get("deaths", 0)) == ("PENDING", 0)
    # RabbitMQ learns it from the end of the process, which lives on here.
    if not application.broker.namespace_of_queues:
        application.broker.launch(
            application.board.resend(chain_id, 1, ""), Workflow.first_messages(_of(application), chain_id, 1)
        )
    work(application)
    assert ended(application, chain_id).final_result == "from its successor"
    gate.set()
    time.sleep(0.3)
    recorded(application)
    check_stores(application, chain_id)
    assert len(calls) == 2


def _of(application: Application) -> Workflow:
    return application.workflow("handed back")


@pytest.mark.parametrize("policy", ["fail", "continue"])
def test_a_task_under_which_workers_keep_dying_fails(build_application: Any, work: Work, policy: str) -> None:
    application = build_application(MAX_WORKER_DEATHS="2")
    ran: list[Any] = []

    @stage
    def deadly(document: Any) -> Any:
        ran.append("deadly")

    @stage
    def harmless(document: Any) -> Any:
        return "fine"

    @stage
    def after(results: Any) -> Any:
        return results

    workflow = Workflow("deadly", [parallel(deadly, harmless, on_failure=policy), after])
    chain_id = workflow.start(1)
    place = Place(chain_id, 1, 1, task_id(chain_id, 1, 1))
    for _ in range(2):
        begun = application.board.begin(place, actor="deadly", worker="host:1:dead", retries=0)
        assert begun.verdict == "go"
    work(application)
    chain = ended(application, chain_id)
    recorded(application)
    check_stores(application, chain_id)
    assert ran == []
    error = "the worker died 2 times in this stage (out of memory?)"
    assert application.board.task(chain_id, 1, 1)["error"] == error
    if policy == "fail":
        assert (chain.status, error in chain.error) == ("FAILURE", True)
    else:
        assert chain.final_result == [{"failed": "deadly", "error": error}, "fine"]
