"""Start chains: one, many, or those of a batch. Their rows first, then board and queue in one step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from callboard.errors import BoardUnavailable, ChainStateError, WorkflowError
from db.chains import StagePlan, Transition, encode
from db.ledger import NewChain

from . import availability

if TYPE_CHECKING:
    from .application import Application
    from .workflow import Workflow

#: A chain id that a caller gives. It is a Redis key and a folder's name as it stands.
CHAIN_ID = re.compile(r"[\w][\w.-]{0,199}")
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
    try:
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
    except ValueError as error:
        raise WorkflowError(str(error)) from None
    return chain, plan


def _launch(workflow: Workflow, chains: list[tuple[NewChain, list[StagePlan]]]) -> None:
    try:
        _send(workflow, chains)
    except (redis.RedisError, BrokerConnectionError) as error:
        begun = _withdraw(workflow.application, [chain.chain_id for chain, _ in chains])
        if begun == len(chains):
            # Only the answer was lost.
            return
        started = f"{begun} of {len(chains)} chains were started" if begun else "nothing was started"
        raise BoardUnavailable(f"Redis or the broker does not answer, {started}: {error}") from error


def _withdraw(application: Application, chain_ids: list[str]) -> int:
    """Take back what may have been started, board first. Returns how many chains have begun and go on."""
    begun = set()
    # While Redis does not answer: what is there all the same has no row, so that a message restores nothing.
    with suppress(redis.RedisError):
        for chain_id in chain_ids:
            if application.board.withdraw(chain_id):
                begun.add(chain_id)
    application.ledger.withdraw_chains([chain_id for chain_id in chain_ids if chain_id not in begun])
    return len(begun)


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

    When Redis or the broker does not answer their rows stay, and :func:`actors.control.send_again` starts
    what is left.

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
