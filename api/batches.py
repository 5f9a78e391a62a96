"""``GET /pipeline/batch`` and ``GET /pipeline/batch/{batch_id}``: counted on the board while they run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
from falcon.asgi import Request, Response

from actors.application import Application
from actors.batches import refresh
from db.history import batch, batches
from db.models import BatchExecution
from db.values import utc_now

from . import schemas
from .errors import Refusal
from .house import House
from .messages import text
from .operations import operation
from .status import moment


class Batches:
    """The newest batches."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "Batches, newest first",
        query={
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "default": 100,
                "description": "a number from 1 to 1000",
            }
        },
        answers={200: schemas.BATCHES},
    )
    async def on_get(self, req: Request, resp: Response) -> None:
        """A list, empty without batches."""
        house = self._house
        found = await house.off_loop.read(batches, house.application.database, **req.context.query)
        await _count(house, found)
        message = text(req.context.language, "batches_read", count=len(found))
        resp.media = {"success": True, "data": [_facts(one) for one in found], "message": message}


class Batch:
    """One batch."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("A batch", answers={200: schemas.BATCH, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, batch_id: str) -> None:
        """Its counts, and how long it will take."""
        house = self._house
        found = None
        if "\0" not in batch_id and len(batch_id) <= 255:
            found = await house.off_loop.read(batch, house.application.database, batch_id)
        if found is None:
            raise Refusal(404, "batch_not_found", "Batch not found")
        await _count(house, [found])
        message = text(req.context.language, "batch_read", batch_id=batch_id)
        resp.media = {"success": True, "data": _facts(found), "message": message}


async def _count(house: House, rows: Sequence[BatchExecution]) -> None:
    """Count batches that have not ended on the board; without Redis the ledger's counts stand."""
    moving = [row for row in rows if row.finished_at is None and row.seq is not None]
    with suppress(redis.RedisError):
        if moving:
            await house.board.client.ping()
            await house.off_loop.read(_refresh, house.application, moving)


def _refresh(application: Application, rows: Sequence[BatchExecution]) -> None:
    for row in rows:
        refresh(application, row)


def _facts(row: BatchExecution) -> dict[str, Any]:
    ended = row.completed_images + row.failed_images + row.revoked_images
    share = min(1.0, ended / row.total_images) if row.total_images else 0.0
    return {
        "batch_id": row.batch_id,
        "batch_name": row.batch_name,
        "status": row.status,
        "total_images": row.total_images,
        "completed_images": row.completed_images,
        "failed_images": row.failed_images,
        "progress_percentage": round(share * 100, 1),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "estimated_time_remaining": _remaining(row, share),
    }


def _remaining(row: BatchExecution, share: float) -> float | None:
    """Seconds at the pace until now; None where there is none yet, 0 at the end."""
    if row.finished_at is not None:
        return 0.0
    if row.started_at is None or not share:
        return None
    elapsed = (utc_now() - row.started_at).total_seconds()
    return round(max(0.0, elapsed * (1 - share) / share), 1)
