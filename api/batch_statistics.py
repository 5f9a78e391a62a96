"""``GET /pipeline/batch/{batch_id}/statistics`` and ``GET /pipeline/batch/statistics``: for a dashboard."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from falcon.asgi import Request, Response

from actors.batches.statistics import batch_statistics
from db.batches.statistics import BatchStatistics
from db.values import utc_now

from . import schemas
from .batches import known_batch_id
from .house import House
from .messages import text
from .operations import operation
from .status import MOMENT, moment

#: How far back batches are looked at unless the request says.
LATELY = timedelta(days=1)


class StatisticsOfBatch:
    """One batch in numbers."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("A batch in numbers", answers={200: schemas.BATCH_STATISTICS, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, batch_id: str) -> None:
        """Rates, time and waiting of each stage, failures by stage and by error, retries."""
        application = self._house.application
        found = await self._house.off_loop.count(
            batch_statistics, known_batch_id(batch_id), application=application
        )
        resp.media = _answer(req, found)


class StatisticsOfBatches:
    """Batches in numbers."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "Batches in numbers",
        query={"since": {**MOMENT, "description": f"{MOMENT['description']}; a day ago unless given"}},
        answers={200: schemas.BATCH_STATISTICS},
    )
    async def on_get(self, req: Request, resp: Response) -> None:
        """Of those that were created since a moment, in the same form as of one."""
        since = req.context.query["since"] or (utc_now() - LATELY).replace(microsecond=0)
        application = self._house.application
        found = await self._house.off_loop.count(batch_statistics, since=since, application=application)
        resp.media = _answer(req, found)


def _answer(req: Request, found: BatchStatistics) -> dict[str, Any]:
    message = text(req.context.language, "batch_statistics_read", count=sum(found.batches.values()))
    return {"success": True, "data": {**asdict(found), "since": moment(found.since)}, "message": message}
