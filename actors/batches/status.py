"""Where a batch stands: from the board while it has it, from the ledger then.

batch_status(batch_id).completed_images
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import redis

from actors.application import Application, current
from callboard.errors import UnknownBatch
from db.batches import ledger
from db.batches.live import LiveBatch
from db.models import BatchExecution
from db.values import from_epoch, utc_now


@dataclass(frozen=True)
class BatchStatus:
    """A batch as it is now. ``source``: ``"redis"`` or ``"ledger"``; moments are naive UTC.

    ``status``: PENDING, STARTED, SUCCESS, FAILURE or REVOKED; a revoked batch has ended with ``finished_at``.
    ``images_per_second`` and the estimates (seconds, see ``db/batches/pace.py``) are of late, and None while
    they are not known; at the end, and from the ledger, they are of the whole run.
    """

    batch_id: str
    batch_name: str
    status: str
    total_images: int
    completed_images: int
    failed_images: int
    revoked_images: int
    total_chunks: int
    completed_chunks: int
    failed_chunks: int
    chunk_size: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    source: str
    images_per_second: float | None = None
    estimated_time_remaining: float | None = None
    estimated_time_remaining_p90: float | None = None

    @property
    def ended_images(self) -> int:
        return self.completed_images + self.failed_images + self.revoked_images


def batch_status(batch_id: str, *, application: Application | None = None) -> BatchStatus:
    """Where a batch stands: from the board, or the ledger where the board has forgotten it.

    Raises:
        UnknownBatch: there is none.
        LedgerUnavailable: the database does not answer.
    """
    house = application or current()
    with suppress(redis.RedisError):
        live = house.batches.read(batch_id)
        if live is not None:
            return status_of_live(batch_id, live)
    row = ledger.read(house.database, batch_id)
    if row is None:
        raise UnknownBatch(batch_id)
    return status_of_row(row)


def status_of_live(batch_id: str, live: LiveBatch) -> BatchStatus:
    """A batch as a reading of the board has it."""
    facts, counts = live.facts, live.counts
    expected = live.estimate(time.time())
    status = BatchStatus(
        batch_id=batch_id,
        batch_name=facts.name,
        total_images=facts.images,
        created_at=from_epoch(facts.created),
        source="redis",
        images_per_second=None if expected is None else round(expected.rate, 3),
        estimated_time_remaining=None if expected is None else round(expected.remaining, 1),
        estimated_time_remaining_p90=None if expected is None else round(expected.p90, 1),
        # A moment before the end is noted it has ended all the same: the end will be noted as of then.
        **ledger.values_of(live, (live.finished or live.ending) if counts.ended else None),
    )
    return _told_at_the_end(status) if status.finished_at is not None else status


def status_of_row(row: BatchExecution) -> BatchStatus:
    """A batch as the ledger has it. Of how fast it goes, the ledger has only the whole run."""
    columns = {name: getattr(row, name) for name in BatchStatus.__annotations__ if hasattr(row, name)}
    status = BatchStatus(**columns, source="ledger")
    if row.finished_at is not None:
        return _told_at_the_end(status)
    elapsed = (utc_now() - row.started_at).total_seconds() if row.started_at is not None else 0.0
    if elapsed <= 0 or not status.ended_images:
        return status
    rate = status.ended_images / elapsed
    left = max(0, row.total_images - status.ended_images)
    return replace(status, images_per_second=round(rate, 3), estimated_time_remaining=round(left / rate, 1))


def _told_at_the_end(status: BatchStatus) -> BatchStatus:
    """Nothing is left, and the rate is that of the whole run."""
    rate = None
    if status.started_at is not None and status.finished_at is not None:
        seconds = (status.finished_at - status.started_at).total_seconds()
        rate = round(status.ended_images / seconds, 3) if seconds > 0 else None
    return replace(
        status, images_per_second=rate, estimated_time_remaining=0.0, estimated_time_remaining_p90=0.0
    )
