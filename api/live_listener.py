"""The one connection of a process that hears what is published on the progress channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from db.redis_client import SOCKET_TIMEOUT

#: Seconds of silence after which the listener asks whether Redis is still there.
SILENCE_SECONDS = 5.0
#: Seconds between two tries to reach Redis: at first, and at most.
RETRY_SECONDS = (0.1, 2.0)

logger = logging.getLogger(__name__)


class Listener:
    """Hears channels, for ever.

    Parameters:
        redis_url: the server.
        channels: their names.
        on_message: called with each text that is published.
        on_connected: called each time the channels are subscribed to: what was said before may be lost.

    Attributes:
        connected: whether it hears at present, as far as it knows.
    """

    def __init__(
        self,
        redis_url: str,
        channels: Sequence[str],
        on_message: Callable[[bytes], None],
        on_connected: Callable[[], None],
    ) -> None:
        # An outage is not to be hidden by a retry.
        self._client = redis.asyncio.Redis.from_url(
            redis_url, socket_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        self._channels = list(channels)
        self._on_message = on_message
        self._on_connected = on_connected
        self.connected = False
        self._outage = False
        self._delay = RETRY_SECONDS[0]

    async def run(self) -> None:
        """Hear until cancelled; an outage is one line in the log."""
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*self._channels)
                    await self._hear(pubsub)
            except (redis.RedisError, OSError) as error:
                self.connected = False
                if not self._outage:
                    logger.warning("Live progress waits for Redis: %s", error)
                self._outage = True
                await asyncio.sleep(self._delay)
                self._delay = min(2 * self._delay, RETRY_SECONDS[1])

    async def close(self) -> None:
        """Give the connection up."""
        await self._client.aclose()

    async def _hear(self, pubsub: Any) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            if message is None:
                if asked:
                    raise redis.ConnectionError(f"no answer for {SILENCE_SECONDS:.0f} s")
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "message":
                self._on_message(message["data"])
            elif message["type"] == "subscribe" and message["channel"].decode() == self._channels[-1]:
                # Seen also when redis-py has connected again by itself.
                self._note_connected()

    def _note_connected(self) -> None:
        if self._outage:
            logger.warning("Live progress is back.")
        self._outage, self._delay = False, RETRY_SECONDS[0]
        self.connected = True
        self._on_connected()
