"""Samples of a batch's counts, from which ``db/batches/pace.py`` tells how long it will take."""

from __future__ import annotations

import time

from actors.application import Application
from db.batches.live import LiveBatch
from db.batches.pace import NO_PACE, Pace, Sample
from db.workers import Workers


def note_pace(application: Application, batch_id: str, live: LiveBatch) -> None:
    """Keep a sample of a reading, unless the last one is young. One that has ended starts afresh if reopened.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    counts = live.counts
    if counts.ended:
        if live.pace.samples:
            application.batches.note(batch_id, "pace", NO_PACE.as_json())
        return
    if live.started is None:
        return
    ended = live.facts.images - counts.left
    pace = live.pace.after(Sample(round(time.time(), 3), ended, counts.open))
    if pace is live.pace:
        return
    # What is open beyond that waits in a queue.
    threads = Workers(application.board.clients, application.board.keys).threads()
    if threads and pace.samples[-1].busy > threads:
        *before, newest = pace.samples
        pace = Pace(pace.since, (*before, newest._replace(busy=threads)))
    application.batches.note(batch_id, "pace", pace.as_json())
