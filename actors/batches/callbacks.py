"""What is called when a batch has ended: an actor, or a webhook.

At a batch's end one message for each callback goes out in the step that closes the batch on the board
(``db/lua/batch_close.lua``); on RabbitMQ right after it. Its id is made of the batch, the event and the
moment of the end, and it runs :data:`ACTOR`, a tracked task: a second copy finds it done, and the ledger has
a row of it under that id. :func:`send_lost`, which the sweep calls, looks in the ledger for batches that
ended without that row, and sends what Redis has lost, or a process that died in between. A batch that is
reopened and ends again ends at another moment, and calls again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import dramatiq
from dramatiq import Broker, Message

from actors import webhook
from actors.application import Application, application_of
from callboard.errors import BatchError, WebhookError, WebhookRefused
from db.batches import ledger
from db.batches.facts import BatchFacts
from db.batches.live import LiveBatch
from db.chains import Transition
from db.keys import CALLED_TTL
from db.values import from_epoch

#: Names of the callbacks, each with the status of the batches that it is for; None: of all.
EVENTS = {"on_complete": None, "on_success": "SUCCESS", "on_failure": "FAILURE"}
ACTOR = "pipeline.batch_callback"
QUEUE = "callboard"
#: Tries after the first one, from 5 s apart to an hour: for some seven hours in all.
RETRIES, MIN_BACKOFF, MAX_BACKOFF = 15, 5_000, 3_600_000
#: Milliseconds that one try may take.
TIME_LIMIT = 60_000
#: Seconds after a batch's end from which, and until which, its callbacks may count as lost.
LOST_AFTER, LOST_UNTIL = 60, CALLED_TTL
_IDS = UUID("b3c5ce0c-6ac7-4a6a-9f0e-0d9ff5d1c7b2")

logger = logging.getLogger(__name__)


def checked(application: Application, targets: Mapping[str, str | None], *, private: bool) -> dict[str, str]:
    """The callbacks that were asked for, by event.

    Parameters:
        private: whether a webhook may lead to this machine, or a network of its own.

    Raises:
        BatchError: one of them is neither a declared actor nor a URL that may be called.
    """
    found = {}
    for event, target in targets.items():
        if target is None:
            continue
        if not isinstance(target, str) or not target:
            raise BatchError(f"{event}: read {str(target)[:80]!r}, expected an actor's name or a URL")
        if webhook.is_url(target):
            _check_url(event, target, private)
        elif not _is_callable(application.broker, target):
            known = ", ".join(
                sorted(n for n in application.broker.actors if _is_callable(application.broker, n))
            )
            raise BatchError(f"{event}: no actor is named {target[:80]!r} (known: {known or 'none'})")
        found[event] = target
    return found


def _check_url(event: str, url: str, private: bool) -> None:
    try:
        parts = webhook.parse(url)
        if not private:
            webhook.addresses(parts, private=False)
    except (ValueError, WebhookError) as error:
        hint = "; WEBHOOK_PRIVATE=1 allows it" if isinstance(error, WebhookRefused) else ""
        raise BatchError(f"{event}: {url[:200]!r}: {error}{hint}") from None


def _is_callable(broker: Broker, name: str) -> bool:
    """Whether it is an actor, and none of our own."""
    return name in broker.actors and broker.actors[name].queue_name != QUEUE


def messages_at_end(
    application: Application, batch_id: str, live: LiveBatch, finished: float
) -> list[Message[Any]]:
    """What a batch that has ended lets go."""
    return _messages(application, batch_id, live.facts, ledger.values_of(live, finished))


def _messages(
    application: Application, batch_id: str, facts: BatchFacts, values: Mapping[str, Any]
) -> list[Message[Any]]:
    finished: datetime = values["finished_at"]
    run = ledger.run_of(finished)
    actor = application.broker.get_actor(ACTOR) if facts.callbacks else None
    messages = []
    for event, target in facts.callbacks.items():
        if actor is None or EVENTS[event] not in (None, values["status"]):
            continue
        payload = {
            "event": event,
            "batch_id": batch_id,
            "batch_name": facts.name,
            "workflow": facts.workflow,
            "run": run,
            "total_images": facts.images,
            "total_chunks": facts.chunks,
            "created_at": from_epoch(facts.created).isoformat(),
            **{name: one.isoformat() if isinstance(one, datetime) else one for name, one in values.items()},
        }
        message: Message[Any] = actor.message(target, payload, facts.private_webhooks)
        messages.append(message.copy(message_id=delivery_id(batch_id, event, run)))
    return messages


def delivery_id(batch_id: str, event: str, run: int) -> str:
    """The id of a callback's message, and of its delivery: whoever makes it makes the same."""
    return str(uuid5(_IDS, f"{batch_id} {event} {run}"))


def send_once(application: Application, message: Message[Any]) -> bool:
    """Send a message, unless one of its id has been sent of late. Returns whether it has been.

    On the Redis broker that is one step. On RabbitMQ a process that dies in it may send a second one.

    Raises:
        redis.RedisError, BrokerConnectionError: a server does not answer.
    """
    board, key = application.batches, application.board.keys.called(message.message_id)
    if application.broker.namespace_of_queues:
        once = Transition("send_once", [key, "", "", "", ""], [CALLED_TTL])
        return bool(application.broker.launch(once, [message])[0] == b"recorded")
    if board.was_called([message.message_id])[0]:
        return False
    application.broker.enqueue(message)
    board.note_called([message.message_id])
    return True


def send_lost(application: Application, *, emptied: bool) -> int:
    """Send the callbacks of ended batches again that nothing is known of. Returns how many.

    Parameters:
        emptied: whether Redis has been, so that what was sent is lost.

    Raises:
        redis.RedisError, BrokerConnectionError, LedgerUnavailable: a server does not answer.
    """
    count = 0
    grace = 0 if emptied else LOST_AFTER
    for row in ledger.ended_lately(application.database, after=grace, until=LOST_UNTIL):
        facts = ledger.facts_of(row)
        if facts is None or not facts.callbacks:
            continue
        values = {name: getattr(row, name) for name in ledger.CHANGING}
        messages = _messages(application, row.batch_id, facts, values)
        done = ledger.ended_tasks(application.database, [message.message_id for message in messages])
        for message in messages:
            if message.message_id not in done and send_once(application, message):
                logger.warning(
                    "Batch %s: the callback %s is sent again.", row.batch_id, message.args[1]["event"]
                )
                count += 1
    return count


def declare(broker: Broker) -> None:
    """Declare the actor on one of our brokers."""
    application = application_of(broker)

    def batch_callback(target: str, payload: dict[str, Any], private: bool) -> dict[str, Any]:
        return _call(application, target, payload, private)

    dramatiq.actor(
        actor_name=ACTOR,
        queue_name=QUEUE,
        broker=broker,
        tracked=True,
        max_retries=RETRIES,
        min_backoff=MIN_BACKOFF,
        max_backoff=MAX_BACKOFF,
        time_limit=TIME_LIMIT,
        throws=(WebhookRefused,),
    )(batch_callback)


def _call(application: Application, target: str, payload: dict[str, Any], private: bool) -> dict[str, Any]:
    """Call a webhook, or send the message of an actor: that one by an id of its own, once."""
    own = delivery_id(payload["batch_id"], payload["event"], payload["run"])
    if not webhook.is_url(target):
        message: Message[Any] = application.broker.get_actor(target).message(payload)
        send_once(application, message.copy(message_id=str(uuid5(_IDS, own))))
        return {"actor": target}
    secret = application.settings.webhook_secret
    status = webhook.deliver(target, payload, delivery_id=own, secret=secret, private=private)
    return {"url": target, "status": status}
