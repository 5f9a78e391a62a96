"""The start of a batch: everything is checked, then its rows and its place on the board exist, or nothing.

batch_id = start_batch_pipeline("october", paths)
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4, uuid5

import redis

from actors import availability, control
from actors.application import Application, current
from callboard.errors import BatchError, BoardUnavailable
from db.batches import ledger
from db.batches.board import PRIORITIES
from db.batches.facts import BatchFacts
from db.values import clean_text

from . import chunk_sizes
from .callbacks import checked as checked_callbacks
from .chunk_sizes import AUTO
from .driver import advance, post
from .files import checked

DEFAULT_WORKFLOW = "cr_extract_workflow"
LARGEST_CHUNK = 1_000
LARGEST_WINDOW = 1_000
NAME_LENGTH = 255
_IDEMPOTENT = UUID("0a5f7c0e-51b2-4be1-9d6e-3b2f7a9c4d18")


def start_batch_pipeline(
    batch_name: str,
    file_paths: Iterable[str],
    public_file_paths: Sequence[str] | None = None,
    options: dict[str, Any] | None = None,
    chunk_size: int | str = 10,
    workflow: str = DEFAULT_WORKFLOW,
    priority: str = "default",
    window: int | None = None,
    *,
    success_threshold: float = 1.0,
    initiated_by: str | None = None,
    idempotency_key: str | None = None,
    on_complete: str | None = None,
    on_success: str | None = None,
    on_failure: str | None = None,
    private_webhooks: bool = True,
    application: Application | None = None,
) -> str:
    """Start a batch: one chain of ``workflow`` for each file, chunk by chunk.

    Parameters:
        batch_name: for people, up to 255 characters.
        file_paths: paths, or storage URLs. Each must be there and be named once; what a storage has not
            answered within some seconds is left to its chain. :func:`~actors.batches.files.files_under` lists
            a folder or a prefix.
        public_file_paths: as many, in the same order; each chain's input has its own as ``public_file_path``.
        options: ``options`` of each chain's input; JSON.
        chunk_size: images of a chunk, 1 to 1000; or ``"auto"``: 5 to 50, by the sizes of the files, and while
            the batch runs by the time that an image takes.
        priority: ``high``, ``default`` or ``low``. While a batch of a higher priority has chunks to release,
            others release one each 15 s.
        window: chunks under way at a time, 1 to 1000; what starts later waits behind them. Of a retry as many
            images as they hold. Unless given, as many as keep the threads of all workers busy, at least 4.
        success_threshold: share of the images (0 to 1) that must succeed for the batch to be SUCCESS.
        initiated_by: who asked, for the ledger.
        idempotency_key: the same key returns the same batch, for as long as the ledger has it, and starts
            nothing twice.
        on_complete, on_success, on_failure: who is called at the batch's end: the name of a declared actor,
            which is given one object, or a URL, to which it is posted (``actors/batches/callbacks.py``).
        private_webhooks: whether URLs may lead to this machine, or to networks of its own.

    Returns:
        The batch's id.

    Raises:
        BatchError: something of this cannot be; nothing was started.
        UnknownWorkflow: no workflow of that name is declared here.
        ExtraMissing: no worker can run it.
        StorageUnavailable: a storage does not answer; nothing was started.
        LedgerUnavailable: the database does not answer; nothing was started.
        BoardUnavailable: Redis does not answer; nothing was started.
    """
    house = application or current()
    availability.check(house.workflow(workflow))
    _check_name(batch_name)
    if chunk_size != AUTO:
        _check_number("chunk_size", chunk_size, LARGEST_CHUNK, f", or {AUTO!r}")
    if window is not None:
        _check_number("window", window, LARGEST_WINDOW)
    if priority not in PRIORITIES:
        raise BatchError(f"priority: read {priority!r}, expected one of {', '.join(PRIORITIES)}")
    if not isinstance(success_threshold, (int, float)) or not 0 <= success_threshold <= 1:
        raise BatchError(f"success_threshold: read {success_threshold!r}, expected a number from 0 to 1")
    targets = {"on_complete": on_complete, "on_success": on_success, "on_failure": on_failure}
    callbacks = checked_callbacks(house, targets, private=private_webhooks)
    batch_id = str(uuid4()) if idempotency_key is None else batch_id_of(idempotency_key)
    if idempotency_key is not None and ledger.read(house.database, batch_id) is not None:
        return batch_id
    items = checked(file_paths, public_file_paths)
    options = _options(options)
    facts = BatchFacts(
        name=batch_name,
        workflow=workflow,
        images=len(items),
        chunk_size=chunk_sizes.by_files(items) if chunk_size == AUTO else int(chunk_size),
        auto=chunk_size == AUTO,
        window=window or 0,
        priority=priority,
        success_threshold=success_threshold,
        created=round(time.time(), 3),
        by=initiated_by,
        callbacks=callbacks,
        private_webhooks=private_webhooks,
    )
    if not ledger.create(house.database, batch_id, facts, options, items):
        # Another start with the same key was faster.
        return batch_id
    try:
        post(house, batch_id, facts)
    except redis.RedisError as error:
        # Where it cannot be withdrawn, a driver has found it, and it goes on.
        if ledger.withdraw(house.database, batch_id):
            raise BoardUnavailable(f"Redis does not answer, nothing was started: {error}") from error
    # It is on the board and in the ledger: if this fails, the drivers go on with it.
    with suppress(*control.OUTAGES):
        advance(house, batch_id)
    return batch_id


def batch_id_of(idempotency_key: str) -> str:
    """The id of the batch that is started with that key: a key has one batch, whoever starts it first."""
    return str(uuid5(_IDEMPOTENT, idempotency_key))


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise BatchError("batch_name: a batch needs a name")
    if len(name) > NAME_LENGTH or clean_text(name) != name:
        raise BatchError(
            f"batch_name: {name[:40]!r}… has {len(name)} characters, expected up to {NAME_LENGTH} and no NUL"
        )


def _check_number(name: str, value: int | str, largest: int, more: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise BatchError(f"{name}: read {value!r}, expected a whole number from 1 to {largest}{more}")


def _options(options: dict[str, Any] | None) -> dict[str, Any]:
    if options is not None and not isinstance(options, dict):
        raise BatchError(f"options: read {str(options)[:80]!r}, expected an object")
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BatchError(f"options: not JSON ({error})") from None
    return options or {}
