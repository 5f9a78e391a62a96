"""The API process tidies up after itself: what it keeps in memory and nobody needs any more goes.

Live runs do so by themselves (``LiveRuns.tend``). This is for the rest: polls that wait in vain, counts that
nobody has asked for in a while, and what was kept to be quick.
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from .board import AsyncBoard, count_entries
from .bodies import forget_schemas
from .metrics import Metrics

#: Seconds between two looks at polls: one that was there at the last look as well waits in vain.
POLLS_INTERVAL = 5
#: Seconds between two times that caches are emptied.
CACHES_INTERVAL = 600


class Tidy:
    """Tidies while the process lives.

    Parameters:
        board: whose polls are looked at.
        metrics: whose counts grow old.
    """

    def __init__(self, board: AsyncBoard, metrics: Metrics) -> None:
        self._board = board
        self._metrics = metrics
        self._scheduler: AsyncIOScheduler | None = None

    def start(self) -> None:
        """Begin; called in the event loop."""
        self._scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1})
        self._scheduler.add_job(self.give_up_polls, "interval", seconds=POLLS_INTERVAL)
        self._scheduler.add_job(self.empty_caches, "interval", seconds=CACHES_INTERVAL)
        self._scheduler.start()

    def stop(self) -> None:
        """End."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)

    # Coroutines, as the scheduler calls anything else in a thread.

    async def give_up_polls(self) -> None:
        """Polls that Redis has let wait for too long get their error, and their places are free."""
        self._board.give_up_polls()

    async def empty_caches(self) -> None:
        """Let go of arrays, schemas and counts; whoever asks has them made again."""
        count_entries.cache_clear()
        forget_schemas()
        self._metrics.forget_old()
