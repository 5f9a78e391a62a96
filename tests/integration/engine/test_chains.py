"""A chain from its start to the ledger, on each broker."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from chains import check_stores, ended, held_at_retry, raw_array, recorded
from dramatiq import Worker
from dramatiq.middleware import SkipMessage
from waiting import wait_until

from actors.application import Application
from actors.control import resume, revoke
from actors.progress import current_stage, progress
from actors.workflow import Workflow, parallel, stage
from callboard.errors import ChainStateError
from middleware.run import RunLost

Work = Callable[..., Worker]


def four_stages(calls: list[str]) -> list[Any]:
    def declare(name: str) -> Any:
        @stage(name=name, actor_name=f"pipeline.{name.lower()}")
        def body(document: dict[str, Any]) -> dict[str, Any]:
            calls.append(name)
            progress(50, substep="half")
            return {**document, name: True}

        return body

    return [declare(name) for name in ("OCRStage", "LLMStage", "LayoutStage", "ExcelStage")]


def test_a_chain_of_four_runs_in_order_and_both_stores_agree(application: Application, work: Work) -> None:
    calls: list[str] = []
    workflow = Workflow("four", four_stages(calls))
    chain_id = workflow.start({"file_path": "scan.png"}, initiated_by="api_server")

    array = json.loads(raw_array(application, chain_id))
    assert [entry["metadata"]["stage_name"] for entry in array] == [
        "OCRStage",
        "LLMStage",
        "LayoutStage",
        "ExcelStage",
    ]
    assert [(entry["status"], entry["progress"], entry["process_status"]) for entry in array] == [
        ("PENDING", 0, "PENDING")
    ] * 4
    assert application.ledger.read_chain(chain_id).chain.status == "PENDING"

    work(application)
    chain = ended(application, chain_id)
    recorded(application)
    assert chain.status == "SUCCESS"
    assert calls == ["OCRStage", "LLMStage", "LayoutStage", "ExcelStage"]
    assert chain.final_result == {"file_path": "scan.png", **dict.fromkeys(calls, True)}
    check_stores(application, chain_id)
    record = application.ledger.read_chain(chain_id)
    assert record.chain.final_result == chain.final_result
    assert record.chain.initiated_by == "api_server"
    assert record.chain.started_at <= record.chain.finished_at
    assert [task.task_name for task in record.tasks] == [f"pipeline.{name.lower()}" for name in calls]
    assert all(task.worker for task in record.tasks)
    assert 0 < application.board.clients.get().ttl(chain_id) <= 3600
    assert 0 < application.board.clients.get().ttl(application.board.keys.live(chain_id)) <= 3600


def test_the_status_array_is_the_documented_one_byte_for_byte(application: Application, work: Work) -> None:
    going_on = threading.Event()

    @stage(name="특성 추출")
    def extract(document: Any) -> Any:
        progress(50, substep="벡터화")
        going_on.wait(60)
        return document

    chain_id = Workflow("features", [extract]).start({})
    work(application)
    wait_until(lambda: '"progress":50' in raw_array(application, chain_id))
    text = raw_array(application, chain_id)
    (entry,) = json.loads(text)
    assert text == (
        f'[{{"chain_id":"{chain_id}","stage":1,"status":"PENDING","progress":50,'
        f'"created_at":{entry["created_at"]!r},"updated_at":{entry["updated_at"]!r},'
        '"metadata":{"stage_name":"특성 추출","substep":"벡터화"},"process_status":"RUNNING"}]'
    )
    going_on.set()
    ended(application, chain_id)
    (entry,) = json.loads(raw_array(application, chain_id))
    assert (entry["status"], entry["progress"]) == ("SUCCESS", 100)
    assert entry["metadata"]["execution_time"] > 0


def test_a_begun_stage_shows_progress_before_its_first_report(application: Application, work: Work) -> None:
    going_on = threading.Event()

    @stage
    def quiet(document: Any) -> Any:
        going_on.wait(60)

    chain_id = Workflow("quiet", [quiet]).start({})
    work(application)
    entry = wait_until(lambda: [e for e in application.board.array(chain_id) if e["progress"] > 0])[0]
    assert (entry["status"], entry["process_status"], entry["progress"]) == ("PENDING", "STARTED", 1)
    going_on.set()
    ended(application, chain_id)


def test_a_stage_that_recovers_is_retried_and_its_retry_is_seen(application: Application, work: Work) -> None:
    attempts: list[int] = []

    @stage(name="shaky", max_retries=3, min_backoff=50, max_backoff=50)
    def shaky(document: Any) -> Any:
        attempts.append(current_stage().attempt)
        if len(attempts) < 2:
            raise ValueError("not yet")
        return "well"

    chain_id = Workflow("recovering", [shaky]).start({})
    with held_at_retry(application) as reached:
        work(application, worker_threads=1)
        assert reached.wait(60)
        (entry,) = application.board.array(chain_id)
        assert (entry["status"], entry["process_status"]) == ("PENDING", "RETRY")
        assert entry["metadata"]["error"] == "not yet"
        assert entry["metadata"]["retry_at"] > entry["created_at"]
    assert ended(application, chain_id).final_result == "well"
    recorded(application)
    check_stores(application, chain_id)
    assert attempts == [1, 2]
    (task,) = application.ledger.read_chain(chain_id).tasks
    assert (task.status, task.retries, task.attempt, task.error) == ("SUCCESS", 1, 2, None)


def test_a_failed_chain_says_why_and_resumes_without_repeating(application: Application, work: Work) -> None:
    calls: list[str] = []
    broken = [True]

    @stage(name="first")
    def first(document: Any) -> Any:
        calls.append("first")
        return {"from": "first"}

    @stage(name="second", max_retries=1, min_backoff=50, max_backoff=50)
    def second(document: Any) -> Any:
        calls.append("second")
        if broken[0]:
            raise RuntimeError("the disk is full")
        return {**document, "then": "second"}

    @stage(name="third")
    def third(document: Any) -> Any:
        calls.append("third")
        return document

    chain_id = Workflow("breaking", [first, second, third]).start({})
    work(application)
    chain = ended(application, chain_id)
    recorded(application)
    check_stores(application, chain_id)
    assert (chain.status, chain.error) == ("FAILURE", "Task second failed: the disk is full")
    array = application.board.array(chain_id)
    assert [entry["status"] for entry in array] == ["SUCCESS", "FAILURE", "PENDING"]
    assert array[1]["metadata"]["error"] == "the disk is full"
    record = application.ledger.read_chain(chain_id)
    assert record.chain.error_message == chain.error
    assert (record.tasks[1].status, record.tasks[1].error) == ("FAILURE", "the disk is full")
    assert "RuntimeError" in record.tasks[1].traceback
    assert "in second" in record.tasks[1].traceback

    broken[0] = False
    assert resume(chain_id) == 2
    assert ended(application, chain_id).final_result == {"from": "first", "then": "second"}
    recorded(application)
    check_stores(application, chain_id)
    assert calls == ["first", "second", "second", "second", "third"]
    with pytest.raises(ChainStateError, match="SUCCESS"):
        resume(chain_id)


def test_resume_works_after_the_board_has_forgotten_the_chain(application: Application, work: Work) -> None:
    broken = [True]

    @stage
    def first(document: Any) -> Any:
        return {"kept": document["n"]}

    @stage(max_retries=0)
    def second(document: Any) -> Any:
        if broken[0]:
            raise RuntimeError("broken")
        return document

    chain_id = Workflow("forgotten", [first, second]).start({"n": 7})
    work(application)
    assert ended(application, chain_id).status == "FAILURE"
    recorded(application)
    application.board.clients.get().delete(chain_id, application.board.keys.live(chain_id))
    assert application.status.read(chain_id).source == "ledger"
    broken[0] = False
    assert resume(chain_id) == 2
    assert ended(application, chain_id).final_result == {"kept": 7}
    recorded(application)
    check_stores(application, chain_id)


def test_members_of_a_parallel_stage_run_side_by_side_and_arrive_in_order(
    application: Application, work: Work
) -> None:
    together = threading.Barrier(3, timeout=60)

    def member(number: int) -> Any:
        @stage(name=f"member {number}", actor_name=f"member{number}")
        def body(document: Any) -> Any:
            together.wait()
            time.sleep(0.02 * (3 - number))
            return number * document

        return body

    @stage
    def spread(document: Any) -> Any:
        return 10

    @stage
    def gather(results: list[int]) -> Any:
        return results

    workflow = Workflow("fan", [spread, parallel(member(1), member(2), member(3), name="all"), gather])
    assert isinstance(workflow.compile("x", 1), dramatiq.pipeline)
    assert isinstance(workflow.compile("x", 1, from_stage=2), dramatiq.group)
    chain_id = workflow.start({})
    work(application)
    assert ended(application, chain_id).final_result == [10, 20, 30]
    recorded(application)
    check_stores(application, chain_id)
    members = application.board.array(chain_id)[1]["metadata"]["members"]
    assert [entry["name"] for entry in members] == ["member 1", "member 2", "member 3"]


@pytest.mark.parametrize("policy", ["fail", "continue"])
def test_a_member_that_fails_for_good(application: Application, work: Work, policy: str) -> None:
    gathered: list[Any] = []
    begun = threading.Event()

    @stage(name="good")
    def good(document: Any) -> Any:
        begun.set()
        return "good"

    @stage(name="bad", max_retries=0)
    def bad(document: Any) -> Any:
        begun.wait(60)
        raise ValueError("bad luck")

    @stage(name="gather", min_backoff=20, max_backoff=20)
    def gather(results: list[Any]) -> Any:
        if current_stage().attempt == 1:
            raise ValueError("a retry is called with the same results")
        gathered.append(results)
        return results

    chain_id = Workflow("half", [parallel(good, bad, on_failure=policy), gather]).start({})
    work(application)
    chain = ended(application, chain_id)
    wait_until(lambda: application.board.chain(chain_id).state["completed"] >= 1)
    recorded(application)
    check_stores(application, chain_id)
    if policy == "fail":
        assert (chain.status, gathered) == ("FAILURE", [])
    else:
        expected = ["good", {"failed": "bad", "error": "bad luck"}]
        assert (chain.status, chain.final_result, gathered) == ("SUCCESS", expected, [expected])


def test_a_parallel_stage_may_be_the_last(application: Application, work: Work) -> None:
    @stage
    def left(document: Any) -> Any:
        return "left"

    @stage
    def right(document: Any) -> Any:
        return "right"

    chain_id = Workflow("ends", [parallel(left, right)]).start({})
    work(application)
    assert ended(application, chain_id).final_result == ["left", "right"]
    recorded(application)
    check_stores(application, chain_id)


@pytest.mark.parametrize(
    ("result", "words"),
    [({1, 2}, "not JSON"), (float("nan"), "not JSON")],
    ids=["set", "nan"],
)
def test_a_result_that_cannot_be_stored_fails_its_stage_by_name(
    application: Application, work: Work, result: Any, words: str
) -> None:
    runs: list[int] = []

    @stage(name="Thoughtless")
    def thoughtless(document: Any) -> Any:
        runs.append(1)
        return result

    @stage
    def after(document: Any) -> Any:
        return None

    chain_id = Workflow("unstorable", [thoughtless, after]).start({})
    work(application)
    chain = ended(application, chain_id)
    assert chain.status == "FAILURE"
    assert "Thoughtless returned" in chain.error
    assert words in chain.error
    assert runs == [1]


def test_a_stage_that_skips_itself_ends_its_chain(application: Application, work: Work) -> None:
    @stage
    def skipping(document: Any) -> Any:
        raise SkipMessage("not today")

    chain_id = Workflow("skipped", [skipping]).start({})
    work(application)
    chain = ended(application, chain_id)
    assert chain.status == "FAILURE"
    assert "skipped" in chain.error


def test_a_plain_actor_is_a_stage_too(application: Application, work: Work) -> None:
    @dramatiq.actor
    def plain(document: Any) -> Any:
        progress(20)
        return {"plain": document}

    chain_id = Workflow("plain_workflow", ["plain"]).start(3)
    work(application)
    assert ended(application, chain_id).final_result == {"plain": 3}
    assert application.board.array(chain_id)[0]["metadata"]["stage_name"] == "plain"


def test_a_revoked_chain_stops_at_the_next_report(application: Application, work: Work) -> None:
    running, stopped = threading.Event(), threading.Event()
    after: list[Any] = []

    @stage
    def endless(document: Any) -> Any:
        try:
            for step in range(1200):
                progress(50, step=step)
                running.set()
                time.sleep(0.05)
        except Exception:  # a stage's own net must not catch it
            after.append("caught")
        except RunLost:
            stopped.set()
            raise

    @stage
    def never(document: Any) -> Any:
        after.append("ran")

    chain_id = Workflow("revocable", [endless, never]).start({})
    work(application)
    assert running.wait(60)
    (receipt,) = revoke(chain_id, "the customer has left")
    assert receipt.was == "RUNNING"
    assert stopped.wait(60)
    recorded(application)
    check_stores(application, chain_id)
    record = application.ledger.read_chain(chain_id)
    assert (record.chain.status, record.chain.error_message) == ("REVOKED", "the customer has left")
    assert [task.status for task in record.tasks] == ["REVOKED"]
    assert after == []
    with pytest.raises(ChainStateError, match="REVOKED"):
        revoke(chain_id)


def test_a_chain_revoked_in_the_queue_never_runs(application: Application, work: Work) -> None:
    calls: list[str] = []

    @stage
    def body(document: Any) -> Any:
        calls.append(document)
        return document

    workflow = Workflow("queued", [body])
    revoked, other = workflow.start("revoked"), workflow.start("other")
    revoke(revoked)
    work(application)
    ended(application, other)
    recorded(application)
    check_stores(application, revoked)
    assert calls == ["other"]
    assert application.status.find(revoked).status == "REVOKED"


def test_progress_never_goes_back_and_asks_redis_only_for_news(
    application: Application, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    asked: list[int] = []
    ask = application.board.progress

    def counted(*arguments: Any) -> bool:
        asked.append(1)
        return ask(*arguments)

    @stage
    def reporting(document: Any) -> Any:
        for percent in (10, 60, 30, 60.4, 60.9):
            progress(percent)
            seen.append(application.board.array(current_stage().chain_id)[0]["progress"])
        for _ in range(500):
            progress(60.5, substep="the same")

    monkeypatch.setattr(application.board, "progress", counted)
    chain_id = Workflow("reports", [reporting]).start({})
    work(application)
    ended(application, chain_id)
    assert seen == [10, 60, 60, 60, 60]
    assert len(asked) == 3


def test_the_messages_on_the_channel(application: Application, work: Work) -> None:
    listener = application.board.clients.get().pubsub()
    listener.subscribe("shorts:progress")

    @stage(name="PLOT_GENERATION")
    def plot(document: Any) -> Any:
        progress(50, log="플롯 생성 시작")
        return None

    @stage(name="QA")
    def check(document: Any) -> Any:
        progress(50, log="x" * 5_000)
        return None

    workflow = Workflow("shorts", [plot, check], channel="shorts:progress")
    chain_id = workflow.start({}, chain_id="20251105_1430_우주여행고양이")
    work(application)
    ended(application, chain_id)
    messages = []
    while True:
        found = listener.get_message(timeout=0.5)
        if found is None:
            break
        if found["type"] == "message":
            assert len(found["data"]) < 1024
            messages.append(json.loads(found["data"]))
    listener.close()
    assert {message["run_id"] for message in messages} == {"20251105_1430_우주여행고양이"}
    assert {
        "run_id": chain_id,
        "state": "PLOT_GENERATION",
        "progress": 0.25,
        "log": "플롯 생성 시작",
    } in messages
    assert messages[-1] == {"run_id": chain_id, "state": "END", "progress": 1}
    shares = [message["progress"] for message in messages]
    assert shares == sorted(shares)


def test_a_stage_may_be_a_coroutine(application: Application, work: Work) -> None:
    @stage(name="awaiting")
    async def awaiting(document: Any) -> Any:
        await asyncio.sleep(0.01)
        progress(40, substep="awaited")
        return current_stage().chain_id

    chain_id = Workflow("coroutines", [awaiting]).start({})
    work(application)
    assert ended(application, chain_id).final_result == chain_id
    assert application.board.array(chain_id)[0]["metadata"]["substep"] == "awaited"
