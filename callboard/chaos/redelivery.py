"""Delivers messages again, as brokers do that take a worker for dead, and as a sender that repeats itself."""

from __future__ import annotations

from typing import Any

import redis

from actors.application import Application
from actors.redis_broker import RedisBroker
from callboard.errors import UnknownChain


def redeliver_everything(application: Application, chain_ids: list[str]) -> int:
    """Send what is un-acked back to its queue, and a copy of every message of every stage begun so far.

    Returns:
        How many messages that were.

    Raises:
        redis.RedisError, LedgerUnavailable: a server does not answer.
    """
    count = 0
    if isinstance(application.broker, RedisBroker):
        count += requeue_unacked(application.broker.clients.get(), application.broker.namespace)
    for chain_id in chain_ids:
        count += send_copies(application, chain_id)
    return count


def requeue_unacked(client: redis.Redis, namespace: str) -> int:
    """What Dramatiq's maintenance does with the messages of a worker that it takes for dead.

    Parameters:
        client: of the broker's Redis.
        namespace: of the broker's keys.
    """
    count = 0
    for key in client.scan_iter(f"{namespace}:__acks__.*"):
        queue = key.decode().removeprefix(f"{namespace}:__acks__.").partition(".")[2]
        count += int(_requeue(client, key, f"{namespace}:{queue}"))
    return count


def _requeue(client: redis.Redis, acks: bytes, queue: str) -> Any:
    script = """
        local moved = 0
        for _, id in ipairs(redis.call("smembers", KEYS[1])) do
            if redis.call("hexists", KEYS[3], id) > 0 then
                redis.call("rpush", KEYS[2], id)
                moved = moved + 1
            end
        end
        redis.call("del", KEYS[1])
        return moved
    """
    return client.eval(script, 3, acks, queue, f"{queue}.msgs")


def send_copies(application: Application, chain_id: str) -> int:
    """Each stage's messages once more, from the first to the one that the chain is in."""
    known = application.status.find(chain_id)
    if known is None:
        return 0
    workflow = application.workflow(known.chain_name)
    count = 0
    for stage in range(1, known.current_stage + 1):
        try:
            arguments = application.status.arguments_of(chain_id, stage)
        except UnknownChain:
            continue
        for message in workflow.first_messages(chain_id, *arguments, from_stage=stage):
            application.broker.enqueue(message)
            count += 1
    return count
