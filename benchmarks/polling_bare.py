"""The bare side of ``polling.py``: Falcon, and one GET of one Redis key."""

from __future__ import annotations

import os
from typing import Any

import falcon.asgi
import redis.asyncio


class Key:
    """The value of one key, as it is."""

    def __init__(self) -> None:
        self._client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"])

    async def on_get(self, req: Any, resp: Any, chain_id: str) -> None:
        """The value."""
        resp.data = await self._client.get(chain_id)


app = falcon.asgi.App()
app.add_route("/api/v1/tasks/ai-pipeline/{chain_id}/tasks", Key())
