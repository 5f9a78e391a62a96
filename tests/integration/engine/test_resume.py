"""Chains that go on after an end, or after they were lost, as if nothing had come between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker
from waiting import wait_until

from actors.application import Application
from actors.control import resume, revoke, send_again
from actors.progress import progress
from actors.sweep import Sweep
from actors.workflow import Workflow, parallel, stage

Work = Callable[..., Worker]


def test_a_member_told_to_stop_when_another_had_failed_runs_again(
    application: Application, work: Work
) -> None:
    begun, failed, calls = threading.Event(), threading.Event(), []

    @stage(max_retries=0)
    def breaks(document: Any) -> Any:
        calls.append("breaks")
        if calls.count("breaks") == 1:
            assert begun.wait(10)
            raise ValueError("no")
        return "mended"

    @stage
    def reports(document: Any) -> Any:
        calls.append("reports")
        if calls.count("reports") == 1:
            progress(30)
            begun.set()
            assert failed.wait(10)
            progress(50)
        return "reported"

    chain_id = Workflow("told", [parallel(breaks, reports)]).start(1)
    work(application)
    assert ended(application, chain_id).status == "FAILURE"
    failed.set()
    wait_until(lambda: (application.board.task(chain_id, 1, 2) or {})["status"] == "PENDING")
    recorded(application)
    check_stores(application, chain_id)
    resume(chain_id, application=application)
    assert ended(application, chain_id).final_result == ["mended", "reported"]
    recorded(application)
    check_stores(application, chain_id)


def test_a_run_of_a_later_stage_is_fenced_when_its_inputs_are_made_anew(
    application: Application, work: Work
) -> None:
    gate, calls = threading.Event(), []

    @stage
    def source(document: Any) -> Any:
        calls.append("source")
        return len(calls)

    @stage(max_retries=0)
    def breaks(number: int) -> Any:
        if number == 1:
            raise ValueError("no")
        return number

    @stage
    def slow(number: int) -> Any:
        if number == 1:
            gate.wait(10)
        return number

    chain_id = Workflow("anew", [source, parallel(breaks, slow)]).start(1)
    work(application)
    assert ended(application, chain_id).status == "FAILURE"
    resume(chain_id, from_stage=1, application=application)
    wait_until(lambda: len(calls) == 2)
    gate.set()
    assert ended(application, chain_id).final_result == [2, 2]
    recorded(application)
    check_stores(application, chain_id)


def test_a_stage_behind_pipe_ignore_is_called_without_arguments_however_it_is_sent(
    application: Application, work: Work
) -> None:
    calls: list[Any] = []

    @stage(pipe_ignore=True)
    def first(document: Any) -> Any:
        return "nobody wants it"

    @stage(max_retries=0)
    def second(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise ValueError("no")

    workflow = Workflow("ignoring", [first, second])
    chain_id = workflow.start(1)
    worker = work(application)
    assert ended(application, chain_id).status == "FAILURE"
    worker.stop()
    resume(chain_id, application=application)
    # As if its message had got lost.
    application.broker.flush_all()
    assert send_again(chain_id, application=application) == [1]
    work(application)
    assert ended(application, chain_id).status == "SUCCESS"
    assert calls == [(), ()]


def test_a_chain_whose_workflow_has_fewer_members_now_holds_up_no_other(build_application: Any) -> None:
    application = build_application()

    @stage
    def member(document: Any) -> Any:
        return document

    declared = Workflow("papers", [parallel(member, member, member, name="Papers")])
    redefined, lost = declared.start(1), Workflow("letter", [member]).start(2)
    del application.workflows["papers"]
    Workflow("papers", [parallel(member, member, name="Papers")])
    application.broker.flush_all()
    client, sweep = application.board.clients.get(), Sweep(application)
    client.zadd(application.board.keys.open, {redefined: 1, lost: 2})
    sweep.tick()
    assert client.llen("callboard:dramatiq:default") == 1
    with pytest.raises(Exception, match=r"Papers \(3 side by side\).*now has.*2 side by side"):
        send_again(redefined, application=application)


def test_a_chain_that_nobody_can_read_holds_up_no_other(build_application: Any) -> None:
    application = build_application()

    @stage
    def body(document: Any) -> Any:
        return document

    workflow = Workflow("read", [body])
    broken, lost = workflow.start(1), workflow.start(2)
    application.broker.flush_all()
    client, keys = application.board.clients.get(), application.board.keys
    client.hset(keys.live(broken), "facts", "{}")
    client.zadd(keys.open, {broken: 1, lost: 2})
    Sweep(application).tick()
    assert client.llen("callboard:dramatiq:default") == 1
    assert client.zscore(keys.open, broken) > time.time() * 1000


@pytest.mark.parametrize("again", ["resumed", "restored"])
def test_a_message_from_before_brings_no_result_from_before(
    application: Application, work: Work, again: str
) -> None:
    seen: list[Any] = []

    @stage
    def first(document: Any) -> Any:
        return "new"

    @stage(queue_name="later")
    def second(document: Any) -> Any:
        seen.append(document)
        return document

    workflow = Workflow("twice", [first, second])
    chain_id = workflow.start(1)
    if again == "resumed":
        revoke(chain_id, application=application)
        resume(chain_id, application=application, from_stage=1)
    else:
        application.board.clients.get().flushdb()
        assert application.status.restore(chain_id)
        send_again(chain_id, application=application)
    worker = work(application, queues={"default"})
    wait_until(lambda: application.board.chain(chain_id).state["current"] == 2)
    worker.stop()
    # A worker had it in its hands, or it waited for its retry.
    (late,) = workflow.first_messages(chain_id, "old", from_stage=2)
    application.broker.enqueue(late)
    work(application)
    assert ended(application, chain_id).final_result == "new"
    assert seen == ["new"]
