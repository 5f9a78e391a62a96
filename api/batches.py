"""``GET /pipeline/batch`` and ``GET /pipeline/batch/{batch_id}``: counted on the board while they run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

import redis
from falcon.asgi import Request, Response

from actors.batches.status import BatchStatus, status_of_live, status_of_row
from db.history import batch, batches
from db.models import BatchExecution

from . import schemas
from .errors import Refusal
from .house import House
from .messages import text
from .operations import operation
from .status import moment, paging


class Batches:
    """The newest batches."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "Batches, newest first",
        query={**paging(), "status": {"type": "string", "enum": schemas.CHAIN_STATUSES}},
        answers={200: schemas.BATCHES},
    )
    async def on_get(self, req: Request, resp: Response) -> None:
        """A list, empty without batches. Those of a status are those that have it in the ledger."""
        house = self._house
        rows = await house.off_loop.read(batches, house.application.database, **req.context.query)
        found = await _count(house, rows)
        message = text(req.context.language, "batches_read", count=len(found))
        resp.media = {"success": True, "data": [_facts(one) for one in found], "message": message}


class Batch:
    """One batch."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("A batch", answers={200: schemas.BATCH, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, batch_id: str) -> None:
        """Its counts, and how long it will take; from Redis while it is on the board."""
        found = await _status(self._house, batch_id)
        message = text(req.context.language, "batch_read", batch_id=batch_id)
        resp.media = {"success": True, "data": _facts(found), "message": message}


def known_batch_id(batch_id: str) -> str:
    """The id, where it can be one.

    Raises:
        Refusal: 404.
    """
    if "\0" in batch_id or len(batch_id) > 255:
        raise unknown_batch()
    return batch_id


def unknown_batch() -> Refusal:
    """The refusal for a batch that nobody knows."""
    return Refusal(404, "batch_not_found", "Batch not found")


async def _status(house: House, batch_id: str) -> BatchStatus:
    with suppress(redis.RedisError):
        live = await house.board.batch(known_batch_id(batch_id))
        if live is not None:
            # Off the loop: a batch of a million images is a million letters.
            return await house.off_loop.read(status_of_live, batch_id, live)
    row = await house.off_loop.read(batch, house.application.database, batch_id)
    if row is None:
        raise unknown_batch()
    return status_of_row(row)


async def _count(house: House, rows: list[BatchExecution]) -> list[BatchStatus]:
    """Count those that have not ended on the board; without Redis the ledger's counts stand."""
    found = [status_of_row(row) for row in rows]
    with suppress(redis.RedisError):
        for number, row in enumerate(rows):
            if row.finished_at is None and row.seq is not None:
                live = await house.board.batch(row.batch_id)
                if live is not None:
                    found[number] = await house.off_loop.read(status_of_live, row.batch_id, live)
    return found


def _facts(status: BatchStatus) -> dict[str, Any]:
    share = min(1.0, status.ended_images / status.total_images) if status.total_images else 0.0
    told = {
        **asdict(status),
        # Four digits, so that of a million images not even the last is rounded away.
        "progress_percentage": round(share * 100, 4),
    }
    names = schemas.BATCH_DATA["properties"]
    return {name: moment(told[name]) if isinstance(told[name], datetime) else told[name] for name in names}
