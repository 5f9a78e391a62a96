"""Retry of a batch what has failed, and only that.

Each failed image's chain goes on from the stage that failed; an image that never got a chain is started. They
wait for the batch's window like everything else: asked for, they are open (``q``, ``w`` in
``db/batches/live.py``), and their chunks are released again as there is room (``actors/batches/driver.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import redis
from dramatiq.errors import BrokerConnectionError

from actors.application import Application, current
from callboard.errors import BatchStateError, BoardUnavailable, UnknownBatch
from db.batches import failures, ledger
from db.batches.failures import Failure
from db.batches.live import FAILED, FAILED_UNSTARTED, LiveBatch
from db.models import BatchExecution
from db.workers import Workers

from .driver import CHUNK_ERROR, advance, record

NOT_STARTED = "not started"


@dataclass(frozen=True)
class StageShare:
    """How many images go on from a stage. ``stage``: from 1; None for those without a chain."""

    stage: int | None
    name: str
    images: int


@dataclass(frozen=True)
class ErrorShare:
    """How many images have failed with an error (its first line)."""

    error: str
    images: int


@dataclass(frozen=True)
class RetryPlan:
    """What a retry does, or would do.

    Attributes:
        images: how many are retried; 0 where all that had failed was asked for before.
        stages: from which stages they go on, in order.
        errors: why they have failed, the most frequent first.
        expected_seconds: by the batch's recent times of its stages and the threads of the workers; None while
            a stage's time, or no worker, is known.
        dry_run: whether nothing was changed.
    """

    batch_id: str
    images: int
    stages: list[StageShare]
    errors: list[ErrorShare]
    expected_seconds: float | None
    dry_run: bool


def retry_failed(
    batch_id: str, *, dry_run: bool = False, application: Application | None = None
) -> RetryPlan:
    """Retry what has failed of a batch, each image from the stage that failed; no finished stage runs again.

    The images count as open at once. The batch is STARTED again, and ends by itself. Asking again while that
    goes on retries what has failed meanwhile.

    Parameters:
        dry_run: change nothing, and tell what would be done.

    Raises:
        UnknownBatch: neither board nor ledger knows it.
        BatchStateError: it was revoked, or nothing of it has failed.
        LedgerUnavailable: the database does not answer; nothing was changed.
        BoardUnavailable: Redis does not answer; ask again.
    """
    house = application or current()
    row = ledger.read(house.database, batch_id)
    if row is None:
        raise UnknownBatch(batch_id)
    try:
        live = house.batches.read(batch_id)
        _refuse_revoked(row, live)
        plan = _plan(house, row, live, dry_run)
        if plan.images and not dry_run:
            _ask(house, batch_id, live)
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis does not answer, ask again: {error}") from error
    return plan


def _ask(house: Application, batch_id: str, live: LiveBatch | None) -> None:
    # First the ledger: what Redis forgets from now on comes back as asked for.
    ledger.ask_retry(house.database, batch_id, None if live is None else live.seq)
    if live is None:
        advance(house, batch_id)
    said, _ = house.batches.retry(batch_id)
    if said == "unknown":
        # Forgotten just now.
        advance(house, batch_id)
        said, _ = house.batches.retry(batch_id)
    if said == "revoked":
        raise _revoked(batch_id)
    # From now on no older reading reaches the row.
    record(house, batch_id, cleared=True)
    advance(house, batch_id)


def _refuse_revoked(row: BatchExecution, live: LiveBatch | None) -> None:
    if row.revoked_at is not None or (live.revoked is not None if live else row.status == "REVOKED"):
        raise _revoked(row.batch_id)


def _revoked(batch_id: str) -> BatchStateError:
    return BatchStateError(
        batch_id,
        "REVOKED",
        f"batch {batch_id} was revoked and is not retried; "
        f"`callboard resume {batch_id}.NUMBER` lets a single image go on",
    )


def _plan(house: Application, row: BatchExecution, live: LiveBatch | None, dry_run: bool) -> RetryPlan:
    batch_id = row.batch_id
    facts = ledger.facts_of(row)
    if live is not None:
        letters = live.letters
    elif facts is not None:
        letters = ledger.letters_of(house.database, row, facts)
    else:
        raise BatchStateError(batch_id, row.status, f"batch {batch_id} was not started by this system")
    failed = [item for item, letter in enumerate(letters) if letter in FAILED]
    if not failed and not (row.retried_at is not None and row.finished_at is None):
        raise BatchStateError(
            batch_id, live.status.value if live else row.status, f"nothing of batch {batch_id} has failed"
        )
    reasons = _reasons(house, batch_id, letters, failed)
    stages = Counter(reason.stage for reason in reasons)
    names = [stage["stage_name"] for stage in failures.stages_of(house.database, batch_id)]
    return RetryPlan(
        batch_id=batch_id,
        images=len(failed),
        stages=[
            StageShare(stage, NOT_STARTED if stage is None else names[stage - 1], stages[stage])
            for stage in sorted(stages, key=lambda stage: stage or 0)
        ],
        errors=[
            ErrorShare(error, images)
            for error, images in Counter(reason.error for reason in reasons).most_common()
        ],
        expected_seconds=_expected(house, batch_id, reasons, len(names)),
        dry_run=dry_run,
    )


def _reasons(house: Application, batch_id: str, letters: bytes, failed: Iterable[int]) -> list[Failure]:
    """Where each of the items goes on, and why it has failed."""
    known = failures.failures(house.database, batch_id)
    reasons = []
    for item in failed:
        if letters[item] == ord(FAILED_UNSTARTED):
            reasons.append(Failure(None, CHUNK_ERROR))
            continue
        chain_id = ledger.chain_id_of(batch_id, item)
        found = known.get(chain_id)
        if found is None or found.stage is None:
            # The ledger may lag behind.
            chain = house.board.chain(chain_id)
            if chain is not None:
                error = failures.first_line(chain.state.get("error"))
                found = Failure(int(chain.state["current"]), error)
            else:
                found = Failure(1, found.error if found else failures.first_line(None))
        reasons.append(found)
    return reasons


def _expected(house: Application, batch_id: str, reasons: list[Failure], stages: int) -> float | None:
    """Seconds: the work that is left, shared by the threads, and no less than that of one image."""
    threads = Workers(house.board.clients, house.board.keys).threads()
    seconds = failures.seconds_of_stages(house.database, batch_id)
    first = min((reason.stage or 1 for reason in reasons), default=1)
    if not threads or not stages or any(stage not in seconds for stage in range(first, stages + 1)):
        return None
    work = [sum(seconds[stage] for stage in range(reason.stage or 1, stages + 1)) for reason in reasons]
    return round(max(sum(work) / threads, max(work, default=0.0)), 3)
