"""``batch_statistics``: what the ledger adds up of batches, and how fast they go, which the board knows."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import redis

from actors.application import Application, current
from callboard.errors import UnknownBatch
from db.batches import statistics as ledger
from db.batches.live import LiveBatch
from db.batches.statistics import BatchStatistics

#: Open batches at most whose rates are added up.
MOST_OPEN = 200


def batch_statistics(
    batch_id: str | None = None, *, since: datetime | None = None, application: Application | None = None
) -> BatchStatistics:
    """Statistics of one batch, or of all that were created since a moment (naive UTC; None: of all).

    What has not reached the ledger yet (a second or two) is not in it.

    Raises:
        UnknownBatch: there is no such batch.
        LedgerUnavailable: the database does not answer.
    """
    house = application or current()
    found = ledger.read(house.database, batch_id=batch_id, since=since)
    if found is None:
        raise UnknownBatch(batch_id or "")
    rates = []
    with suppress(redis.RedisError):
        for live in _open(house, batch_id, since):
            expected = live.estimate(time.time())
            if expected is not None:
                rates.append(expected.rate)
    return replace(found, recent_images_per_second=round(sum(rates), 3) if rates else None)


def _open(house: Application, batch_id: str | None, since: datetime | None) -> list[LiveBatch]:
    ids = [batch_id] if batch_id is not None else ledger.open_since(house.database, since, most=MOST_OPEN)
    found = [house.batches.read(one) for one in ids]
    return [live for live in found if live is not None and not live.counts.ended]
