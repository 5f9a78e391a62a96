"""``GET /health``: this process lives. ``GET /ready``: what it works with answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import redis
from falcon.asgi import Request, Response

from callboard.errors import LedgerUnavailable
from db.migrate import pending

from . import schemas
from .errors import RETRY_AFTER, Refusal
from .house import House
from .operations import operation

#: Seconds for one dependency.
PATIENCE = 3.0


class Health:
    """Liveness."""

    @operation("Whether this process lives", role=None, answers={200: schemas.HEALTH})
    async def on_get(self, req: Request, resp: Response) -> None:
        """It does."""
        resp.data = b'{"status":"ok"}'


class Ready:
    """Readiness, per dependency."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "Whether Redis, the database and the broker answer",
        role=None,
        answers={200: schemas.READY, 503: schemas.ERROR},
    )
    async def on_get(self, req: Request, resp: Response) -> None:
        """All of them, or 503 naming those that do not."""
        house = self._house
        looks: dict[str, Awaitable[Any]] = {
            "redis": house.board.client.ping(),
            "database": house.off_loop.read(_check_database, house),
        }
        if house.application.settings.broker_url:
            looks["broker"] = house.off_loop.read(house.application.broker.get_declared_queues)
        found = await asyncio.gather(*(_look(one) for one in looks.values()))
        dependencies = dict(zip(looks, found, strict=True))
        missing = [name for name, facts in dependencies.items() if not facts["ok"]]
        if missing:
            raise Refusal(
                503,
                "not_ready",
                f"no answer from: {', '.join(missing)}",
                data=dependencies,
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        resp.media = {"status": "ready", "dependencies": dependencies}


async def _look(question: Awaitable[Any]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        await asyncio.wait_for(question, PATIENCE)
    except (redis.RedisError, LedgerUnavailable, OSError, asyncio.TimeoutError) as error:
        # The text may hold a host name or a user: that is for the log.
        reason = str(error) if "callboard migrate" in str(error) else type(error).__name__
        return {"ok": False, "error": reason}
    return {"ok": True, "seconds": round(time.monotonic() - began, 4)}


def _check_database(house: House) -> None:
    names = pending(house.application.database)
    if names:
        raise LedgerUnavailable(f"run `callboard migrate`: {', '.join(names)}")
