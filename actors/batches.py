"""Batches: many images, each a chain of its own, started a few chunks at a time.

    batch_id = start_batch_pipeline("october", paths)
    batch_status(batch_id).completed_images

A batch's row says what it is to be, its chunks' rows what they hold; ``actors/batch_driver.py`` lets the
chunks go, ``actors/batch_chunks.py`` starts what they hold.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import redis
from dramatiq.errors import BrokerConnectionError

from callboard.errors import BatchError, BoardUnavailable, UnknownBatch
from db import batches
from db.batch_board import PRIORITIES, BatchFacts
from db.batches import Item
from db.models import BatchExecution
from db.values import clean_text

from . import availability, control
from .application import Application, current
from .batch_driver import advance, post

LARGEST_CHUNK = 1_000
LARGEST_WINDOW = 1_000
MOST_IMAGES = 1_000_000
NAME_LENGTH = 255
#: Files that an error names; of more it tells the number.
_NAMED = 5


def start_batch_pipeline(
    batch_name: str,
    file_paths: Sequence[str],
    public_file_paths: Sequence[str] | None = None,
    options: dict[str, Any] | None = None,
    chunk_size: int = 10,
    workflow: str = "cr_extract_workflow",
    priority: str = "default",
    window: int | None = None,
    *,
    success_threshold: float = 1.0,
    initiated_by: str | None = None,
    application: Application | None = None,
) -> str:
    """Start a batch: one chain of ``workflow`` for each file, chunk by chunk.

    Parameters:
        batch_name: for people, up to 255 characters.
        file_paths: paths, or storage URLs; what is on this machine must be there and readable.
        public_file_paths: as many, in the same order; each chain's input has its own as ``public_file_path``.
        options: ``options`` of each chain's input; JSON.
        chunk_size: images of a chunk, 1 to 1000.
        priority: ``high``, ``default`` or ``low``. While a batch of a higher priority has chunks to release,
            others have one chunk under way.
        window: chunks under way at a time, 1 to 1000; what starts later waits behind them. Unless given, as
            many as keep the threads of all workers busy, at least 4.
        success_threshold: share of the images (0 to 1) that must succeed for the batch to be SUCCESS.
        initiated_by: who asked, for the ledger.

    Returns:
        The batch's id.

    Raises:
        BatchError: something of this cannot be; nothing was started.
        UnknownWorkflow: no workflow of that name is declared here.
        ExtraMissing: no worker can run it.
        LedgerUnavailable: the database does not answer; nothing was started.
        BoardUnavailable: Redis does not answer; nothing was started.
    """
    house = application or current()
    availability.check(house.workflow(workflow))
    _check_name(batch_name)
    _check_number("chunk_size", chunk_size, LARGEST_CHUNK)
    if window is not None:
        _check_number("window", window, LARGEST_WINDOW)
    if priority not in PRIORITIES:
        raise BatchError(f"priority: read {priority!r}, expected one of {', '.join(PRIORITIES)}")
    if not isinstance(success_threshold, (int, float)) or not 0 <= success_threshold <= 1:
        raise BatchError(f"success_threshold: read {success_threshold!r}, expected a number from 0 to 1")
    items = _items(file_paths, public_file_paths)
    batch_id = str(uuid4())
    facts = BatchFacts(
        name=batch_name,
        workflow=workflow,
        images=len(items),
        chunk_size=chunk_size,
        window=window or 0,
        priority=priority,
        success_threshold=success_threshold,
        created=round(time.time(), 3),
        by=initiated_by,
    )
    batches.create(house.database, batch_id, facts, _options(options), items)
    try:
        post(house, batch_id, facts)
    except redis.RedisError as error:
        batches.withdraw(house.database, batch_id)
        raise BoardUnavailable(f"Redis does not answer, nothing was started: {error}") from error
    # It is on the board and in the ledger: if this fails, the drivers go on with it.
    with suppress(*control.OUTAGES):
        advance(house, batch_id)
    return batch_id


def revoke_batch(batch_id: str, reason: str = "revoked", *, application: Application | None = None) -> None:
    """Call a batch off: nothing of it starts any more, and running stages are told to stop.

    Raises:
        UnknownBatch: neither board nor ledger knows it.
        BatchError: it has ended.
        BoardUnavailable, LedgerUnavailable: Redis or the database does not answer.
    """
    house = application or current()
    row = batches.read(house.database, batch_id)
    if row is None:
        raise UnknownBatch(batch_id)
    if row.finished_at is not None and not house.batches.is_known([batch_id])[0]:
        raise BatchError(f"batch {batch_id} has ended: {row.status}")
    try:
        answer = house.batches.revoke(batch_id, reason, row.total_images)
        if answer == "unknown":
            advance(house, batch_id)
            answer = house.batches.revoke(batch_id, reason, row.total_images)
        if answer == "closed":
            raise BatchError(f"batch {batch_id} has ended: {row.status}")
        advance(house, batch_id)
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis does not answer: {error}") from error


@dataclass(frozen=True)
class BatchStatus:
    """A batch as it is now. ``source``: ``"redis"`` or ``"ledger"``; moments are naive UTC.

    ``status``: PENDING, STARTED, SUCCESS, FAILURE or REVOKED; a revoked batch has ended with ``finished_at``.
    """

    batch_id: str
    batch_name: str
    status: str
    total_images: int
    completed_images: int
    failed_images: int
    revoked_images: int
    total_chunks: int
    completed_chunks: int
    failed_chunks: int
    chunk_size: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    source: str


def batch_status(batch_id: str, *, application: Application | None = None) -> BatchStatus:
    """Where a batch stands: from the board, or the ledger where the board has forgotten it.

    Raises:
        UnknownBatch: there is none.
        LedgerUnavailable: the database does not answer.
    """
    house = application or current()
    row = batches.read(house.database, batch_id)
    if row is None:
        raise UnknownBatch(batch_id)
    source = "redis" if refresh(house, row) else "ledger"
    columns = {name: getattr(row, name) for name in BatchStatus.__annotations__ if name != "source"}
    return BatchStatus(**columns, source=source)


def refresh(application: Application, row: BatchExecution) -> bool:
    """Put what the board knows now into a batch's row as it was read. Returns whether it knows the batch.

    A Redis that does not answer leaves the row as the ledger has it.
    """
    try:
        live = application.batches.read(row.batch_id)
    except redis.RedisError:
        return False
    if live is None:
        return False
    finished = live.finished if live.counts.ended else None
    for name, value in batches.values_of(live, finished).items():
        setattr(row, name, value)
    return True


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise BatchError("batch_name: a batch needs a name")
    if len(name) > NAME_LENGTH or clean_text(name) != name:
        raise BatchError(
            f"batch_name: {name[:40]!r}… has {len(name)} characters, expected up to {NAME_LENGTH} and no NUL"
        )


def _check_number(name: str, value: int, largest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise BatchError(f"{name}: read {value!r}, expected a whole number from 1 to {largest}")


def _options(options: dict[str, Any] | None) -> dict[str, Any]:
    if options is not None and not isinstance(options, dict):
        raise BatchError(f"options: read {str(options)[:80]!r}, expected an object")
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BatchError(f"options: not JSON ({error})") from None
    return options or {}


def _items(paths: Sequence[str], public_paths: Sequence[str] | None) -> list[Item]:
    if isinstance(paths, (str, bytes)):
        raise BatchError("file_paths: read one text, expected a list of paths")
    known = [_path(path) for path in paths]
    if not known:
        raise BatchError("file_paths: a batch needs at least one file")
    if len(known) > MOST_IMAGES:
        raise BatchError(f"file_paths: {len(known)} files, a batch takes up to {MOST_IMAGES}")
    _refuse_repeats(known)
    _refuse_unreadable(known)
    if public_paths is None:
        return [(path, None) for path in known]
    if isinstance(public_paths, (str, bytes)) or len(public_paths) != len(known):
        raise BatchError("public_file_paths: expected one for each of file_paths")
    return list(zip(known, map(_path, public_paths), strict=True))


def _path(path: Any) -> str:
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str) or not path or clean_text(path) != path:
        raise BatchError(f"file_paths: {str(path)[:80]!r} is no path")
    return path


def _refuse_repeats(paths: Sequence[str]) -> None:
    seen: set[str] = set()
    for path in paths:
        same = path if "://" in path else os.path.abspath(path)
        if same in seen:
            raise BatchError(f"file_paths: {path!r} is named twice")
        seen.add(same)


def _refuse_unreadable(paths: Sequence[str]) -> None:
    """What lies elsewhere is not asked for: its chain tells."""
    complaints = []
    for path in paths:
        local = path.removeprefix("file://")
        if "://" in local:
            continue
        if not os.path.isfile(local):
            complaints.append(f"{path}: {'a folder, not a file' if os.path.isdir(local) else 'no such file'}")
        elif not os.access(local, os.R_OK):
            complaints.append(f"{path}: it cannot be read")
    if complaints:
        more = f" (and {len(complaints) - _NAMED} more)" if len(complaints) > _NAMED else ""
        raise BatchError(f"file_paths: {'; '.join(complaints[:_NAMED])}{more}")
