"""``process_chunk_task``: starts the chains of one chunk, those of them that have not been started.

Of a chunk that is released again, it also resumes those that are to be retried.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import dramatiq
from dramatiq import Actor, Broker

from actors import control, starting
from actors.application import Application, application_of
from callboard.errors import ChainStateError, UnknownChain
from db.batches import ledger
from db.batches.live import FAILED_AGAIN, FAILED_UNSTARTED, LETTERS, NEW, RETRY_RELEASED, LiveBatch

from . import callbacks
from .driver import BatchDriverThread, advance
from .release import CHUNK_ACTOR, CHUNK_QUEUE, RETRIES, send_chunks

#: Milliseconds before the first of them.
MIN_BACKOFF = 5_000
#: Milliseconds until a chunk is tried again when a server does not answer. That is no retry.
OUTAGE_PAUSE = 5_000
FAILED_ACTOR = "pipeline.chunk_failed"
#: Times that a start is tried over where another run of the same chunk was faster.
_COLLISIONS = 3

logger = logging.getLogger(__name__)


def declare(broker: Broker) -> Actor[..., Any]:
    """Declare the actors of batches on one of our brokers, and let its workers drive batches."""
    application = application_of(broker)
    driver = BatchDriverThread(application)

    def process_chunk_task(batch_id: str, chunk: int) -> None:
        try:
            _start_chunk(application, batch_id, chunk)
            driver.stir()
        except control.OUTAGES as error:
            # It is no fault of the chunk's: it is tried until the server is back.
            logger.warning("Batch %s: chunk %d waits: %s", batch_id, chunk, error)
            send_chunks(application, batch_id, [chunk], delay=OUTAGE_PAUSE)

    def chunk_failed(message: dict[str, Any], retries: dict[str, Any]) -> None:
        _fail_chunk(application, *message["args"])

    declared: Actor[..., Any] = dramatiq.actor(
        actor_name=CHUNK_ACTOR,
        queue_name=CHUNK_QUEUE,
        broker=broker,
        max_retries=RETRIES,
        min_backoff=MIN_BACKOFF,
        on_retry_exhausted=FAILED_ACTOR,
    )(process_chunk_task)
    dramatiq.actor(actor_name=FAILED_ACTOR, queue_name=CHUNK_QUEUE, broker=broker)(chunk_failed)
    callbacks.declare(broker)
    broker.add_middleware(driver)
    return declared


def _start_chunk(application: Application, batch_id: str, chunk: int) -> None:
    for _ in range(_COLLISIONS):
        live = application.batches.read(batch_id) or advance(application, batch_id)
        if live is None or live.revoked is not None or chunk >= live.facts.chunks:
            return
        items = [item for item in live.facts.range_of(chunk) if live.letters[item] == NEW[0]]
        items += _resume_items(application, batch_id, live, chunk)
        if not items:
            break
        try:
            _start_items(application, batch_id, live, chunk, items)
            break
        except ChainStateError:
            # Another run of this chunk has inserted them first.
            continue
    now = application.batches.read(batch_id)
    if now is not None and now.revoked is not None:
        # Revoked in between: what has just started is told to stop.
        advance(application, batch_id)


def _resume_items(application: Application, batch_id: str, live: LiveBatch, chunk: int) -> list[int]:
    """Resume the chains of the chunk that are to be retried. Returns the items whose chain is gone."""
    forgotten = []
    for item in live.facts.range_of(chunk):
        if live.letters[item] != RETRY_RELEASED[0]:
            continue
        chain_id, own = ledger.chain_id_of(batch_id, item), [range(item, item + 1)]
        try:
            control.resume(chain_id, letter=RETRY_RELEASED.decode(), application=application)
        except UnknownChain:
            if application.batches.mark(batch_id, NEW.decode(), own, "again"):
                forgotten.append(item)
        except ChainStateError as error:
            letter = "p"
            if not error.status:
                logger.error("Chain %s cannot be retried: %s", chain_id, error)
                letter = FAILED_AGAIN
            # Where another run of this chunk was faster, it has its letter already.
            application.batches.mark(batch_id, LETTERS.get(error.status, letter), own, "again")
    return forgotten


def _start_items(
    application: Application, batch_id: str, live: LiveBatch, chunk: int, items: list[int]
) -> None:
    """Start the chains of items that have none; those whose rows are there are sent again where need be."""
    pieces = live.facts.pieces_of(chunk)
    held = ledger.items_of(application.database, batch_id, pieces.start, pieces.stop - 1)
    row = ledger.read(application.database, batch_id)
    if not held or row is None:
        return
    ids = {ledger.chain_id_of(batch_id, item): item for item in items}
    known = ledger.statuses(application.database, list(ids))
    inputs = {}
    for chain_id, item in ids.items():
        path, public_path = held[item - live.facts.range_of(chunk).start]
        data: dict[str, Any] = {"file_path": path, "options": row.options or {}}
        if public_path is not None:
            data["public_file_path"] = public_path
        inputs[chain_id] = data
    fresh = {chain_id: data for chain_id, data in inputs.items() if chain_id not in known}
    if fresh:
        workflow = application.workflow(live.facts.workflow)
        starting.start_named(workflow, fresh, batch_id=batch_id, initiated_by=live.facts.by)
    for chain_id, status in known.items():
        item = ids[chain_id]
        application.batches.mark(batch_id, LETTERS.get(status, "p"), [range(item, item + 1)])
        if status not in LETTERS:
            # What cannot be sent, because its workflow is another one now, is the sweep's to complain of.
            with suppress(ChainStateError):
                control.send_again(chain_id, application=application)


def _fail_chunk(application: Application, batch_id: str, chunk: int) -> None:
    """Its images without a chain, or not yet retried, count as failed; the rest of the batch goes on."""
    live = application.batches.read(batch_id) or advance(application, batch_id)
    if live is None or chunk >= live.facts.chunks:
        return
    logger.error("Batch %s: chunk %d has failed for good.", batch_id, chunk)
    application.batches.mark(batch_id, FAILED_UNSTARTED, [live.facts.range_of(chunk)])
    application.batches.mark(batch_id, FAILED_AGAIN, [live.facts.range_of(chunk)], "again")
    advance(application, batch_id)
