"""GETs that travel together."""

from __future__ import annotations

import asyncio

import pytest
import redis
import redis.asyncio
from servers import free_port

from api.gathered import KEYS, GatheredGets


def test_each_gets_its_own(redis_url: str) -> None:
    async def scenario() -> None:
        client = redis.asyncio.Redis.from_url(redis_url)
        count = 3 * KEYS
        await client.mset({f"k{number}": number for number in range(count)})
        await client.rpush("list", "x")
        before = (await client.info("commandstats")).get("cmdstat_mget", {"calls": 0})["calls"]
        gets = GatheredGets(client)
        asked = [f"k{number % count}" for number in range(2 * count)]
        found = await asyncio.gather(*(gets.get(key) for key in asked))
        assert found == [key[1:].encode() for key in asked]
        assert await gets.get("list") is None
        assert await gets.get("nobody") is None

        gone, stays = gets.get("k1"), gets.get("k1")
        gone.cancel()
        assert await stays == b"1"
        await client.set("k1", "new")
        assert await gets.get("k1") == b"new"
        stats = await client.info("commandstats")
        assert stats["cmdstat_mget"]["calls"] - before < 30
        await client.aclose()

    asyncio.run(scenario())


def test_all_learn_of_an_outage_and_of_its_end(redis_url: str) -> None:
    async def scenario() -> None:
        away = redis.asyncio.Redis.from_url(f"redis://127.0.0.1:{free_port()}", retry=None)
        gets = GatheredGets(away)
        for _ in range(3):
            found = await asyncio.gather(*(gets.get(f"k{n}") for n in range(20)), return_exceptions=True)
            assert all(isinstance(error, redis.RedisError) for error in found)
        with pytest.raises(redis.RedisError):
            await gets.get("k")
        await away.aclose()

    asyncio.run(scenario())
