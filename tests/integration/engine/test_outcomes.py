"""Every run's outcome is told, whatever its body and other people's hooks do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker
from dramatiq.middleware import Retries
from waiting import wait_until

from actors.application import Application
from actors.control import send_again
from actors.progress import progress
from actors.workflow import Workflow, parallel, stage

Work = Callable[..., Worker]


def test_a_report_that_is_no_json_is_refused_by_name_and_spoils_nothing(
    build_application: Any, work: Work
) -> None:
    application = build_application()
    errors: list[str] = []

    @stage(max_retries=0)
    def body(document: Any) -> Any:
        for share in (float("nan"), {1}, b"1"):
            try:
                progress(10, share=share)
            except ValueError as error:
                errors.append(str(error).partition(":")[0])
        mine: list[Any] = [1]
        progress(20, pages=mine)
        mine.append(object())
        return "done"

    chain_id = Workflow("refused report", [body]).start(1)
    work(application)
    assert ended(application, chain_id).final_result == "done"
    assert errors == ["share"] * 3
    array = application.board.array(chain_id)
    assert array is not None
    assert array[0]["metadata"]["pages"] == [1]
    recorded(application)
    check_stores(application, chain_id)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_hook_that_is_interrupted_fails_the_stage_and_leaves_no_chain_standing(
    application: Application, work: Work
) -> None:
    class Leaving(dramatiq.Middleware):
        """As a time limit may strike between a body's end and the limit's own hook."""

        def after_process_message(
            self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
        ) -> None:
            if message.actor_name == "interrupted":
                raise SystemExit("struck in a hook")

    @stage
    def interrupted(document: Any) -> Any:
        return document

    application.broker.add_middleware(Leaving(), before=Retries)
    chain_id = Workflow("interrupted hook", [interrupted]).start(1)
    work(application)
    chain = ended(application, chain_id)
    assert (chain.status, chain.error) == ("FAILURE", "Task interrupted failed: struck in a hook")
    recorded(application)
    check_stores(application, chain_id)


def test_a_hook_that_is_interrupted_once_the_result_is_known_takes_nothing_back(
    build_application: Any, work: Work
) -> None:
    application = build_application()

    class Late(dramatiq.Middleware):
        def after_process_message(
            self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
        ) -> None:
            if exception is None:
                raise SystemExit("struck behind Tracking")

    @stage
    def counted(document: Any) -> Any:
        return document

    # Its after hook comes last of all.
    application.broker.middleware.insert(0, Late())
    chain_id = Workflow("late hook", [counted]).start(1)
    work(application)
    assert ended(application, chain_id).final_result == 1


def test_a_retry_that_cannot_be_sent_as_it_is_is_made_anew_by_the_sweep(
    application: Application, work: Work
) -> None:
    class Scribbling(dramatiq.Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            message.options["mine"] = object()

    calls: list[int] = []

    @stage(max_retries=1, min_backoff=1, max_backoff=1)
    def body(document: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        return document

    application.broker.add_middleware(Scribbling())
    chain_id = Workflow("scribbled", [body]).start(1)
    work(application)
    wait_until(lambda: (application.board.task(chain_id, 1) or {}).get("status") == "RETRY")
    # RabbitMQ's queues cannot be looked into: there a retry counts as on its way for a minute.
    task = application.board.task(chain_id, 1) or {}
    fields = json.dumps({**task, "due": 0})
    application.board.clients.get().hset(application.board.keys.live(chain_id), "1.0", fields)
    wait_until(lambda: send_again(chain_id, application=application))
    assert ended(application, chain_id).final_result == 1
    assert len(calls) == 2


def test_an_error_as_long_as_a_book_is_cut_wherever_it_is_shown(build_application: Any, work: Work) -> None:
    application = build_application()

    @stage(max_retries=0)
    def wordy(document: Any) -> Any:
        raise ValueError("가" * 1_000_000)

    chain_id = Workflow("wordy", [wordy]).start(1)
    work(application)
    assert ended(application, chain_id).error == "Task wordy failed: " + "가" * 500
    fields: Any = application.board.clients.get().hgetall(application.board.keys.live(chain_id))
    assert max(map(len, fields.values())) < 10_000


def test_an_actor_that_a_body_calls_is_a_function(application: Application, work: Work) -> None:
    inner_results: list[Any] = []

    @dramatiq.actor
    def inner(number: int) -> Any:
        return {"inner": number}

    @stage(max_retries=0)
    def outer(document: Any) -> Any:
        inner_results.append(inner(7))
        return {"no", "json"}

    chain_id = Workflow("calling", [outer]).start(1)
    work(application)
    chain = ended(application, chain_id)
    assert (chain.status, inner_results) == ("FAILURE", [{"inner": 7}])
    assert "outer returned what is not JSON" in chain.error


def test_an_error_that_cannot_say_what_it_is_is_tried_again(build_application: Any, work: Work) -> None:
    application = build_application()
    calls: list[int] = []

    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    @stage(max_retries=1, min_backoff=1, max_backoff=1)
    def body(document: Any) -> Any:
        calls.append(1)
        raise Speechless

    chain_id = Workflow("speechless", [body]).start(1)
    work(application)
    assert (ended(application, chain_id).error, len(calls)) == ("Task body failed: Speechless", 2)


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit("g"), StopIteration("s"), KeyboardInterrupt("k")]
)
def test_errors_that_are_no_exceptions_are_tried_again_and_told(
    build_application: Any, work: Work, error: BaseException
) -> None:
    application = build_application()
    calls: list[int] = []

    @stage(max_retries=1, min_backoff=1, max_backoff=1)
    def body(document: Any) -> Any:
        calls.append(1)
        raise error

    chain_id = Workflow("leaving", [body]).start(1)
    work(application)
    chain = ended(application, chain_id)
    assert (chain.status, chain.error, len(calls)) == ("FAILURE", f"Task body failed: {error}", 2)


def test_one_member_and_the_same_actor_many_times(application: Application, work: Work) -> None:
    seen = threading.Event()

    @stage
    def first(document: Any) -> Any:
        return document

    @stage
    def twice(number: Any) -> Any:
        seen.set()
        return (number[0] if isinstance(number, list) else number) + 1

    workflow = Workflow(
        "crowd",
        [
            first,
            parallel(twice, name="one"),
            parallel(*[twice] * 3, name="three"),
            parallel(twice, twice, name="two"),
        ],
    )
    chain_id = workflow.start(1)
    work(application)
    assert ended(application, chain_id).final_result == [4, 4]
    recorded(application)
    check_stores(application, chain_id)
