"""Which chunks of a batch go out next, and their messages."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from dramatiq import Message, group

from actors.application import Application
from actors.redis_broker import RedisBroker, retried_id
from db.batches import failures
from db.batches.board import milliseconds
from db.batches.live import LiveBatch
from db.workers import Workers
from middleware.pipelines import QUEUE_ID

from . import chunk_sizes

#: Name and queue of the actor that starts a chunk's chains (``actors/batches/chunks.py``).
CHUNK_ACTOR = "pipeline.process_chunk_task"
CHUNK_QUEUE = "callboard"
#: Retries of a chunk's start, 5, 10 and 20 s after one another (less a share by chance).
RETRIES = 3
#: Seconds between two looks at the size of the chunks, where that is automatic.
RESIZE_AFTER = 5
#: Seconds that a chunk's start may take before its message is sent again.
RESEND_AFTER = 60
#: Images under way for each thread of a worker, where a batch names no window. What starts later waits behind
#: them: with two it waits for about as long as it runs.
IMAGES_PER_THREAD = 2
#: Seconds that the next chunk may take to follow: so much work lies ready where images end fast.
REACTION = 0.3
#: Threads that are reckoned with while fewer are known.
FEWEST_THREADS = 4
#: Seconds between two looks that the driver asks for itself; for later ones the moves of the chains do.
SOONEST, LATEST = 0.02, 0.1
#: Seconds for which a batch's pace is not known yet.
YOUNG = 0.3


@dataclass(frozen=True)
class Room:
    """What may be under way: so many chunks, or, where they are None, images.

    Attributes:
        images: of the chunks that are let go, at most.
        busy: as long as fewer are under way, threads may be idle, and a larger chunk goes, too.
    """

    chunks: int | None
    images: float = 0
    busy: float = 0

    def has(self, chunks: int, images: int, count: int) -> bool:
        """Whether a chunk of ``count`` images may go beside what is under way."""
        if self.chunks is not None:
            return chunks < self.chunks
        return images < self.busy or images + count <= self.images


def release(application: Application, batch_id: str, live: LiveBatch) -> float | None:
    """Let as many chunks go as there is room for, as one group; first those that go once more.

    Returns:
        Seconds until the next look, where that is to be sooner than the chains' moves bring it about.
    """
    live = _resized(application, batch_id, live)
    facts, board = live.facts, application.batches
    left, waiting = facts.chunks - live.released, live.to_release_again()
    if left == 0 and live.counts.new == 0 and not waiting:
        return _next_look(live, live.images_in_flight(), all_out=True)
    line = board.wait_in_line(batch_id, facts.priority, waits=bool(left or waiting))
    if line.outranked:
        # A chunk at each look, so that it goes on even where those before it stand still.
        room = Room(chunks=1 if live.look <= milliseconds(0) else 0)
    else:
        room = room_of(application, live, line.sharers)
    under_way, images = set(live.in_flight()), live.images_in_flight()
    again, onwards = [], live.released
    for chunk, count in waiting.items():
        # What is under way in part costs no room.
        if chunk not in under_way and not room.has(len(under_way), images, count):
            break
        under_way.add(chunk)
        again.append(chunk)
        images += count
    while onwards < facts.chunks and room.has(len(under_way), images, len(facts.range_of(onwards))):
        under_way.add(onwards)
        images += len(facts.range_of(onwards))
        onwards += 1
    all_out = onwards == facts.chunks and len(again) == len(waiting)
    if again or onwards > live.released:
        chunks = board.release(batch_id, live, onwards, again)
        if chunks:
            send_chunks(application, batch_id, chunks)
            if all_out:
                board.wait_in_line(batch_id, facts.priority, waits=False)
    return _next_look(live, images, all_out=all_out)


def _next_look(live: LiveBatch, images: int, *, all_out: bool) -> float | None:
    """Seconds until so many images may be half done, or done where none follow; None where that takes long.

    A young batch is looked at more and more seldom, as nothing is known of its images.
    """
    if not images:
        return None
    age = time.time() - live.pace.since if live.pace.samples else 0.0
    if age < YOUNG:
        return max(SOONEST, age / 3)
    rate = live.newest_rate(time.time())
    seconds = images / rate * (1 if all_out else 0.5) if rate else LATEST
    return max(SOONEST, seconds) if seconds < LATEST else None


def _resized(application: Application, batch_id: str, live: LiveBatch) -> LiveBatch:
    """The batch with another size of the chunks that wait to be released, where the time asks for one."""
    facts = live.facts
    if not facts.auto or live.released == facts.chunks or live.resize > milliseconds(0):
        return live
    application.batches.set_moment(batch_id, "resize", RESIZE_AFTER)
    stages = failures.stages_of(application.database, batch_id)
    seconds = failures.seconds_of_stages(application.database, batch_id)
    if not stages or len(seconds) < len(stages):
        return live
    size = chunk_sizes.by_time(facts.size, sum(seconds.values()))
    if size == facts.size:
        return live
    return replace(live, facts=replace(facts, segments=facts.cut_from(live.released, size)))


def room_of(application: Application, live: LiveBatch, sharers: int) -> Room:
    """The window that was asked for, or what keeps the workers busy, shared with the batches beside."""
    window = live.facts.window
    if window and live.released < live.facts.chunks:
        return Room(chunks=window)
    if window:
        # All that is left is retried: of most chunks few images, so that a window of chunks would stay empty.
        return Room(None, images=window * live.facts.size, busy=1)
    workers = Workers(application.board.clients, application.board.keys)
    threads = max(FEWEST_THREADS, workers.threads())
    moment = time.time()
    ready = live.newest_rate(moment) * REACTION
    if live.ran_dry_within(REACTION, moment):
        ready = max(ready, 2 * live.images_of_newest_release)
    return Room(None, images=max(IMAGES_PER_THREAD * threads / sharers, ready), busy=threads / sharers)


def send_chunks(
    application: Application, batch_id: str, chunks: Iterable[int], *, delay: int | None = None
) -> None:
    """Send the messages that start chunks, as a group. A second one starts nothing twice.

    Parameters:
        delay: milliseconds until they run.

    Raises:
        redis.RedisError, BrokerConnectionError: the broker does not answer; some may have been sent.
    """
    actor = application.broker.get_actor(CHUNK_ACTOR)
    messages: list[Message[Any]] = [
        actor.message(batch_id, chunk).copy(options={QUEUE_ID: queue_id_of(batch_id, chunk)})
        for chunk in chunks
    ]
    group(messages, broker=application.broker).run(delay=delay)


def queue_id_of(batch_id: str, chunk: int) -> str:
    """The id under which a chunk's message lies in its queue, on the Redis broker."""
    return f"{batch_id}/{chunk}"


def lost(application: Application, batch_id: str, live: LiveBatch) -> list[int]:
    """The chunks whose message ought to be in a queue, and is not.

    Queues of RabbitMQ cannot be looked into: there it is those that have not started in a while.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    chunks, broker = live.not_sent(), application.broker
    if isinstance(broker, RedisBroker):
        tries = range(RETRIES + 1)
        held = broker.holds(
            CHUNK_QUEUE,
            [retried_id(queue_id_of(batch_id, chunk), retries) for chunk in chunks for retries in tries],
        )
        return [chunk for at, chunk in enumerate(chunks) if not any(held[at * len(tries) :][: len(tries)])]
    if live.resend > milliseconds(0):
        return []
    application.batches.set_moment(batch_id, "resend", RESEND_AFTER)
    return chunks
