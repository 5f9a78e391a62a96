"""What is left behind in Redis: chains that nobody moves any more, streams, recorders, workers, marks.

As in ``db/prune.py`` each function is a generator that removes a bounded number at a time and says how many,
or only counts. Keys are walked with SCAN, a page a round trip. What still holds work stays: a chain that the
ledger has as open, one with a message in a queue or a living worker, a recorder with events, a worker with
messages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .board import Board
from .keys import Keys
from .prune import Removed
from .scripts import script
from .status_rows import ENDED
from .values import from_epoch, to_epoch
from .workers import Workers

#: Keys of one page.
PAGE = 500
#: Seconds of silence after which a recorder that holds nothing leaves its group.
SILENT_RECORDER = 3600
#: Seconds after its start from which a dead worker's entry may go.
DEAD_WORKER = 86_400

#: Answers which of some chains the ledger has, and of each whether it has ended there.
AskLedger = Callable[[list[str]], dict[str, bool]]


@dataclass(frozen=True)
class _Found:
    """A chain on the board: its state as text and as an object, and the epoch second of its last move."""

    chain_id: str
    text: bytes
    state: dict[str, Any]
    moved: float


def stale_chains(
    board: Board, before: datetime, *, known: AskLedger, queues: str, dry_run: bool = False
) -> Iterator[Removed]:
    """Chains that have not moved since a moment, and that the ledger has as ended or does not have.

    Parameters:
        known: asks the ledger.
        queues: namespace of the queues in Redis; empty where they are elsewhere.

    Raises:
        redis.RedisError: the server does not answer.
        LedgerUnavailable: ``known`` says so.
    """
    if _recorder_is_behind(board, before):
        return
    client = board.clients.get()
    for keys in _pages(board, board.keys.live("*")):
        found = [one for one in _read(board, keys) if one.moved < to_epoch(before)]
        ended = known([one.chain_id for one in found])
        doomed = [one for one in found if ended.get(one.chain_id, True) and not _has_work(board, one, queues)]
        gone = [
            one
            for one in doomed
            if dry_run
            or script("forget")(client, _keys_of(board.keys, one.chain_id), [one.chain_id, one.text])
        ]
        if gone:
            yield Removed("stale chains", len(gone), from_epoch(min(one.moved for one in gone)))


def open_on_board(board: Board, chain_ids: Sequence[str]) -> set[str]:
    """Which of these chains the board has, and has not ended.

    Raises:
        redis.RedisError: the server does not answer.
    """
    pipe = board.clients.get().pipeline(transaction=False)
    for chain_id in chain_ids:
        pipe.hget(board.keys.live(chain_id), "state")
    states = pipe.execute() if chain_ids else []
    return {
        chain_id
        for chain_id, text in zip(chain_ids, states, strict=True)
        if text and json.loads(text)["status"] not in ENDED
    }


def stale_streams(board: Board, before: datetime, *, dry_run: bool = False) -> Iterator[Removed]:
    """Streams of progress messages whose chain has left the board, drained or silent since a moment.

    Raises:
        redis.RedisError: the server does not answer.
    """
    client, keys = board.clients.get(), board.keys
    prefix = keys.messages("")
    for names in _pages(board, keys.messages("*")):
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.ttl(name)
            pipe.exists(keys.live(name.removeprefix(prefix)))
            pipe.xrevrange(name, count=1)
        answers = pipe.execute()
        gone: list[tuple[str, float]] = []
        for name, ttl, live, newest in zip(names, answers[::3], answers[1::3], answers[2::3], strict=True):
            spoke = int(newest[0][0].partition(b"-")[0]) / 1000 if newest else 0.0
            if ttl == -1 and not live and spoke < to_epoch(before):
                gone.append((name, spoke))
        if gone:
            if not dry_run:
                client.unlink(*(name for name, _ in gone))
            moments = [spoke for _, spoke in gone if spoke]
            yield Removed("message streams", len(gone), from_epoch(min(moments)) if moments else None)


def silent_recorders(board: Board, *, dry_run: bool = False) -> Iterator[Removed]:
    """Recorders that have been silent for an hour and hold no event.

    Raises:
        redis.RedisError: the server does not answer.
    """
    arguments = [board.keys.recorders, SILENT_RECORDER * 1000, int(dry_run)]
    left = script("retire")(board.clients.get(), [board.keys.events], arguments)
    if left:
        yield Removed("recorders", len(left), from_epoch(time.time() - max(left) / 1000))


def dead_workers(board: Board, *, queues: str, dry_run: bool = False) -> Iterator[Removed]:
    """Entries of workers that are dead, began more than a day ago and hold no message and no event.

    Raises:
        redis.RedisError: the server does not answer.
    """
    workers = Workers(board.clients, board.keys)
    gone: list[float] = []
    for worker in workers.known():
        if worker.alive_for or worker.facts.started > time.time() - DEAD_WORKER:
            continue
        held = [f"{queues}:__acks__.{worker.facts.broker}.{queue}" for queue in worker.facts.queues]
        held += [f"{name}.DQ" for name in held]
        if queues and held and board.clients.get().exists(*held):
            continue
        if workers.bury(worker.worker_id, dry_run=dry_run):
            gone.append(worker.facts.started)
    if gone:
        yield Removed("workers", len(gone), from_epoch(min(gone)))


def stale_marks(board: Board, *, known: AskLedger, dry_run: bool = False) -> Iterator[Removed]:
    """Marks of open chains that have left the board, and that the ledger has as ended or does not have.

    Raises:
        redis.RedisError: the server does not answer.
        LedgerUnavailable: ``known`` says so.
    """
    client, keys, cursor = board.clients.get(), board.keys, 0
    pairs: Any
    while True:
        cursor, pairs = client.zscan(keys.open, cursor, count=PAGE)
        ids = [chain_id.decode() for chain_id, _ in pairs]
        gone = [chain_id for chain_id, there in zip(ids, board.known(ids), strict=True) if not there]
        ended = known(gone)
        doomed = [
            chain_id
            for chain_id in gone
            if ended.get(chain_id, True)
            and (dry_run or script("forget")(client, _keys_of(keys, chain_id), [chain_id, ""]))
        ]
        if doomed:
            yield Removed("open marks", len(doomed))
        if not cursor:
            return


def _keys_of(keys: Keys, chain_id: str) -> list[str]:
    return [keys.live(chain_id), keys.array(chain_id), keys.messages(chain_id), keys.open]


def _pages(board: Board, pattern: str) -> Iterator[list[str]]:
    client, cursor = board.clients.get(), 0
    names: Any
    while True:
        cursor, names = client.scan(cursor, match=pattern, count=PAGE)
        if names:
            yield [name.decode() for name in names]
        if not cursor:
            return


def _recorder_is_behind(board: Board, before: datetime) -> bool:
    """Whether the ledger may not know yet what moved before a moment."""
    oldest = board.oldest_event()
    return oldest is not None and oldest < to_epoch(before)


def _read(board: Board, names: Sequence[str]) -> Iterator[_Found]:
    """The chains at these keys that no expiry will remove."""
    client, prefix = board.clients.get(), board.keys.live("")
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.ttl(name)
        pipe.hmget(name, ["state", "created", "array"])
    answers = pipe.execute()
    for name, ttl, (text, created, array) in zip(names, answers[::2], answers[1::2], strict=True):
        if ttl == -1 and text:
            state = json.loads(text)
            entry = json.loads(array)[state["current"] - 1] if array else {}
            moved = max(float(created or 0), entry.get("updated_at", 0.0))
            yield _Found(name.removeprefix(prefix), text, state, moved)


def _has_work(board: Board, found: _Found, queues: str) -> bool:
    """Whether a living worker has a task of the current stage, or a queue its message."""
    client, keys, current = board.clients.get(), board.keys, found.state["current"]
    plan: Any = client.hget(keys.live(found.chain_id), "plan")
    stage = json.loads(plan)[current - 1]
    pipe = client.pipeline(transaction=False)
    for member, planned in enumerate(stage["tasks"], start=1):
        task = board.task(found.chain_id, current, member if stage["parallel"] else 0)
        if task and task.get("worker"):
            pipe.exists(keys.life(task["worker"]))
        if queues:
            for kind in ("", ".DQ"):
                pipe.hexists(f"{queues}:{planned['queue_name']}{kind}.msgs", planned["task_id"])
    return any(pipe.execute())
