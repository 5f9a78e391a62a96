"""What waits, off the event loop: the ledger's SQL and the calls that start, resume and revoke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from callboard.errors import LedgerUnavailable

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds that a read may take before the client is told to come back later.
READ_SECONDS = 5.0
#: Seconds that a start, resume or revoke may take; it is not called off half-way.
WRITE_SECONDS = 10.0
#: Seconds that the start of a batch may take, with a look at its files.
BATCH_SECONDS = 60.0
#: Seconds that the counts of the metrics may take.
COUNT_SECONDS = 60.0


class Unanswered(LedgerUnavailable):
    """The call took too long and was left to itself: what was asked may still come about."""


class OffLoop:
    """Threads for what blocks: some for reads, others for writes, so that a slow ledger stops no start."""

    def __init__(self, *, readers: int = 8, writers: int = 8) -> None:
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="api-read")
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="api-write")
        self._batches = ThreadPoolExecutor(2, thread_name_prefix="api-batch")
        self._counter = ThreadPoolExecutor(1, thread_name_prefix="api-count")

    async def read(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it in a thread.

        Raises:
            Unanswered: no answer within :data:`READ_SECONDS`.
            LedgerUnavailable: the function says so.
        """
        return await self._within(READ_SECONDS, self._readers, partial(function, *args, **kwargs))

    async def write(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it in a thread. When the answer takes too long, what was asked may still come about.

        Raises:
            Unanswered: no answer within :data:`WRITE_SECONDS`.
            LedgerUnavailable: the function says so.
        """
        return await self._within(WRITE_SECONDS, self._writers, partial(function, *args, **kwargs))

    async def batch(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As :meth:`write`, for thousands of files, in threads of their own.

        Raises:
            Unanswered: no answer within :data:`BATCH_SECONDS`.
            LedgerUnavailable: the function says so.
        """
        return await self._within(BATCH_SECONDS, self._batches, partial(function, *args, **kwargs))

    async def count(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call what takes long but is asked seldom, in a thread of its own.

        Raises:
            Unanswered: no answer within :data:`COUNT_SECONDS`.
            LedgerUnavailable: the function says so.
        """
        return await self._within(COUNT_SECONDS, self._counter, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Let the threads end; wait for none of them."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(wait=False, cancel_futures=True)
        self._batches.shutdown(wait=False, cancel_futures=True)
        self._counter.shutdown(wait=False, cancel_futures=True)

    async def _within(self, seconds: float, threads: ThreadPoolExecutor, call: Callable[[], R]) -> R:
        future = asyncio.get_running_loop().run_in_executor(threads, call)
        try:
            return await asyncio.wait_for(asyncio.shield(future), seconds)
        except asyncio.TimeoutError:
            # Nobody waits for it: what has begun ends as it may, what has not never begins.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            future.cancel()
            raise Unanswered(f"no answer within {seconds:g} s") from None
