"""The event that the board appends to its stream at each transition.

A stream entry is a flat map; ``emit`` in ``db/lua/includes/transition.lua`` writes the fields named here.
Moments are epoch seconds, as strings; what is absent, empty or null means none.

    chain      id of the chain, empty for a task of no chain
    seq        number of the event: it grows with each one of a chain (or of a task of no chain)
    facts      JSON object of the chain: name total created batch by channel; with it
    state      JSON object: status completed failed revoked started finished error
    final      JSON: what the chain returned, once it has succeeded
    place      "stage.member" of the task that moved; absent when the event is about the chain alone
    task       JSON object: task (its id) actor status started finished retries attempt worker error
               metadata (JSON in a string) progress (percent)
    result     JSON: what the task returned, once it has succeeded
    traceback  of the task's failure

An event carries the full state of its task after the transition, and the full state of its chain where that
has changed, so the newest sequence number wins and older events are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .models import ProcessStatus

_LATEST = 253_402_300_799.0  # the last second of the year 9999, where datetime ends
_DECODE = json.JSONDecoder().raw_decode
_SEQ_DIGITS = 19  # of the largest number that a column holds
_STATUSES = frozenset(status.value for status in ProcessStatus)

#: Fields that stages make up as they like; without them an event still tells the states.
PAYLOAD = frozenset((b"final", b"result", b"traceback"))
#: An entry of the stream: its id and its fields.
Entry: TypeAlias = tuple[bytes, Mapping[bytes, bytes]]


@dataclass(slots=True)
class ChainState:
    """A chain after a transition."""

    chain_id: str
    chain_name: str
    total_tasks: int
    status: str
    completed_tasks: int
    failed_tasks: int
    revoked_tasks: int
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error_message: str | None = None
    final_result: Any = None
    batch_id: str | None = None
    initiated_by: str | None = None
    channel: str | None = None


@dataclass(slots=True)
class TaskState:
    """A task after a transition. ``member``: 0 for the only task of its stage, else from 1."""

    task_id: str
    task_name: str
    status: str
    stage: int | None = None
    member: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    retries: int = 0
    attempt: int = 0
    worker: str | None = None
    error: str | None = None
    traceback: str | None = None
    result: Any = None
    metadata: Any = None
    progress: int | None = None


@dataclass(slots=True)
class Event:
    """A transition. ``seq`` grows with each event of a chain (or of a task of no chain).

    Attributes:
        chain_id: empty for a task of no chain.
        chain: the chain afterwards; None where only the task has changed.
        task: the task afterwards; None where only the chain has changed.
    """

    seq: int
    chain_id: str
    chain: ChainState | None
    task: TaskState | None

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Event:
        """Read a stream entry.

        Raises:
            ValueError: a field is missing or malformed; the text names it.
        """
        chain_id = fields.get(b"chain", b"").decode()
        seq = fields.get(b"seq", b"").decode()
        chain = None
        if chain_id and fields.get(b"state"):
            facts, state = _read_object(fields, b"facts"), _read_object(fields, b"state")
            chain = _chain(chain_id, facts, state, _read_json(fields, b"final"))
        task = _task(fields, in_chain=bool(chain_id)) if fields.get(b"task") else None
        if chain is None and task is None:
            raise ValueError("neither chain nor task")
        return cls(_whole({"seq": int(seq) if seq.isdigit() else seq}, "seq"), chain_id, chain, task)

    def without_payload(self) -> Event:
        """The bare states: without results, metadata and traceback, which stages make up as they like."""
        chain = None if self.chain is None else replace(self.chain, final_result=None)
        task = None if self.task is None else replace(self.task, result=None, metadata=None, traceback=None)
        return Event(self.seq, self.chain_id, chain, task)


def newest(entries: Sequence[Entry]) -> list[Entry]:
    """The entries (id, fields) of a batch that no newer one of the same batch makes superfluous.

    It looks at the fields' bytes only, so that most of a busy chain's events are never parsed.
    """
    latest: dict[tuple[bytes, bytes], tuple[int, int]] = {}
    kept = set()
    for index, (_, fields) in enumerate(entries):
        chain, seq = fields.get(b"chain"), fields.get(b"seq", b"")
        if not chain or not seq.isdigit() or len(seq) > _SEQ_DIGITS:
            kept.add(index)
            continue
        for part in (b"state", b"place"):
            if part in fields:
                key = (chain, part if part == b"state" else fields[part])
                latest[key] = max(latest.get(key, (-1, -1)), (int(seq), index))
    kept.update(index for _, index in latest.values())
    return [entries[index] for index in sorted(kept)]


def _chain(chain_id: str, facts: dict[str, Any], state: dict[str, Any], final: Any) -> ChainState:
    created = _moment(facts, "created")
    if created is None:
        raise ValueError("created: missing")
    return ChainState(
        chain_id=chain_id,
        chain_name=_needed(facts, "name"),
        total_tasks=_whole(facts, "total"),
        status=_status(state),
        completed_tasks=_whole(state, "completed"),
        failed_tasks=_whole(state, "failed"),
        revoked_tasks=_whole(state, "revoked"),
        created_at=created,
        started_at=_moment(state, "started"),
        finished_at=_moment(state, "finished"),
        error_message=_text(state, "error"),
        final_result=final,
        batch_id=_text(facts, "batch"),
        initiated_by=_text(facts, "by"),
        channel=_text(facts, "channel"),
    )


def _task(fields: Mapping[bytes, bytes], *, in_chain: bool) -> TaskState:
    task = _read_object(fields, b"task")
    stage, _, member = fields.get(b"place", b"").decode().partition(".")
    if in_chain and not (stage.isdigit() and member.isdigit()):
        raise ValueError(f"place: {fields.get(b'place')!r} is no stage and member")
    metadata = _text(task, "metadata")
    return TaskState(
        task_id=_needed(task, "task"),
        task_name=_needed(task, "actor"),
        status=_status(task),
        stage=int(stage) if in_chain else None,
        member=int(member) if in_chain else None,
        started_at=_moment(task, "started"),
        finished_at=_moment(task, "finished"),
        retries=_whole(task, "retries", 0),
        attempt=_whole(task, "attempt", 0),
        worker=_text(task, "worker"),
        error=_text(task, "error"),
        traceback=fields.get(b"traceback", b"").decode(errors="replace") or None,
        result=_read_json(fields, b"result"),
        metadata=_load("metadata", metadata) if metadata else None,
        progress=_whole(task, "progress", 0),
    )


def _read_object(fields: Mapping[bytes, bytes], name: bytes) -> dict[str, Any]:
    found = _read_json(fields, name)
    if not isinstance(found, dict):
        raise ValueError(f"{name.decode()}: not a JSON object")
    return found


def _read_json(fields: Mapping[bytes, bytes], name: bytes) -> Any:
    found = fields.get(name)
    return _load(name.decode(), found.decode(errors="replace")) if found else None


def _load(name: str, text: str) -> Any:
    try:
        found, end = _DECODE(text)
        # json.loads looks for space around the value, which takes it as long as a short value does.
        return found if end == len(text) else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: not JSON ({error})") from None


def _text(values: dict[str, Any], name: str) -> str | None:
    found = values.get(name)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{name}: {found!r} is no text")
    return found or None


def _needed(values: dict[str, Any], name: str) -> str:
    found = _text(values, name)
    if found is None:
        raise ValueError(f"{name}: missing")
    return found


def _status(values: dict[str, Any]) -> str:
    status = _needed(values, "status")
    if status not in _STATUSES:
        raise ValueError(f"status: {status!r} is none")
    return status


def _whole(values: dict[str, Any], name: str, default: int | None = None) -> int:
    found = values.get(name, default)
    if not isinstance(found, int) or not 0 <= found < 1 << 63:
        raise ValueError(f"{name}: {found!r} is not a whole number from 0")
    return found


def _moment(values: dict[str, Any], name: str) -> float | None:
    found = values.get(name)
    if found is None or found == "":
        return None
    try:
        seconds = float(found) if isinstance(found, (str, int, float)) else -1.0
    except OverflowError:
        seconds = -1.0
    if not 0 <= seconds <= _LATEST:
        raise ValueError(f"{name}: {found!r} is no time in epoch seconds")
    return seconds
