"""Call a batch off."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from dramatiq.errors import BrokerConnectionError

from actors.application import Application, current
from callboard.errors import BatchStateError, BoardUnavailable, UnknownBatch
from db.batches import ledger

from .driver import advance, revoke_open

_AT_WORK = ("STARTED", "RUNNING")


@dataclass(frozen=True)
class BatchReceipt:
    """What a revoke did to the images of a batch that had not ended.

    Attributes:
        not_started: they had no chain, and get none.
        retries_called_off: they had failed, were to be retried, and count as failed again.
        queued: their chain waited in a queue or for a retry, and will not run.
        told_to_stop: a stage of their chain was running: it is interrupted within seconds, or ends at its
            next ``progress()``.
    """

    batch_id: str
    not_started: int
    retries_called_off: int
    queued: int
    told_to_stop: int


def revoke_batch(
    batch_id: str, reason: str = "revoked", *, application: Application | None = None
) -> BatchReceipt:
    """Call a batch off: nothing of it starts any more, and running stages are told to stop.

    Raises:
        UnknownBatch: neither board nor ledger knows it.
        BatchStateError: it has ended.
        BoardUnavailable, LedgerUnavailable: Redis or the database does not answer.
    """
    house = application or current()
    row = ledger.read(house.database, batch_id)
    if row is None:
        raise UnknownBatch(batch_id)
    ended = BatchStateError(batch_id, row.status, f"batch {batch_id} has ended: {row.status}")
    try:
        if row.finished_at is not None and not house.batches.is_known([batch_id])[0]:
            raise ended
        said, not_started, retries = house.batches.revoke(batch_id, reason, row.total_images)
        if said == "unknown":
            advance(house, batch_id)
            said, not_started, retries = house.batches.revoke(batch_id, reason, row.total_images)
        if said != "recorded":
            raise ended
        queued, told = _revoke_chains(house, batch_id)
        advance(house, batch_id)
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis does not answer: {error}") from error
    return BatchReceipt(batch_id, not_started, retries, queued, told)


def _revoke_chains(house: Application, batch_id: str) -> tuple[int, int]:
    """Call the open chains off. Returns how many were queued, and how many of them were at work."""
    live = house.batches.read(batch_id)
    if live is None:
        return 0, 0
    at_work = []
    for chain_id, receipts in revoke_open(house, batch_id, live).items():
        if receipts:
            at_work.append(any(receipt.was in _AT_WORK for receipt in receipts))
        elif (begun := _was_revoked_at_work(house, chain_id)) is not None:
            at_work.append(begun)
    return at_work.count(False), at_work.count(True)


def _was_revoked_at_work(house: Application, chain_id: str) -> bool | None:
    """Of a chain that a worker has called off before us, whether its stage had begun; None had it ended."""
    live = house.board.chain(chain_id)
    if live is None or live.state["status"] != "REVOKED":
        return None
    stage = live.state["current"]
    members = range(1, len(live.plan[stage - 1]["tasks"]) + 1) if live.plan[stage - 1]["parallel"] else (0,)
    tasks = [house.board.task(chain_id, stage, member) or {} for member in members]
    return any(task.get("status") == "REVOKED" and task.get("started") for task in tasks)
