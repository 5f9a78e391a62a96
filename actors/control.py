"""Resume and revoke chains, and send what was lost again. With ``starting``, what alone enqueues stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis
from dramatiq import Message
from dramatiq.common import current_millis
from dramatiq.errors import BrokerConnectionError

from callboard.errors import BoardUnavailable, ChainStateError, LedgerUnavailable, UnknownChain
from db.chains import Transition
from db.status_rows import ENDED
from middleware.pipelines import PLACE

from . import availability
from .application import Application, current

if TYPE_CHECKING:
    from .workflow import Workflow

#: What those raise who need a server that does not answer: whoever repeats himself tries again later.
OUTAGES = (redis.RedisError, BrokerConnectionError, BoardUnavailable, LedgerUnavailable)
#: What a revoke comes to for a task, by its status before.
OUTCOMES = {
    "PENDING": "will not run",
    "RETRY": "its retry is called off",
    "STARTED": "told to stop",
    "RUNNING": "told to stop",
}


@dataclass(frozen=True)
class Receipt:
    """What a revoke did to one task.

    Attributes:
        stage: its stage, from 1.
        member: its member number; 0 for the only task of a stage.
        was: its status before.
        outcome: in words. A run that was told to stop is interrupted within seconds, or ends at its next
            ``progress()``; what it returns in spite of that is dropped.
    """

    stage: int
    member: int
    was: str

    @property
    def outcome(self) -> str:
        return OUTCOMES[self.was]


def revoke(
    chain_id: str, reason: str = "revoked", *, application: Application | None = None
) -> list[Receipt]:
    """Call a chain off: nothing of it starts any more, and a running stage is told to stop.

    Returns:
        What happened to each open task of the chain's current stage.

    Raises:
        UnknownChain: neither board nor ledger knows it.
        ChainStateError: the chain has ended.
        BoardUnavailable: Redis does not answer.
    """
    house = application or current()
    answer = _apply(house, chain_id, house.board.revoke(chain_id, reason), [])
    if answer[0] == b"closed":
        status = answer[1].decode()
        raise ChainStateError(chain_id, status, f"chain {chain_id} has ended: {status}")
    stage = int(answer[1])
    return [
        Receipt(stage, int(member), was.decode())
        for member, was in zip(answer[2::2], answer[3::2], strict=True)
    ]


def resume(
    chain_id: str,
    *,
    from_stage: int | None = None,
    letter: str = "",
    application: Application | None = None,
) -> int:
    """Let an ended chain go on from the first stage that is not SUCCESS, with the result of the one before.

    Parameters:
        from_stage: run again from this stage (from 1) instead, finished or not.
        letter: only while the chain has this letter in its batch (``db/batches/live.py``).

    Returns:
        The number of the stage that it goes on from.

    Raises:
        UnknownChain: neither board nor ledger knows it.
        UnknownWorkflow: its workflow is not declared here.
        ExtraMissing: no worker can run it.
        ChainStateError: it has not ended, or nothing is left to do, or the workflow has other stages now.
        BoardUnavailable, LedgerUnavailable: Redis or the database does not answer.
    """
    house = application or current()
    if not house.board.known([chain_id])[0]:
        # Once on the board, the rest is read from there.
        house.status.restore(chain_id)
    record = house.status.find(chain_id)
    if record is None:
        raise UnknownChain(chain_id)
    if not letter and record.status not in ENDED and send_again(chain_id, application=house):
        # It was lost: nobody owned what it waits for.
        return record.current_stage
    workflow = house.workflow(record.chain_name)
    availability.check(workflow)
    live = house.board.chain(chain_id)
    _refuse_redefined(chain_id, workflow, live.plan if live else [])
    stage = from_stage or record.current_stage
    if not 1 <= stage <= len(workflow.stages):
        raise ChainStateError(
            chain_id,
            record.status,
            f"workflow {workflow.name} has stages 1 to {len(workflow.stages)}, not {stage}",
        )
    arguments = _arguments(house, workflow, chain_id, stage)
    messages = workflow.first_messages(chain_id, *arguments, from_stage=stage)
    answer = _apply(house, chain_id, house.board.resume(chain_id, from_stage, letter), messages)
    if answer[0] == b"closed":
        status = answer[1].decode()
        why = (
            "nothing is left; name a stage to run it again from there"
            if status == "SUCCESS"
            else "it goes on"
        )
        raise ChainStateError(chain_id, status, f"chain {chain_id} cannot be resumed: {status}, {why}")
    return int(answer[2])


def send_again(chain_id: str, *, application: Application | None = None) -> list[int]:
    """Send those messages of an open chain's current stage again whose tasks nobody owns.

    A chain that the board has forgotten is restored from the ledger first.

    Returns:
        The members that were sent, from 1 (1 for the only task of a stage); empty where all have an owner, or
        the chain has ended.

    Raises:
        UnknownChain: neither board nor ledger knows it.
        UnknownWorkflow: its workflow is not declared here.
        ChainStateError: the workflow has other stages now.
        BoardUnavailable, LedgerUnavailable: Redis or the database does not answer.
    """
    house = application or current()
    try:
        live = house.board.chain(chain_id)
        if live is None and house.status.restore(chain_id):
            live = house.board.chain(chain_id)
        if live is None:
            raise UnknownChain(chain_id)
        if live.state["status"] in ENDED:
            return []
        workflow = house.workflow(live.facts["name"])
        _refuse_redefined(chain_id, workflow, live.plan)
        stage = live.state["current"]
        if house.broker.may_hold({task["queue_name"] for task in live.plan[stage - 1]["tasks"]}):
            return []
        arguments = _arguments(house, workflow, chain_id, stage)
        messages = [
            _as_it_was(house, message)
            for message in workflow.first_messages(chain_id, *arguments, from_stage=stage)
        ]
        transition = house.board.resend(chain_id, stage, house.broker.namespace_of_queues)
        answer = house.broker.launch(transition, messages)
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis or the broker does not answer: {error}") from error
    return [int(index) for index in answer[1]] if answer[0] == b"recorded" else []


def _as_it_was(house: Application, message: Message[Any]) -> Message[Any]:
    """A task's message with the retries that it had, and not before the next one is due."""
    place = message.options[PLACE]
    task = house.board.task(place["chain"], place["stage"], place["member"]) or {}
    options = {"retries": task.get("retries", 0)}
    if task.get("due", 0) > current_millis():
        options["eta"] = int(task["due"])
    return message.copy(options=options)


def _arguments(house: Application, workflow: Workflow, chain_id: str, stage: int) -> tuple[Any, ...]:
    """What a stage is called with, as if the stage before had just ended."""
    before = workflow.stages[stage - 2] if stage > 1 else None
    if before is not None and any(actor.options.get("pipe_ignore") for actor in before.actors):
        return ()
    return house.status.arguments_of(chain_id, stage)


def _refuse_redefined(chain_id: str, workflow: Workflow, plan: list[dict[str, Any]]) -> None:
    def words(name: str, members: int, is_parallel: bool) -> str:
        return f"{name} ({members} side by side)" if is_parallel else name

    then = [words(stage["stage_name"], len(stage["tasks"]), stage["parallel"]) for stage in plan]
    now = [words(declared.name, len(declared.actors), declared.is_parallel) for declared in workflow.stages]
    if plan and then != now:
        raise ChainStateError(
            chain_id,
            "",
            f"chain {chain_id} was started with the stages {then}, {workflow.name} now has {now}",
        )


def _apply(house: Application, chain_id: str, transition: Transition, messages: list[Message[Any]]) -> Any:
    """Apply a transition; a chain that the board has forgotten is brought back from the ledger first."""
    try:
        answer = house.broker.launch(transition, messages)
        if answer[0] == b"unknown":
            if not house.status.restore(chain_id):
                raise UnknownChain(chain_id)
            answer = house.broker.launch(transition, messages)
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis or the broker does not answer: {error}") from error
    return answer
