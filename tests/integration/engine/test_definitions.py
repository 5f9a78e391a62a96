"""A definition that cannot run says so when it is declared."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from actors.progress import current_stage, progress
from actors.workflow import RETRY_OPTIONS, Workflow, parallel, stage
from callboard.errors import SettingsError, UnknownWorkflow, WorkflowError


@pytest.fixture(autouse=True)
def _on_a_broker_of_ours(build_application: Any) -> None:
    build_application()


def declare(name: str, **options: Any) -> Any:
    return stage(name=name, actor_name=name, **options)(lambda document: document)


def test_no_stages() -> None:
    with pytest.raises(WorkflowError, match="'empty' has no stages"):
        Workflow("empty", [])


def test_two_stages_of_one_name() -> None:
    with pytest.raises(WorkflowError, match="two stages named 'same'"):
        Workflow(
            "twice", [stage(name="same", actor_name="a")(print), stage(name="same", actor_name="b")(print)]
        )


def test_an_unknown_actor() -> None:
    with pytest.raises(WorkflowError, match="no actor is named 'nobody'"):
        Workflow("unknown", ["nobody"])


def test_a_stage_that_is_no_actor() -> None:
    with pytest.raises(WorkflowError, match="decorate it with @stage"):
        Workflow("function", [print])  # type: ignore[list-item]


def test_an_actor_of_a_broker_that_does_not_track() -> None:
    actor = dramatiq.actor(broker=StubBroker(middleware=[]), actor_name="elsewhere")(print)
    with pytest.raises(WorkflowError, match="StubBroker tracks nothing"):
        Workflow("elsewhere", [actor])


def test_two_workflows_of_one_name() -> None:
    Workflow("one", [declare("a")])
    with pytest.raises(WorkflowError, match="two workflows are named 'one'"):
        Workflow("one", ["a"])


def test_parallel_without_members_or_with_an_unknown_policy() -> None:
    with pytest.raises(WorkflowError, match="read 0 actors, expected 1 to 1000"):
        parallel()
    with pytest.raises(WorkflowError, match="read 1001 actors"):
        parallel(*[declare("many")] * 1001)
    with pytest.raises(WorkflowError, match="'fail' or 'continue'"):
        parallel(declare("a"), on_failure="ignore")


def test_an_unknown_workflow_names_the_known() -> None:
    workflow = Workflow("known", [declare("a")])
    with pytest.raises(UnknownWorkflow, match="known: known"):
        workflow.application.workflow("unknown")


def test_a_workflow_compiles_to_pipelines_and_groups() -> None:
    workflow = Workflow(
        "mixed", [declare("a"), declare("b"), parallel(declare("c"), declare("d")), declare("e")]
    )
    compiled = workflow.compile("chain", {"n": 1})
    assert isinstance(compiled, dramatiq.pipeline)
    assert [message.actor_name for message in compiled.messages] == ["a", "b"]
    first = compiled.messages[0]
    assert first.args == ({"n": 1},)
    second = first.options["pipe_target"]
    members = second["options"]["callboard_fan_out"]
    assert [member["actor_name"] for member in members] == ["c", "d"]
    assert second["options"]["callboard_then"]["pipe_target"]["actor_name"] == "e"
    assert not any("pipe_target" in member["options"] for member in members)
    assert isinstance(workflow.compile("chain", from_stage=3), dramatiq.group)


def test_a_message_grows_with_its_workflow_and_not_faster() -> None:
    members = [declare(f"member{number}") for number in range(8)]
    stages = [parallel(*members, name=f"stage {number}") for number in range(8)]
    sizes = [
        len(Workflow(f"of {count}", stages[:count]).first_messages("chain", {})[0].encode())
        for count in (2, 4, 8)
    ]
    assert sizes[2] < 8 * sizes[0]


@pytest.mark.parametrize("name", ["x" * 256, "nul\0", "lone \ud800"])
def test_a_name_that_the_ledger_cannot_hold(name: str) -> None:
    with pytest.raises(WorkflowError, match="up to 255 characters, without NUL"):
        Workflow(name, [declare("a")])
    with pytest.raises(WorkflowError, match="up to 255 characters, without NUL"):
        Workflow("named", [parallel("a", name=name)])


def test_more_stages_than_a_message_can_hold() -> None:
    actor = declare("a")
    with pytest.raises(WorkflowError, match="read 201 stages, expected 200 at most"):
        Workflow("long", [parallel(actor, name=str(number)) for number in range(201)])
    longest = Workflow("longest", [parallel(actor, name=str(number)) for number in range(200)])
    assert longest.start({}, chain_id="longest") == "longest"


def test_task_ids_are_the_same_in_every_process_and_differ_by_chain() -> None:
    workflow = Workflow("ids", [declare("a"), declare("b")])
    (first,) = workflow.first_messages("chain", {})
    assert first.message_id == workflow.first_messages("chain", {})[0].message_id
    assert first.message_id != workflow.first_messages("other", {})[0].message_id
    assert [task["task_id"] for stage_plan in workflow.plan("chain") for task in stage_plan.tasks] == [
        first.message_id,
        first.options["pipe_target"]["message_id"],
    ]


def test_a_stage_takes_every_actor_option_and_has_defaults_of_its_own() -> None:
    plain = stage(print)
    assert plain.options == {**RETRY_OPTIONS, "stage_name": "print"}
    chosen = declare("chosen", max_retries=7, time_limit=1000, queue_name="slow", priority=3)
    assert (chosen.options["max_retries"], chosen.options["time_limit"]) == (7, 1000)
    assert (chosen.queue_name, chosen.priority) == ("slow", 3)
    with pytest.raises(ValueError, match="unheard_of"):
        declare("odd", unheard_of=True)


def test_progress_outside_of_a_stage_does_nothing() -> None:
    progress(50, substep="nowhere", log="nobody hears")
    with pytest.raises(RuntimeError, match="outside of a stage"):
        current_stage()


def test_a_redis_broker_on_another_server_is_refused(build_application: Any) -> None:
    with pytest.raises(SettingsError, match=r"BROKER_URL: read 'redis://:\*\*\*@elsewhere/0', expected amqp"):
        build_application(BROKER_URL="redis://:secret@elsewhere/0")
