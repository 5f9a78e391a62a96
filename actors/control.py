"""Start, resume and revoke chains, and send what was lost again: the only place that enqueues stages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis
from dramatiq import Message
from dramatiq.common import current_millis
from dramatiq.errors import BrokerConnectionError

from callboard.errors import (
    BoardUnavailable,
    ChainStateError,
    LedgerUnavailable,
    UnknownChain,
    WorkflowError,
)
from db.chains import StagePlan, Transition, encode
from db.ledger import NewChain
from db.status_rows import ENDED
from middleware.pipelines import PLACE

from . import availability
from .application import Application, current

if TYPE_CHECKING:
    from .workflow import Workflow

#: A chain id that a caller gives. It is a Redis key and a folder's name as it stands.
CHAIN_ID = re.compile(r"[\w][\w.-]{0,199}")
#: What those raise who need a server that does not answer: whoever repeats himself tries again later.
OUTAGES = (redis.RedisError, BrokerConnectionError, BoardUnavailable, LedgerUnavailable)
#: Chains that :func:`start_many` inserts and sends at a time.
BULK = 500


def start(
    workflow: Workflow,
    data: Any,
    *,
    chain_id: str | None = None,
    idempotency_key: str | None = None,
    initiated_by: str | None = None,
    batch_id: str | None = None,
) -> str:
    """Start a chain: its row first, then board and queue in one step.

    Parameters:
        data: what the first stage is called with; JSON.
        chain_id: an id of one's own; the one that the workflow makes, or a new UUID, unless given.
        idempotency_key: the same key returns the same chain and starts nothing twice.
        initiated_by: who asked, for the ledger.
        batch_id: the batch that the chain belongs to.

    Returns:
        The chain's id.

    Raises:
        WorkflowError: ``data`` is not JSON, or the id cannot be used.
        ExtraMissing: no worker can run it; see :mod:`actors.availability`.
        ChainStateError: a chain of that id exists.
        LedgerUnavailable: the database does not answer; nothing was started.
        BoardUnavailable: Redis or the broker does not answer; nothing was started.
    """
    availability.check(workflow)
    chosen = _own_id(workflow, data) if chain_id is None else chain_id
    chain, plan = _new_chain(workflow, data, chosen, idempotency_key, initiated_by, batch_id)
    try:
        holder = workflow.application.ledger.create_chain_once(chain)
    except ChainStateError:
        if chain_id is not None or workflow.make_chain_id is None:
            raise
        chosen = _own_id(workflow, data, taken=True)
        chain, plan = _new_chain(workflow, data, chosen, idempotency_key, initiated_by, batch_id)
        holder = workflow.application.ledger.create_chain_once(chain)
    if holder != chain.chain_id:
        return holder
    _launch(workflow, [(chain, plan)])
    return chain.chain_id


def _own_id(workflow: Workflow, data: Any, *, taken: bool = False) -> str:
    """The id of a chain for which none was given. ``taken``: that which the workflow makes may be in use."""
    if workflow.make_chain_id is None:
        return str(uuid4())
    made = workflow.make_chain_id(data)
    return f"{made}_{uuid4().hex[:8]}" if taken else made


def start_many(
    workflow: Workflow,
    inputs: Iterable[Any],
    *,
    initiated_by: str | None = None,
    batch_id: str | None = None,
) -> list[str]:
    """Start one chain for each input: one insert and a few round trips for some hundred of them.

    Returns:
        The chains' ids, in the order of the inputs.

    Raises:
        As :func:`start`; what was started before the error goes on.
    """
    started = []
    availability.check(workflow)
    for data in _bulks(inputs):
        # Of many inputs at once some may be the same, and so the ids made from them.
        chains = [
            _new_chain(workflow, one, _own_id(workflow, one, taken=True), None, initiated_by, batch_id)
            for one in data
        ]
        workflow.application.ledger.create_chains([chain for chain, _ in chains])
        _launch(workflow, chains)
        started += [chain.chain_id for chain, _ in chains]
    return started


def _bulks(inputs: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(inputs)
    while bulk := list(islice(iterator, BULK)):
        yield bulk


def _new_chain(
    workflow: Workflow,
    data: Any,
    chain_id: str,
    idempotency_key: str | None,
    initiated_by: str | None,
    batch_id: str | None,
) -> tuple[NewChain, list[StagePlan]]:
    try:
        encode(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise WorkflowError(f"the input of {workflow.name} is not JSON: {error}") from None
    if not CHAIN_ID.fullmatch(chain_id):
        raise WorkflowError(
            f"chain id {chain_id[:80]!r}: expected 1 to 200 letters, digits, '_', '-' and '.'"
        )
    plan = workflow.plan(chain_id)
    chain = NewChain(
        chain_id=chain_id,
        chain_name=workflow.name,
        total_tasks=sum(len(stage.tasks) for stage in plan),
        stages=[stage.as_json() for stage in plan],
        input_data=data,
        initiated_by=initiated_by,
        idempotency_key=idempotency_key,
        batch_id=batch_id,
        channel=workflow.channel,
    )
    return chain, plan


def _launch(workflow: Workflow, chains: list[tuple[NewChain, list[StagePlan]]]) -> None:
    try:
        _send(workflow, chains)
    except (redis.RedisError, BrokerConnectionError) as error:
        ids = [chain.chain_id for chain, _ in chains]
        workflow.application.ledger.withdraw_chains(ids)
        raise BoardUnavailable(
            f"Redis or the broker does not answer, nothing was started: {error}"
        ) from error


def _send(workflow: Workflow, chains: list[tuple[NewChain, list[StagePlan]]]) -> None:
    """Chains whose rows are there: board and queue in one step each."""
    application = workflow.application
    launches: list[tuple[Transition, list[Message[Any]]]] = [
        (
            application.board.post(
                chain.chain_id,
                workflow.name,
                plan,
                channel=workflow.channel,
                batch_id=chain.batch_id,
                initiated_by=chain.initiated_by,
                keys=workflow.status_keys.of(chain.chain_id),
            ),
            workflow.first_messages(chain.chain_id, chain.input_data),
        )
        for chain, plan in chains
    ]
    if len(launches) == 1:
        application.broker.launch(*launches[0])
    else:
        application.broker.launch_many(launches)


def start_named(
    workflow: Workflow, inputs: dict[str, Any], *, batch_id: str, initiated_by: str | None = None
) -> None:
    """Start chains of a batch under the ids given: one insert and one round trip.

    When Redis or the broker does not answer their rows stay, and :func:`send_again` starts what is left.

    Raises:
        ChainStateError: one of them is there already; nothing was started.
        LedgerUnavailable: the database does not answer; nothing was started.
        BoardUnavailable: Redis or the broker does not answer; some may have been started.
    """
    chains = [
        _new_chain(workflow, data, chain_id, None, initiated_by, batch_id)
        for chain_id, data in inputs.items()
    ]
    workflow.application.ledger.create_chains([chain for chain, _ in chains])
    try:
        _send(workflow, chains)
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis or the broker does not answer: {error}") from error


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
    _refuse_redefined(chain_id, workflow, record.stage_names)
    stage = from_stage or record.current_stage
    if not 1 <= stage <= len(workflow.stages):
        raise ChainStateError(
            chain_id,
            record.status,
            f"workflow {workflow.name} has stages 1 to {len(workflow.stages)}, not {stage}",
        )
    arguments = house.status.arguments_of(chain_id, stage)
    messages = workflow.first_messages(chain_id, *arguments, from_stage=stage)
    answer = _apply(house, chain_id, house.board.resume(chain_id, from_stage, letter), messages)
    if answer[0] == b"closed":
        status = answer[1].decode()
        raise ChainStateError(chain_id, status, f"chain {chain_id} cannot be resumed: {status}")
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
        _refuse_redefined(chain_id, workflow, [stage["stage_name"] for stage in live.plan])
        stage = live.state["current"]
        if house.broker.may_hold({task["queue_name"] for task in live.plan[stage - 1]["tasks"]}):
            return []
        arguments = house.status.arguments_of(chain_id, stage)
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


def _refuse_redefined(chain_id: str, workflow: Workflow, names: list[str]) -> None:
    now = [declared.name for declared in workflow.stages]
    if names and names != now:
        raise ChainStateError(
            chain_id,
            "",
            f"chain {chain_id} was started with the stages {names}, {workflow.name} now has {now}",
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
