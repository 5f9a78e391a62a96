"""Live runs: one listener a process on the progress channels, for all who follow a run.

A message on a channel says that a run has moved; what happened is read from the run's own stream, after the
last message that is known here. So nothing is told twice or left out, whatever pub/sub loses. A message that
is in no stream (published by hand) is passed on as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import Any

import redis.asyncio
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from callboard.errors import CallboardError
from db.keys import Keys
from db.redis_client import SOCKET_TIMEOUT
from db.status import StatusManager

from .ender import Ender
from .live_limits import ENDED_LONG_AGO, IDLE, STOPPING, TOO_SLOW, TRY_LATER, Full, Limits
from .live_listener import Listener
from .live_run import Follower, Loaded, Run, parse
from .live_source import CHUNK, RunSource, StreamEntry, id_order

#: Connections to Redis that one process reads runs with.
CONNECTIONS = 8
#: Characters of a run's id beyond which there is none.
LONGEST_ID = 255
#: Seconds before a run is read again after Redis did not answer.
RETRY_SECONDS = 0.2
#: Seconds after which a run that has ended is read anew when asked for: it may have been resumed.
ENDED_FRESH = 2.0


class LiveRuns:
    """The runs of which this process knows where they stand, and those who follow them.

    Parameters:
        redis_url: the board's server.
        keys: names of its keys.
        channels: progress channels of workflows that have their own; the common one is always heard.
        max_sockets: instead of ``limits.sockets``.
        limits: see :class:`Limits`.
        status: reads runs that Redis no longer knows from the ledger; None leaves them unknown.
    """

    def __init__(
        self,
        redis_url: str,
        keys: Keys,
        channels: Sequence[str] = (),
        *,
        max_sockets: int | None = None,
        limits: Limits | None = None,
        status: StatusManager | None = None,
    ) -> None:
        chosen = limits or Limits()
        self.limits = chosen if max_sockets is None else replace(chosen, sockets=max_sockets)
        self.runs: OrderedDict[str, Run] = OrderedDict()
        self.stopping = False
        self._followers: set[Follower] = set()
        self._dirty: dict[str, list[bytes]] = {}
        self._moved = asyncio.Event()
        self._loads: dict[str, asyncio.Task[Run | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener(
            redis_url, sorted({keys.progress, *channels}), self._on_message, self._on_connected
        )
        self._ender = Ender(self.begin_stop)
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            redis_url, max_connections=CONNECTIONS, timeout=SOCKET_TIMEOUT, socket_timeout=SOCKET_TIMEOUT
        )
        self._reading = redis.asyncio.Redis(connection_pool=pool)
        self.source = RunSource(self._reading, keys, status)
        self._scheduler: AsyncIOScheduler | None = None

    @property
    def listening(self) -> bool:
        """Whether what is published reaches us, as far as we know."""
        return self._listener.connected

    @property
    def open_sockets(self) -> int:
        """WebSockets and event streams that follow a run."""
        return len(self._followers)

    async def start(self) -> None:
        """Begin to listen. It needs no Redis to be there yet."""
        self._spawn(self._listener.run())
        self._spawn(self._read_forever())
        logging.getLogger("apscheduler.executors.default").setLevel(logging.WARNING)
        self._scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1})
        self._scheduler.add_job(self.tend, "interval", seconds=1)
        self._scheduler.start()
        self._ender.heed()

    async def stop(self) -> None:
        """Close every socket and stream, and then all else, within seconds."""
        self.begin_stop()
        self._ender.forget()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_gone(), 4)
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        tasks = {*self._tasks, *self._loads.values()}
        left = tasks
        while left:
            for task in left:
                task.cancel()
            # The Redis client may take a cancellation for a time-out of its own: then it is cancelled again.
            _, left = await asyncio.wait(left, timeout=1)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.close()
        await self._reading.aclose()
        await self._reading.connection_pool.disconnect()

    def begin_stop(self) -> None:
        """Ask every socket and stream to close; new ones are turned away."""
        self.stopping = True
        for follower in list(self._followers):
            follower.end(STOPPING, "the server stops")

    async def _all_gone(self) -> None:
        while self._followers:
            await asyncio.sleep(0.02)

    # -- who asks ------------------------------------------------------------------------------------------

    async def find(self, run_id: str) -> Run | None:
        """The run, as it stands now; None for an unknown one.

        Raises:
            redis.RedisError: Redis does not answer.
            LedgerUnavailable: Redis does not know the run and the database does not answer.
        """
        if "\0" in run_id or len(run_id) > LONGEST_ID:
            return None
        now = _now()
        run = self.runs.get(run_id)
        if run is not None:
            run.asked = now
            stale = run.ended is not None and now - run.loaded > ENDED_FRESH
            if run.followed and self.listening and not stale:
                return run
        task = self._loads.get(run_id)
        if task is None:
            task = self._loads[run_id] = asyncio.create_task(self._load(run_id))
            task.add_done_callback(lambda done: self._loaded(run_id, done))
        return await asyncio.shield(task)

    @contextlib.contextmanager
    def following(self, run: Run, abort: Callable[[], None]) -> Iterator[Follower]:
        """Follow a run for as long as the context lasts.

        Raises:
            Full: there is no room.
        """
        if self.stopping:
            raise Full(STOPPING, "the server stops")
        if len(self._followers) >= self.limits.sockets:
            raise Full(TRY_LATER, f"{self.limits.sockets} sockets are open; try again later")
        follower = Follower(run, abort)
        self.runs.setdefault(run.run_id, run)
        self._followers.add(follower)
        run.followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            run.followers.discard(follower)
            run.asked = _now()

    async def _load(self, run_id: str) -> Run | None:
        loaded = await self.source.load(run_id)
        run = self.runs.get(run_id)
        if loaded is None:
            return run
        if run is None:
            run = self._add(run_id)
        self._take_over(run, loaded)
        return run

    def _take_over(self, run: Run, loaded: Loaded) -> None:
        now = _now()
        # The reader may have gone beyond what was loaded meanwhile.
        if run.followed and id_order(loaded.last_id) < id_order(run.last_id):
            return
        if run.load(loaded, now):
            for follower in run.followers:
                follower.wake(now, refresh=True)
        self._mark(run.run_id)

    def _loaded(self, run_id: str, done: asyncio.Task[Run | None]) -> None:
        del self._loads[run_id]
        if not done.cancelled():
            done.exception()  # those who wait for it are told; if they have gone, nobody needs to be

    def _add(self, run_id: str) -> Run:
        while len(self.runs) >= self.limits.runs:
            oldest = next((run for run in self.runs.values() if not run.followers), None)
            if oldest is None:
                break
            del self.runs[oldest.run_id]
        run = self.runs[run_id] = Run(run_id, self.limits.queue, _now())
        return run

    # -- what is heard -------------------------------------------------------------------------------------

    def _on_message(self, text: bytes) -> None:
        message = parse(text)
        if message is None:
            return
        run = self.runs.get(message.run_id)
        if run is None:
            run = self._add(message.run_id)
        self.runs.move_to_end(message.run_id)
        if run.followed:
            self._mark(message.run_id, text)
        else:
            now = _now()
            run.apply(text, None, now)
            for follower in run.followers:
                follower.wake(now)

    def _mark(self, run_id: str, text: bytes | None = None) -> None:
        texts = self._dirty.setdefault(run_id, [])
        if text is not None:
            texts.append(text)
        self._moved.set()

    async def _read_forever(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            heard, self._dirty = self._dirty, {}
            runs = [run for run_id in heard if (run := self.runs.get(run_id)) is not None]
            try:
                answers = await self.source.read({run.run_id: run.last_id for run in runs})
            except redis.RedisError:
                for run_id, texts in heard.items():
                    self._dirty[run_id] = [*texts, *self._dirty.get(run_id, [])][-CHUNK:]
                await asyncio.sleep(RETRY_SECONDS)
                self._moved.set()
                continue
            for run, entries in zip(runs, answers, strict=True):
                self._apply(run, entries, heard[run.run_id])

    def _apply(self, run: Run, entries: list[StreamEntry], published: list[bytes]) -> None:
        now, head = _now(), run.head
        for entry_id, text in entries:
            if id_order(entry_id) > id_order(run.last_id):
                run.apply(text, entry_id, now)
        if len(entries) == CHUNK:
            self._mark(run.run_id)
            self._dirty[run.run_id][:0] = published
            published = []
        for text in published:
            if run.is_foreign(text):
                run.apply(text, None, now)
        if run.head != head:
            for follower in run.followers:
                follower.wake(now)

    def _on_connected(self) -> None:
        self._spawn(self._resync())

    async def _resync(self) -> None:
        """After an outage: everyone who follows a run is told anew where it stands."""
        for run in list(self.runs.values()):
            if not run.followers:
                run.followed = False
        for run in [run for run in self.runs.values() if run.followers]:
            while self.listening:
                try:
                    loaded = await self.source.load(run.run_id)
                except (redis.RedisError, CallboardError):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if loaded is not None:
                    self._take_over(run, loaded)
                for follower in run.followers:
                    follower.wake(_now(), refresh=True)
                break

    # -- what is kept --------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Drop clients that stay behind or are idle, and runs that nobody needs any more."""
        now, limits = _now(), self.limits
        for follower in list(self._followers):
            if follower.behind is not None and now - follower.behind > limits.patience:
                follower.end(TOO_SLOW, "too slow: messages were waiting for too long")
            elif now - max(follower.heard, follower.moved) > limits.idle:
                follower.end(IDLE, "idle")
        for run in list(self.runs.values()):
            run.forget_unheard(now)
            if run.followers:
                if run.ended is not None and now - run.ended > limits.keep_ended:
                    for follower in run.followers:
                        if now - follower.heard > limits.keep_ended:
                            follower.end(ENDED_LONG_AGO, "the run has ended")
                continue
            keep = limits.keep_silent if run.ended is None else limits.keep_ended
            if run.followed:
                keep = min(keep, limits.keep_asked)
            if now - max(run.asked, run.loaded if run.followed else run.heard) > keep:
                del self.runs[run.run_id]
                self._dirty.pop(run.run_id, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now() -> float:
    return asyncio.get_running_loop().time()
