"""The actor by which other code starts chains: its name is all that ``callboard.client`` knows of us."""

from __future__ import annotations

import logging
from typing import Any

import dramatiq
from dramatiq import Actor, Broker

from callboard.errors import ChainStateError, WorkflowError
from db.chains import encode
from middleware.run import cut_log

from . import starting
from .application import Application, application_of

ACTOR_NAME = "callboard.start"
QUEUE_NAME = "callboard"

logger = logging.getLogger(__name__)


def declare(broker: Broker) -> Actor[..., Any]:
    """Declare the actor on one of our brokers."""
    application = application_of(broker)

    def start(
        workflow: str,
        data: Any,
        chain_id: str,
        idempotency_key: str | None = None,
        initiated_by: str | None = None,
    ) -> None:
        _start(application, workflow, data, chain_id, idempotency_key, initiated_by)

    declared: Actor[..., Any] = dramatiq.actor(actor_name=ACTOR_NAME, queue_name=QUEUE_NAME, broker=broker)(
        start
    )
    return declared


def _start(
    application: Application,
    workflow: str,
    data: Any,
    chain_id: str,
    idempotency_key: str | None,
    initiated_by: str | None,
) -> None:
    """Start a chain whose id was chosen before. Whoever follows it is told when that cannot be."""
    try:
        started = starting.start(
            application.workflow(workflow),
            data,
            chain_id=chain_id,
            idempotency_key=idempotency_key,
            initiated_by=initiated_by,
        )
    except ChainStateError:
        logger.info("Chain %s has been started before.", chain_id)
    except WorkflowError as error:
        _refuse(application, chain_id, str(error))
    else:
        if started != chain_id:
            _refuse(application, chain_id, f"its idempotency key belongs to chain {started}")


def _refuse(application: Application, chain_id: str, reason: str) -> None:
    logger.error("Chain %s is not started: %s", chain_id, reason)
    message = {"run_id": chain_id, "state": "FAILED", "progress": 0, "log": cut_log(reason)}
    application.board.publish(chain_id, encode(message))
