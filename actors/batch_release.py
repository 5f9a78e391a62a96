"""Which chunks of a batch go out next, and their messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from dramatiq import Message, group

from db import batch_failures
from db.batch_board import LiveBatch, milliseconds
from db.batch_facts import BatchFacts
from db.workers import Workers
from middleware.pipelines import QUEUE_ID

from . import chunk_sizes
from .application import Application
from .redis_broker import RedisBroker

#: Name and queue of the actor that starts a chunk's chains (``actors/batch_chunks.py``).
CHUNK_ACTOR = "pipeline.process_chunk_task"
CHUNK_QUEUE = "callboard"
#: Seconds between two looks at the size of the chunks, where that is automatic.
RESIZE_AFTER = 5
#: Seconds that a chunk's start may take before its message is sent again.
RESEND_AFTER = 60
#: Images under way for each thread of a worker, and the fewest chunks, where a batch names no window.
IMAGES_PER_THREAD = 2
SMALLEST_WINDOW = 4


def release(application: Application, batch_id: str, live: LiveBatch) -> None:
    """Let as many chunks go as the window has room for, as one group; first those that go once more."""
    live = _resized(application, batch_id, live)
    facts, board = live.facts, application.batches
    left, waiting = facts.chunks - live.released, live.to_release_again()
    if left == 0 and live.counts.new == 0 and not waiting:
        return
    outranked = board.wait_in_line(batch_id, facts.priority, waits=bool(left or waiting))
    window = 1 if outranked else _window(application, facts)
    again = _again(live, waiting, window)
    under_way = {*live.in_flight(), *again}
    onwards = live.released + max(0, min(left, window - len(under_way)))
    if not again and onwards == live.released:
        return
    chunks = board.release(batch_id, live, onwards, again)
    if chunks:
        send_chunks(application, batch_id, chunks)
        if onwards == facts.chunks and len(again) == len(waiting):
            board.wait_in_line(batch_id, facts.priority, waits=False)


def _resized(application: Application, batch_id: str, live: LiveBatch) -> LiveBatch:
    """The batch with another size of the chunks that wait to be released, where the time asks for one."""
    facts = live.facts
    if not facts.auto or live.released == facts.chunks or live.resize > milliseconds(0):
        return live
    application.batches.set_moment(batch_id, "resize", RESIZE_AFTER)
    stages = batch_failures.stages_of(application.database, batch_id)
    seconds = batch_failures.seconds_of_stages(application.database, batch_id)
    if not stages or len(seconds) < len(stages):
        return live
    size = chunk_sizes.by_time(facts.size, sum(seconds.values()))
    if size == facts.size:
        return live
    return replace(live, facts=replace(facts, segments=facts.cut_from(live.released, size)))


def _again(live: LiveBatch, waiting: dict[int, int], window: int) -> list[int]:
    """Which chunks are released once more, by the images that wait in each.

    Few of a chunk's images may have failed. A window that follows the workers has room for as many images as
    whole chunks would hold; one that was asked for counts chunks. What is under way in part costs no room.
    """
    under_way, images = set(live.in_flight()), live.images_in_flight()
    again: list[int] = []
    for chunk, count in waiting.items():
        if chunk not in under_way:
            if live.facts.window:
                is_full = len(under_way) >= window
            else:
                is_full = bool(images) and images + count > window * live.facts.size
            if is_full:
                break
            under_way.add(chunk)
        images += count
        again.append(chunk)
    return again


def _window(application: Application, facts: BatchFacts) -> int:
    """Chunks that may be under way. What starts later waits behind them, so no more than needed."""
    if facts.window:
        return facts.window
    known = Workers(application.board.clients, application.board.keys).known()
    threads = sum(worker.facts.threads for worker in known if worker.alive_for)
    return max(SMALLEST_WINDOW, -(-IMAGES_PER_THREAD * threads // facts.size))


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
        held = broker.holds(CHUNK_QUEUE, [queue_id_of(batch_id, chunk) for chunk in chunks])
        return [chunk for chunk, there in zip(chunks, held, strict=True) if not there]
    if live.resend > milliseconds(0):
        return []
    application.batches.set_moment(batch_id, "resend", RESEND_AFTER)
    return chunks
