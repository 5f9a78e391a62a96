"""The images of a batch, a page at a time: what each is, where its chain stands, and why it failed.

Which images are in which state is told by the letters (``db/batches/live.py``), as the board has them or
else the rows; the details of a page come from the ledger in three statements, however large the batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import peewee

from db.connection import in_parts, read_tuples
from db.models import BatchChunk, ChainExecution, TaskLog
from db.status_rows import FAILURE, SUCCESS
from db.values import from_epoch

from .ledger import Item, chain_id_of
from .live import FAILED, NEW, OPEN, RETRY_RELEASED, RETRY_WAITS, REVOKED, SUCCEEDED, UNSTARTED_WAITS

#: States of an image, with their letters. ``open``: its chain runs or waits, for a retry too; ``pending``: it
#: has none yet.
STATES = {
    "completed": SUCCEEDED,
    "failed": FAILED,
    "revoked": REVOKED,
    "open": OPEN + RETRY_WAITS + RETRY_RELEASED,
    "pending": NEW + UNSTARTED_WAITS,
}
_STATE_OF = {letter: state for state, letters in STATES.items() for letter in letters}
_ROW_STATES = {"SUCCESS": "completed", "FAILURE": "failed", "REVOKED": "revoked"}


@dataclass(frozen=True)
class BatchItem:
    """An image of a batch. Moments are naive UTC.

    Attributes:
        index: its place in the batch, from 0.
        chain_id: None where it never had a chain.
        status: ``completed``, ``failed``, ``revoked``, ``open`` or ``pending``.
        stage: number (from 1) of the stage at which it failed, was revoked, or stands; None for one that is
            completed or has not begun.
        stage_name: the stage's name.
        error: the first line of why it failed.
        retries: of all its stages.
    """

    index: int
    file_path: str
    public_file_path: str | None
    chain_id: str | None
    status: str
    stage: int | None = None
    stage_name: str | None = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    retries: int = 0


def indexes(letters: bytes, state: str | None) -> Sequence[int]:
    """The images that are in a state, in order; all of them for None."""
    if state is None:
        return range(len(letters))
    return [found.start() for found in re.finditer(b"[" + STATES[state] + b"]", letters)]


def read_items(
    database: peewee.Database,
    batch_id: str,
    letters: bytes,
    wanted: Sequence[int],
    *,
    ask_board: Callable[[list[str]], Mapping[str, Mapping[str, Any]]],
) -> list[BatchItem]:
    """These images, in their order.

    Parameters:
        letters: one for each image.
        wanted: indexes; some thousand at most.
        ask_board: the live states of chains that are open, or of whose end the ledger has not heard; without
            those that the board does not know.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    held, chunk_errors = _held(database, batch_id, wanted)
    chains = _chains(database, batch_id, wanted)
    tasks = _tasks(database, [chain.key for chain in chains.values()])
    states = {index: _STATE_OF.get(letters[index], "open") for index in wanted}
    moving = [
        chain.chain_id
        for index, chain in chains.items()
        if states[index] == "open" or _state_of(chain) != states[index]
    ]
    live = ask_board(moving)
    items = []
    for index in wanted:
        if index not in held:
            continue
        item = BatchItem(index, *held[index], None, states[index], error=_first_line(chunk_errors.get(index)))
        chain = chains.get(index)
        if chain is not None:
            item = replace(item, chain_id=chain.chain_id, **_told(chain, tasks, states[index], live))
        items.append(item)
    return items


@dataclass(frozen=True)
class _Chain:
    key: int
    chain_id: str
    status: str
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None
    stages: Any


@dataclass(frozen=True)
class _Tasks:
    """The tasks of a chain in short: its retries, and the stage at which it stands or ended badly."""

    retries: int
    stage: int


def _state_of(chain: _Chain) -> str:
    return _ROW_STATES.get(chain.status, "open")


def _told(
    chain: _Chain, tasks: Mapping[int, _Tasks], state: str, live: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What board or ledger tell of the chain of an image in that state."""
    own = tasks.get(chain.key, _Tasks(0, 1))
    now = live.get(chain.chain_id)
    if now is not None:
        stage, error = int(now["current"]), now.get("error")
        started, finished = _moment(now.get("started")), _moment(now.get("finished"))
    else:
        # What the ledger has of a chain that has moved on is not of this state.
        fits = _state_of(chain) == state
        stage, error = own.stage, chain.error if fits else None
        started, finished = chain.started_at, chain.finished_at if fits else None
    return {
        "stage": None if state == "completed" else stage,
        "stage_name": None if state == "completed" else _stage_name(chain.stages, stage),
        "error": _first_line(error) if state in ("failed", "revoked") else None,
        "started_at": started,
        "finished_at": None if state == "open" else finished,
        "retries": own.retries,
    }


def _held(
    database: peewee.Database, batch_id: str, wanted: Sequence[int]
) -> tuple[dict[int, Item], dict[int, str]]:
    """What the rows of chunks hold of these images, and why a chunk has failed where it has."""
    chunk: Any = BatchChunk
    own = chunk.batch_id == batch_id
    first = read_tuples(database, chunk.select(chunk.items).where(own, chunk.number == 0))
    # Each row but the last holds as many.
    size = max(1, len(first[0][0])) if first else 1
    asked = set(wanted)
    held: dict[int, Item] = {}
    errors: dict[int, str] = {}
    for part in in_parts(sorted({index // size for index in wanted})):
        query = chunk.select(chunk.number, chunk.items, chunk.error).where(own, chunk.number.in_(part))
        for number, items, error in read_tuples(database, query):
            for index, (path, public_path) in enumerate(items, start=number * size):
                if index in asked:
                    held[index] = (path, public_path)
                    if error:
                        errors[index] = error
    return held, errors


def _chains(database: peewee.Database, batch_id: str, wanted: Sequence[int]) -> dict[int, _Chain]:
    chain: Any = ChainExecution
    found = {}
    # The plan is long, and of a chain that has succeeded nobody asks for it.
    stages = peewee.Case(None, [(chain.status != SUCCESS, chain.stages)], None)
    for part in in_parts(wanted):
        ids = {chain_id_of(batch_id, index): index for index in part}
        query = chain.select(
            chain.id,
            chain.chain_id,
            chain.status,
            chain.error_message,
            chain.started_at,
            chain.finished_at,
            stages.alias("stages"),
        ).where(chain.chain_id.in_(list(ids)))
        found.update({ids[row[1]]: _Chain(*row) for row in read_tuples(database, query)})
    return found


def _tasks(database: peewee.Database, keys: Sequence[int]) -> dict[int, _Tasks]:
    """Of each chain: the first stage with a task that failed or has not succeeded, else the one after all."""
    task: Any = TaskLog
    fn = peewee.fn
    found = {}
    failed = fn.MIN(peewee.Case(None, [(task.status == FAILURE, task.stage)], None))
    unended = fn.MIN(peewee.Case(None, [(task.status != SUCCESS, task.stage)], None))
    for part in in_parts(keys):
        query = (
            task.select(task.chain_execution, fn.SUM(task.retries), failed, unended, fn.MAX(task.stage))
            .where(task.chain_execution.in_(part))
            .group_by(task.chain_execution)
        )
        for key, retries, failed_at, stands_at, reached in read_tuples(database, query):
            found[key] = _Tasks(int(retries or 0), failed_at or stands_at or (reached or 0) + 1)
    return found


def _stage_name(stages: Any, stage: int) -> str | None:
    if isinstance(stages, str):  # out of an expression it comes as the database has it
        stages = json.loads(stages)
    if not isinstance(stages, list) or not 1 <= stage <= len(stages):
        return None
    return str(stages[stage - 1]["stage_name"])


def _first_line(text: Any) -> str | None:
    lines = str(text).strip().splitlines() if text else []
    return lines[0] if lines else None


def _moment(value: Any) -> datetime | None:
    return from_epoch(float(value)) if value else None
