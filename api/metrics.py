"""``GET /metrics``: Prometheus text. Counts of the ledger are read seldom, off the loop, and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import redis
from falcon.asgi import Request, Response

from actors.redis_broker import RedisBroker
from callboard.errors import LedgerUnavailable
from db.statistics import Durations, Statistics, read_statistics

from .house import House
from .operations import operation

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds for which counts are kept; at least this many times as long as the counting took.
KEEP_SECONDS, KEEP_TIMES = 15.0, 20.0
#: Seconds that a scrape waits for counts before it goes out with those of last time.
PATIENCE = 2.0

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


class Metrics:
    """What Prometheus reads.

    Parameters:
        open_sockets: how many WebSockets this process has.
    """

    def __init__(self, house: House, open_sockets: Callable[[], int]) -> None:
        self._house = house
        self._open_sockets = open_sockets
        self._statistics: Statistics | None = None
        self._counting: asyncio.Task[None] | None = None
        self._fresh_until = 0.0

    def forget_old(self) -> None:
        """Let go of counts that have outlived their time twice: nobody scrapes any more."""
        if self._counting is None and time.monotonic() > self._fresh_until + KEEP_SECONDS:
            self._statistics = None

    @operation("Metrics for Prometheus", answers={200: None}, media="text/plain")
    async def on_get(self, req: Request, resp: Response) -> None:
        """What cannot be read is left out, and its ``callboard_up`` is 0."""
        lines: list[str] = []
        redis_up = await self._live(lines)
        ledger_up = await self._counted(lines)
        up = [({"dependency": "redis"}, float(redis_up)), ({"dependency": "database"}, float(ledger_up))]
        lines += _metric("callboard_up", "Whether a dependency answers", up)
        sockets: list[Sample] = [({}, self._open_sockets())]
        lines += _metric("callboard_open_sockets", "WebSockets of this process", sockets)
        resp.content_type = CONTENT_TYPE
        resp.data = ("\n".join(lines) + "\n").encode("utf-8", "replace")

    async def _live(self, lines: list[str]) -> bool:
        try:
            waiting, lag = await self._recorder()
            queues = await self._queues()
        except (redis.RedisError, OSError):
            return False
        lines += _metric("callboard_recorder_events", "Events on their way to the ledger", [({}, waiting)])
        lines += _metric("callboard_recorder_lag_seconds", "Age of the oldest of them", [({}, lag)])
        lines += _metric("callboard_queue_messages", "Messages in queues", queues)
        return True

    async def _recorder(self) -> tuple[int, float]:
        client, stream = self._house.board.client, self._house.board.keys.events
        waiting: int = await client.xlen(stream)
        oldest: Any = await client.xrange(stream, count=1)
        seconds, micros = await client.time()
        if not oldest:
            return waiting, 0.0
        written = int(oldest[0][0].partition(b"-")[0]) / 1000
        return waiting, max(0.0, round(seconds + micros / 1e6 - written, 3))

    async def _queues(self) -> list[Sample]:
        broker = self._house.application.broker
        names = sorted(broker.get_declared_queues())
        if not isinstance(broker, RedisBroker):
            return []
        kinds = {"ready": "", "delayed": ".DQ"}
        pairs = [
            (name, kind, f"{broker.namespace}:{name}{end}") for name in names for kind, end in kinds.items()
        ]
        async with self._house.board.client.pipeline(transaction=False) as pipe:
            for _, _, key in pairs:
                pipe.llen(key)
            counts = await pipe.execute()
        return [
            ({"queue": name, "kind": kind}, count)
            for (name, kind, _), count in zip(pairs, counts, strict=True)
        ]

    async def _counted(self, lines: list[str]) -> bool:
        """Add what the ledger counts; false where it cannot be asked now."""
        if self._counting is None and time.monotonic() > self._fresh_until:
            self._counting = asyncio.create_task(self._count())
        if self._counting is not None:
            await asyncio.wait([self._counting], timeout=PATIENCE)
        found = self._statistics
        if found is None:
            return False
        lines += _metric("callboard_chains", "Chains in the ledger", _counts("workflow", found.chains))
        lines += _metric("callboard_stage_tasks", "Stage tasks in the ledger", _counts("actor", found.tasks))
        for kind, label, durations in (
            ("chain", "workflow", found.chain_durations),
            ("stage_task", "actor", found.task_durations),
        ):
            name = f"callboard_{kind}_duration_seconds"
            lines += _durations(name, label, durations)
        return time.monotonic() < self._fresh_until or self._counting is not None

    async def _count(self) -> None:
        began = time.monotonic()
        try:
            self._statistics = await self._house.off_loop.count(
                read_statistics, self._house.application.database
            )
        except LedgerUnavailable:
            self._statistics = None
        finally:
            took = time.monotonic() - began
            self._fresh_until = time.monotonic() + max(KEEP_SECONDS, KEEP_TIMES * took)
            self._counting = None


def _counts(label: str, counts: Mapping[tuple[str, str], int]) -> list[Sample]:
    return [({label: name, "status": status}, count) for (name, status), count in sorted(counts.items())]


def _durations(name: str, label: str, durations: Mapping[str, Durations]) -> list[str]:
    by_name = sorted(durations.items())
    return [
        *_metric(
            f"{name}_mean", "Of those of the last hour", [({label: n}, d.total / d.count) for n, d in by_name]
        ),
        *_metric(f"{name}_max", "Of those of the last hour", [({label: n}, d.longest) for n, d in by_name]),
        *_metric(f"{name}_ended", "How many those are", [({label: n}, d.count) for n, d in by_name]),
    ]


def _metric(name: str, text: str, samples: Iterable[Sample]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}")
    return lines


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
