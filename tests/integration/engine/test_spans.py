"""Workflows that say what their stages are of a run: shares, weights of members, log lines; and ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker

from actors.application import Application
from actors.control import resume
from actors.progress import progress
from actors.workflow import Workflow, parallel, stage
from callboard.errors import ChainStateError, WorkflowError
from db.chains import percent_done

Work = Callable[..., Worker]
LINES = ["it begins", "side by side", "last", "done 🎉"]


def declare(**options: Any) -> Workflow:
    @stage(name="PLOT")
    def plot(document: Any) -> Any:
        progress(50, log="half a plot")
        return document

    @stage(name="heavy", priority=0)
    def heavy(document: Any) -> Any:
        progress(50, log="half of the heavy one")
        return 1

    @stage(name="light", priority=1)
    def light(document: Any) -> Any:
        progress(50, log="half of the light one")
        return 2

    @stage(name="QA", max_retries=0)
    def check(document: Any) -> Any:
        progress(99, log="nearly")
        if options.get("fails"):
            raise RuntimeError("no")
        return document

    return Workflow(
        "spans",
        [plot, parallel(heavy, light, name="ASSETS", weights=[3, 1]), check],
        channel="spans:progress",
        spans=[(0.1, 0.2), (0.25, 0.65), (0.8, 0.95)],
        log_lines=LINES,
    )


def listen(application: Application) -> Callable[[], list[tuple[Any, ...]]]:
    listener = application.board.clients.get().pubsub()
    listener.subscribe("spans:progress")

    def heard() -> list[tuple[Any, ...]]:
        told = []
        while (found := listener.get_message(timeout=0.5)) is not None:
            if found["type"] == "message":
                message = json.loads(found["data"])
                told.append((message["state"], message["progress"], message.get("log")))
        return told

    return heard


def test_shares_weights_and_lines_on_the_channel(application: Application, work: Work) -> None:
    heard = listen(application)
    chain_id = declare().start({})
    work(application, worker_threads=1)
    assert ended(application, chain_id).status == "SUCCESS"
    assert heard() == [
        ("PLOT", 0.1, "it begins"),
        ("PLOT", 0.15, "half a plot"),
        ("PLOT", 0.2, None),
        ("ASSETS", 0.25, "side by side"),
        ("ASSETS", 0.4, "half of the heavy one"),  # 3/4 of a half of 0.25 to 0.65
        ("ASSETS", 0.55, None),
        ("ASSETS", 0.6, "half of the light one"),
        ("ASSETS", 0.65, None),
        ("QA", 0.8, "last"),
        ("QA", 0.95, "nearly"),
        ("END", 1, "done 🎉"),
    ]
    recorded(application)
    check_stores(application, chain_id)


def test_a_failure_a_resume_and_a_board_that_has_forgotten(
    build_application: Callable[..., Application], work: Work
) -> None:
    application = build_application()
    heard = listen(application)
    chain_id = declare(fails=True).start({})
    work(application, worker_threads=1)
    assert ended(application, chain_id).status == "FAILURE"
    assert heard()[-1][:2] == ("FAILED", 0.95)
    recorded(application)
    client = application.board.clients.get()
    client.delete(application.board.keys.live(chain_id), chain_id)
    assert resume(chain_id, application=application) == 3
    assert ended(application, chain_id).status == "FAILURE"
    told = heard()
    assert told[0] == ("QA", 0.8, "last")  # a stage that begins anew says so
    live = application.board.chain(chain_id)
    assert live is not None
    assert percent_done(live.state, live.plan) == 95


def test_a_line_is_said_once_however_often_a_stage_is_tried(
    build_application: Callable[..., Application], work: Work
) -> None:
    application = build_application()
    heard, tries = listen(application), []

    @stage(name="QA", max_retries=2, min_backoff=10, max_backoff=20)
    def check(document: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("not yet")

    Workflow("spans", [check], channel="spans:progress", log_lines=["begins", "ends"])
    chain_id = application.workflow("spans").start({})
    work(application)
    assert ended(application, chain_id).status == "SUCCESS"
    assert [line for _, _, line in heard() if line] == ["begins", "ends"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"spans": [(0.1, 0.2)]}, r"spans: read \[\(0.1, 0.2\)\], expected 2 pairs"),
        ({"spans": [(0.1, 0.5), (0.4, 1)]}, "never go back"),
        ({"spans": [(0, 0.5), (0.5, 1.5)]}, "shares from 0.0 to 1.0"),
        ({"log_lines": ["one", "two"]}, "log_lines: read 2, expected one for each of the 2 stages"),
    ],
)
def test_what_does_not_fit_is_refused(
    build_application: Callable[..., Application], options: dict[str, Any], said: str
) -> None:
    build_application()

    @stage
    def one(document: Any) -> Any: ...

    @stage
    def two(document: Any) -> Any: ...

    with pytest.raises(WorkflowError, match=said):
        Workflow("unfit", [one, two], **options)
    for weights in ([1], [1, 0]):
        with pytest.raises(WorkflowError, match="expected 2 numbers from 1"):
            parallel(one, two, weights=weights)


def test_a_workflow_makes_its_chains_ids(build_application: Callable[..., Application]) -> None:
    build_application()

    @stage
    def one(document: Any) -> Any: ...

    named = Workflow("named", [one], make_chain_id=lambda data: f"run_{data['name']}")
    assert named.start({"name": "a"}) == "run_a"
    again = named.start({"name": "a"})
    assert again.startswith("run_a_")
    assert named.start({"name": "a"}, idempotency_key="k") == named.start({"name": "a"}, idempotency_key="k")
    assert named.start({"name": "a"}, chain_id="mine") == "mine"
    with pytest.raises(ChainStateError):
        named.start({"name": "a"}, chain_id="mine")
    many = named.start_many([{"name": "b"}] * 4)
    assert len(set(many)) == 4
    assert all(chain_id.startswith("run_b_") for chain_id in many)
    with pytest.raises(WorkflowError, match="expected 1 to 200 letters"):
        named.start({"name": "a/b"})
