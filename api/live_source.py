"""Where live runs are read: the board and the chain's message stream, the ledger once both have expired."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import redis.asyncio

from db.chains import percent_done
from db.keys import Keys
from db.status import StatusManager
from db.status_rows import AT_END

from .live_run import Loaded, parse

#: Messages of a stream that are read at a time; a stream keeps about a thousand.
CHUNK = 500
STREAM_LENGTH = 1100
ENTRY_ID = re.compile(r"\d{1,20}-\d{1,20}")

StreamEntry = tuple[str, bytes]


class RunSource:
    """Reads runs.

    Parameters:
        client: connections to the board's Redis.
        keys: names of its keys.
        status: reads the ledger, in a thread; None leaves the ledger out.
    """

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, status: StatusManager | None) -> None:
        self._client = client
        self._keys = keys
        self._status = status

    async def load(self, run_id: str) -> Loaded | None:
        """Where a run stands; None for an unknown one.

        Raises:
            redis.RedisError: Redis does not answer.
            LedgerUnavailable: Redis does not know the run and the database does not answer.
        """
        pipe = self._client.pipeline(transaction=True)
        pipe.hmget(self._keys.live(run_id), ["state", "plan"])
        pipe.xrevrange(self._keys.messages(run_id), count=STREAM_LENGTH)
        (state, plan), newest_first = await pipe.execute()
        entries = _texts(reversed(newest_first))
        if state is None and not entries:
            if self._status is None:
                return None
            return await asyncio.to_thread(_from_ledger, self._status, run_id)
        shown, progress, logs = _fold([text for _, text in entries])
        if state is not None:
            shown, progress = _reconcile(json.loads(state), json.loads(plan or b"[]"), shown, progress)
        return Loaded(
            state=shown or "PENDING",
            progress=progress or 0.0,
            logs=logs,
            last_id=entries[-1][0] if entries else "0-0",
            texts=[text for _, text in entries],
        )

    async def read(self, positions: Mapping[str, str]) -> list[list[StreamEntry]]:
        """The messages of some runs after an id each, at most ``CHUNK`` of each. One round trip.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        pipe = self._client.pipeline(transaction=False)
        for run_id, last_id in positions.items():
            pipe.xrange(self._keys.messages(run_id), min=f"({last_id}", max="+", count=CHUNK)
        return [_texts(found) for found in await pipe.execute()]

    async def artifacts(self, run_id: str) -> dict[str, Any] | None:
        """What the result of a run that has succeeded names as such; None where it names nothing.

        Raises:
            redis.RedisError: Redis does not answer.
            LedgerUnavailable: Redis does not know the run and the database does not answer.
        """
        text: Any = await self._client.hget(self._keys.live(run_id), "final")
        result = json.loads(text) if text else None
        if text is None and self._status is not None:
            chain = await asyncio.to_thread(self._status.find, run_id)
            result = chain.final_result if chain is not None else None
        found = result.get("artifacts") if isinstance(result, dict) else None
        return found if isinstance(found, dict) else None

    async def is_whole_after(self, run_id: str, last_id: str) -> bool:
        """Whether the stream still holds every message after that id.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        pipe = self._client.pipeline(transaction=False)
        pipe.xrange(self._keys.messages(run_id), count=1)
        pipe.xlen(self._keys.messages(run_id))
        oldest, length = await pipe.execute()
        # Shorter than the cap it has lost nothing, so that an id before its first entry is only early.
        return bool(oldest) and (length < 1000 or id_order(oldest[0][0].decode()) <= id_order(last_id))


def id_order(entry_id: str) -> tuple[int, int]:
    """Stream ids in order."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _texts(found: Any) -> list[StreamEntry]:
    return [(entry_id.decode(), fields.get(b"message", b"")) for entry_id, fields in found]


def _fold(texts: list[bytes]) -> tuple[str | None, float | None, list[str]]:
    state: str | None = None
    progress: float | None = None
    logs = []
    for text in texts:
        message = parse(text)
        if message is None:
            continue
        state = message.state or state
        progress = progress if message.progress is None else message.progress
        if message.log is not None:
            logs.append(message.log)
    return state, progress, logs


def _reconcile(
    state: dict[str, Any], plan: list[dict[str, Any]], shown: str | None, progress: float | None
) -> tuple[str, float]:
    """What messages say, unless the board knows of an end, or of a resume, that they do not tell."""
    status = state["status"]
    end = AT_END.get(status)
    share = round(percent_done(state, plan) / 100, 4)
    if end is not None:
        same = shown == end and progress is not None
        return end, progress if same and progress is not None else share
    if shown is None or shown in AT_END.values():
        title = plan[state["current"] - 1]["stage_name"] if plan else "STARTED"
        return ("PENDING" if status == "PENDING" else title), share
    return shown, share if progress is None else progress


def _from_ledger(status: StatusManager, run_id: str) -> Loaded | None:
    chain = status.find(run_id)
    if chain is None:
        return None
    array = status.get_pipeline_status(run_id) or []
    state = AT_END.get(chain.status)
    if state is None:
        named = chain.status != "PENDING" and chain.stage_names
        state = chain.stage_names[chain.current_stage - 1] if named else "PENDING"
    share = sum(float(entry["progress"]) for entry in array) / max(1, len(array)) / 100
    progress = 1.0 if state == "END" else round(share, 4)
    return Loaded(state, progress, [chain.error] if chain.error else [])
