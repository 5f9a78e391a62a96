"""Pruning: what is old or left behind goes, each kind after the days that its setting says (0 = never)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import redis

from callboard.errors import CallboardError
from db import prune, stale
from db.prune import Removed
from db.values import utc_now

from .application import Application
from .storage import Folder

#: Seconds that one round of the clock takes at most, and for which no other clock begins one.
ROUND, STANDBY = 600, 3000
#: Every kind that there is, in the order in which they go.
KINDS = (
    "storage folders",
    "tasks",
    "chains",
    "batches",
    "idempotency keys",
    "stale chains",
    "open marks",
    "message streams",
    "recorders",
    "workers",
)

logger = logging.getLogger(__name__)


def steps(application: Application, *, dry_run: bool = False) -> Iterator[Removed]:
    """All that is to go, a bounded step at a time.

    Parameters:
        dry_run: say what would go; nothing does.

    Raises:
        LedgerUnavailable: the database does not answer.
        redis.RedisError: Redis does not answer.
    """
    settings = application.settings
    if settings.storage_days:
        yield from _folders(application, _days_ago(settings.storage_days), dry_run)
    if settings.retention_days:
        yield from _rows(application, _days_ago(settings.retention_days), dry_run)
    if settings.idempotency_days:
        before = _days_ago(settings.idempotency_days)
        yield from prune.old_keys(application.database, before, dry_run=dry_run)
    if settings.stale_days:
        yield from _left_behind(application, _days_ago(settings.stale_days), dry_run)


def hourly(application: Application) -> None:
    """The clock's job: one round, by one clock, within ten minutes; what it leaves is for the next."""
    board = application.board
    counts: dict[str, int] = {}
    try:
        if not board.clients.get().set(board.keys.pruner, "1", nx=True, ex=STANDBY):
            return
        end = time.monotonic() + ROUND
        began = time.monotonic()
        for removed in steps(application):
            counts[removed.kind] = counts.get(removed.kind, 0) + removed.count
            if time.monotonic() > end:
                break
            # As long a rest as the step took: those who wait for a lock get it.
            time.sleep(min(1.0, time.monotonic() - began))
            began = time.monotonic()
    except (redis.RedisError, CallboardError) as error:
        logger.warning("Pruning waits for the next round: %s", error)
    if counts:
        logger.info("Pruned: %s.", ", ".join(f"{count} {kind}" for kind, count in counts.items()))


def _rows(application: Application, before: datetime, dry_run: bool) -> Iterator[Removed]:
    database = application.database
    at_work = partial(stale.open_on_board, application.board)
    yield from prune.old_chains(database, before, at_work=at_work, dry_run=dry_run)
    yield from prune.lone_tasks(database, before, dry_run=dry_run)
    yield from prune.old_batches(database, before, dry_run=dry_run)


def _left_behind(application: Application, before: datetime, dry_run: bool) -> Iterator[Removed]:
    board, queues = application.board, application.broker.namespace_of_queues
    known = partial(prune.states_of, application.database)
    yield from stale.stale_chains(board, before, known=known, queues=queues, dry_run=dry_run)
    yield from stale.stale_marks(board, known=known, dry_run=dry_run)
    yield from stale.stale_streams(board, before, dry_run=dry_run)
    yield from stale.silent_recorders(board, dry_run=dry_run)
    yield from stale.dead_workers(board, queues=queues, dry_run=dry_run)


def _folders(application: Application, before: datetime, dry_run: bool) -> Iterator[Removed]:
    """Folders whose newest file is older than that; those of chains and tasks, and of none that is open."""
    try:
        names = application.storage.folders()
    except Exception as error:
        # Each driver raises errors of its own; the other kinds need not wait for it.
        logger.warning("The storage cannot be pruned: %s", error)
        return
    for start in range(0, len(names), stale.PAGE):
        for name in _ended(application, names[start : start + stale.PAGE]):
            changed = _remove_old(application.storage.folder(name), before, dry_run)
            if changed is not None:
                yield Removed("storage folders", 1, changed)


def _remove_old(folder: Folder, before: datetime, dry_run: bool) -> datetime | None:
    """When the folder was last changed, if it was old enough to go."""
    try:
        changed = folder.changed()
        if changed is None or changed >= before:
            return None
        if not dry_run:
            folder.remove()
    except Exception as error:
        logger.warning("The folder %s stays: %s", folder.url, error)
        return None
    return changed


def _ended(application: Application, names: Sequence[str]) -> list[str]:
    """Those that are folders of chains, batches and tasks which have ended. Anything else is not ours.

    What the ledger has forgotten is known by its id, when that was made by us. A batch's id is followed by a
    point and what of the batch it is.
    """
    board = application.board
    known = prune.states_of(application.database, names)
    owners = {name: name.partition(".")[0] for name in names}
    batches = prune.batch_states_of(application.database, sorted(set(owners.values())))
    ours = [
        name
        for name, owner in owners.items()
        if known.get(name, _is_made_up(owner)) and batches.get(owner, True)
    ]
    pipe = board.clients.get().pipeline(transaction=False)
    for name in ours:
        pipe.exists(board.keys.lone(name))
    lone = pipe.execute() if ours else []
    busy = stale.open_on_board(board, ours) | {name for name, there in zip(ours, lone, strict=True) if there}
    return [name for name in ours if name not in busy]


def _is_made_up(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _days_ago(days: int) -> datetime:
    return utc_now() - timedelta(days=days)
