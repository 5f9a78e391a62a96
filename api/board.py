"""The board read from the event loop: the keys of :class:`db.board.Board`, through ``redis.asyncio``."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from db.batches.live import LiveBatch, read_answer
from db.chains import LiveChain, now
from db.keys import Keys
from db.scripts import source

from .gathered import GatheredGets

#: Seconds after which a silent Redis counts as gone.
TIMEOUT = 2.0
#: Connections at most; more requests than that at once wait for one.
CONNECTIONS = 90


class AsyncBoard:
    """Reads live chains. Building it opens no connection.

    Parameters:
        url: the board's Redis.
        keys: names of its keys.
    """

    def __init__(self, url: str, keys: Keys) -> None:
        self.keys = keys
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=TIMEOUT, **_bounds()
        )
        self.client: redis.asyncio.Redis = redis.asyncio.Redis(connection_pool=pool)
        # So few are under way at once that nobody need wait for a connection, which costs its time, too.
        self._polling: redis.asyncio.Redis = redis.asyncio.Redis.from_url(url, **_bounds())
        self._gets = GatheredGets(self._polling)
        self._read_batch = self.client.register_script(source("batch_read"))

    async def close(self) -> None:
        """Close the connections."""
        for client in (self.client, self._polling):
            await client.aclose()
            await client.connection_pool.disconnect()

    def give_up_polls(self) -> None:
        """See :meth:`GatheredGets.give_up`."""
        self._gets.give_up()

    async def array(self, chain_id: str) -> bytes | None:
        """The status array as JSON text; None for a chain that the board does not know.

        A single object (the old form) comes as an array of one. When it has expired while its chain waited,
        the live state still has it.
        """
        text = await self._gets.get(self.keys.array(chain_id))
        if text is None:  # unknown, or another kind of key
            expired: Any = await self.client.hget(self.keys.live(chain_id), "array")
            text = expired
        if text is None:
            return None
        if text[:1] == b"{":
            text = b"[" + text + b"]"
        return text if count_entries(text) is not None else None

    async def chain(self, chain_id: str) -> LiveChain | None:
        """The live state of a chain; None for one that the board does not know."""
        names = ["facts", "state", "plan", "final"]
        found: Any = await self.client.hmget(self.keys.live(chain_id), names)
        if found[0] is None:
            return None
        facts, state, plan = (json.loads(text) for text in found[:3])
        return LiveChain(facts, state, plan, json.loads(found[3]) if found[3] else None)

    async def tasks(self, chain_id: str, chain: LiveChain) -> list[dict[str, Any]]:
        """The tasks that have begun, in order: what the live hash says of each, and its ``task_id``."""
        places = [
            (f"{number}.{member if stage['parallel'] else 0}", task)
            for number, stage in enumerate(chain.plan, start=1)
            for member, task in enumerate(stage["tasks"], start=1)
        ]
        names = [place for place, _ in places]
        found: Any = await self.client.hmget(self.keys.live(chain_id), names)
        return [
            {**json.loads(text), "task_id": planned["task_id"], "task_name": planned["task_name"]}
            for text, (_, planned) in zip(found, places, strict=True)
            if text
        ]

    async def batch(self, batch_id: str) -> LiveBatch | None:
        """The batch as it is now; None for one that the board does not know."""
        names = [self.keys.batch(batch_id), self.keys.batch_items(batch_id)]
        return read_answer(await self._read_batch(keys=names, args=[now()]))

    async def texts(self, *names: str) -> list[bytes | None]:
        """The values of plain keys; None for one that is not there or holds something else."""
        found: Any = await self.client.mget(names)
        return list(found)


def _bounds() -> dict[str, Any]:
    """How long a client waits, and how often it tries."""
    return {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), retries=1),
    }


@lru_cache(maxsize=512)
def count_entries(array: bytes) -> int | None:
    """How many stages a status array has; None when it is none. Polls mostly bring the same text again."""
    try:
        entries = json.loads(array)
    except ValueError:
        return None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and "stage" in entry and "chain_id" in entry for entry in entries
    ):
        return None
    return len(entries)
