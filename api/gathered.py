"""Many polls, one round trip: GETs that are asked for at about the same moment go to Redis as one MGET."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

import redis
import redis.asyncio

#: Keys of one MGET, and MGETs under way at once. What comes while so many are waits for the next.
KEYS, UNDER_WAY = 200, 4

Waiting = dict[str, list["asyncio.Future[bytes | None]"]]


class GatheredGets:
    """GETs of plain keys. A key that holds something else than a string reads as None.

    Parameters:
        client: what the MGETs go through.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._waiting: Waiting = {}
        self._waited_before: Waiting = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: str) -> asyncio.Future[bytes | None]:
        """The value of ``key``, read after this call; await it.

        Raises (when awaited):
            redis.RedisError: Redis does not answer.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()
        if not self._waiting and len(self._tasks) < UNDER_WAY:
            # Not at once: whatever else asks in this turn of the loop comes along.
            loop.call_soon(self._send)
        self._waiting.setdefault(key, []).append(future)
        return future

    def give_up(self) -> None:
        """End the wait of those that waited at the last call, too: Redis hangs, and more and more come."""
        for key, futures in self._waited_before.items():
            if self._waiting.get(key) is futures:
                del self._waiting[key]
                for future in _open({key: futures}):
                    future.set_exception(redis.TimeoutError("Redis lets polls wait for too long"))
        self._waited_before = dict(self._waiting)

    def _send(self) -> None:
        if not self._waiting or len(self._tasks) >= UNDER_WAY:
            return
        if len(self._waiting) <= KEYS:
            asked, self._waiting = self._waiting, {}
        else:
            asked = {key: self._waiting.pop(key) for key in list(islice(self._waiting, KEYS))}
        task = asyncio.create_task(self._ask(asked))
        self._tasks.add(task)
        task.add_done_callback(self._next)

    def _next(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._send()

    async def _ask(self, asked: Waiting) -> None:
        try:
            values: Any = await self._client.mget(list(asked))
        except BaseException as error:
            for future in _open(asked):
                if isinstance(error, asyncio.CancelledError):
                    future.cancel()
                else:
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for futures, value in zip(asked.values(), values, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result(value)


def _open(asked: Waiting) -> Iterator[asyncio.Future[bytes | None]]:
    """Those that are still waited for: a client may have gone."""
    return (future for futures in asked.values() for future in futures if not future.done())
