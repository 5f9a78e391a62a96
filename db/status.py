"""Where a chain stands: Redis first, the ledger second, and each rebuilt from the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callboard.errors import UnknownChain

from .board import Board
from .chains import encode
from .ledger import Ledger
from .status_rows import ENDED, SUCCESS, ChainRecord, status_array
from .values import to_epoch


@dataclass(frozen=True)
class StatusAnswer:
    """A status array and where it was read: ``"redis"`` or ``"ledger"``."""

    source: str
    array: list[dict[str, Any]]


@dataclass(frozen=True)
class ChainSummary:
    """What is known of a chain without its stages' details.

    Attributes:
        status: of the chain: PENDING, STARTED, SUCCESS, FAILURE or REVOKED.
        stage_names: in order, as they were when the chain started.
        current_stage: the first stage that has not succeeded, from 1; the last one when all have.
        error: why it failed, or empty.
        final_result: what the last stage returned, once the chain has succeeded.
        source: ``"redis"`` or ``"ledger"``.
    """

    chain_id: str
    chain_name: str
    status: str
    stage_names: list[str]
    current_stage: int
    error: str
    final_result: Any
    source: str


class StatusManager:
    """Reads chains from the board, and from the ledger what the board has forgotten.

    Parameters:
        keys_of: answers a workflow's name and a chain's id with the chain's keys for readers of existing
            systems, which a restored chain has again; see :class:`db.status_keys.StatusKeys`.
    """

    def __init__(
        self, board: Board, ledger: Ledger, *, keys_of: Callable[[str, str], dict[str, Any]] | None = None
    ) -> None:
        self.board = board
        self.ledger = ledger
        self.keys_of = keys_of

    def get_pipeline_status(self, chain_id: str) -> list[dict[str, Any]] | None:
        """The status array of a chain: one object per stage, in order. None for an unknown chain.

        Raises:
            redis.RedisError: Redis does not answer.
            LedgerUnavailable: Redis does not know the chain and the database does not answer.
        """
        answer = self.read(chain_id)
        return None if answer is None else answer.array

    def read(self, chain_id: str) -> StatusAnswer | None:
        """As :meth:`get_pipeline_status`, with the store that answered."""
        array = self.board.array(chain_id)
        if array is not None:
            return StatusAnswer("redis", array)
        array = self.ledger.status_array(chain_id)
        return None if array is None else StatusAnswer("ledger", array)

    def find(self, chain_id: str) -> ChainSummary | None:
        """A chain's name, status and outcome; None for an unknown chain.

        Raises:
            redis.RedisError: Redis does not answer.
            LedgerUnavailable: Redis does not know the chain and the database does not answer.
        """
        live = self.board.chain(chain_id)
        if live is not None:
            return ChainSummary(
                chain_id=chain_id,
                chain_name=live.facts["name"],
                status=live.state["status"],
                stage_names=[stage["stage_name"] for stage in live.plan],
                current_stage=live.state["current"],
                error=live.state.get("error", ""),
                final_result=live.final,
                source="redis",
            )
        record = self.ledger.read_chain(chain_id)
        if record is None:
            return None
        chain = record.chain
        return ChainSummary(
            chain_id=chain_id,
            chain_name=chain.chain_name,
            status=chain.status,
            stage_names=[stage["stage_name"] for stage in chain.stages or []],
            current_stage=_current_stage(record),
            error=chain.error_message or "",
            final_result=chain.final_result,
            source="ledger",
        )

    def arguments_of(self, chain_id: str, stage: int) -> tuple[Any, ...]:
        """What a stage is called with: the chain's input, or the stored result of the stage before.

        After a parallel stage it is empty: the begin brings the members' results.

        Raises:
            UnknownChain: nothing is stored for that stage.
            LedgerUnavailable: the database does not answer.
        """
        if stage > 1:
            live = self.board.chain(chain_id)
            if live is not None and live.plan[stage - 2]["parallel"]:
                return ()
            if text := self.board.result(chain_id, stage - 1):
                return (json.loads(text),)
        record = self.ledger.read_chain(chain_id)
        if record is None:
            raise UnknownChain(chain_id)
        if stage == 1:
            return (record.chain.input_data,)
        before = [task for task in record.tasks if task.stage == stage - 1 and task.status == SUCCESS]
        return (before[0].result,) if before and not before[0].member else ()

    def restore(self, chain_id: str) -> bool:
        """Write a chain that the board has forgotten back from the ledger.

        What had not ended is PENDING again, and earlier runs are fenced. Returns whether there was one.

        Raises:
            redis.RedisError, LedgerUnavailable: a store does not answer.
        """
        return self._restore(chain_id, ended_too=True)

    def restore_open(self, chain_id: str) -> bool:
        """As :meth:`restore`, and nothing for a chain that has ended.

        A message that is left over from it needs nothing of it, and the ledger may just be hearing of its end
        piece by piece.
        """
        return self._restore(chain_id, ended_too=False)

    def _restore(self, chain_id: str, *, ended_too: bool) -> bool:
        record = self.ledger.read_chain(chain_id)
        if record is None or not record.chain.stages:
            return False
        if record.chain.status in ENDED and not ended_too:
            return False
        record = _without_later_stages(record)
        array = status_array(record)
        fields = _live_fields(record, array)
        if self.keys_of is not None and (keys := self.keys_of(record.chain.chain_name, chain_id)):
            fields["keys"] = encode(keys)
        self.board.restore(chain_id, fields, array, record.chain.status in ENDED)
        return True


def _without_later_stages(record: ChainRecord) -> ChainRecord:
    """An open chain up to the stage that it goes on from.

    The ledger may have heard of a later stage and not of this one, as recorders write side by side: what the
    later one did with a result that is lost now, it does again with the new one.
    """
    if record.chain.status in ENDED:
        return record
    current = _current_stage(record)
    return ChainRecord(record.chain, [task for task in record.tasks if (task.stage or 0) <= current])


def _live_fields(record: ChainRecord, array: list[dict[str, Any]]) -> dict[str, Any]:
    """The live hash of a chain (see ``includes/transition.lua``) as far as the ledger knows it."""
    chain = record.chain
    # Larger than any number given before, so that earlier runs are fenced and later events win.
    # A clock that was set back must not make it smaller than what the ledger has.
    fresh = max(int(time.time() * 1000), chain.seq + 1, *(task.seq + 1 for task in record.tasks))
    ended = [task.status for task in record.tasks if task.status in ENDED]
    created = repr(to_epoch(chain.created_at))
    state = {
        "status": chain.status,
        "current": _current_stage(record),
        "seq": fresh,
        "fence": fresh,
        "again": True,
        "completed": ended.count("SUCCESS"),
        "failed": ended.count("FAILURE"),
        "revoked": ended.count("REVOKED"),
        "share": array[_current_stage(record) - 1]["progress"],
        "started": _moment(chain.started_at),
        "finished": _moment(chain.finished_at),
        "error": chain.error_message,
    }
    facts = {
        "name": chain.chain_name,
        "total": chain.total_tasks,
        "created": created,
        "batch": chain.batch_id,
        "by": chain.initiated_by,
        "channel": chain.channel,
    }
    fields: dict[str, Any] = {
        "id": encode(chain.chain_id),
        "facts": encode(facts),
        "plan": encode(chain.stages),
        "created": created,
        "channel": chain.channel or "",
        "stages": len(chain.stages),
        "state": _without_none(state),
    }
    if chain.final_result is not None:
        fields["final"] = encode(chain.final_result)
    for number, stage in enumerate(chain.stages, start=1):
        fields |= {
            f"{number}:title": encode(stage["stage_name"]),
            f"{number}:members": len(stage["tasks"]) if stage["parallel"] else 0,
            f"{number}:policy": stage["policy"],
        }
        if stage.get("span"):
            fields[f"{number}:span"] = encode(stage["span"])
    for task in record.tasks:
        if task.stage is None:
            continue
        place = f"{task.stage}.{task.member or 0}"
        known = {
            "status": task.status if task.status in ENDED else "PENDING",
            "token": fresh,
            "attempt": task.attempt,
            "retries": task.retries if task.status in ENDED else 0,
            "progress": task.progress or 0,
            "started": _moment(task.started_at),
            "finished": _moment(task.finished_at),
            "worker": task.worker,
            "task": task.task_id,
            "actor": task.task_name,
            "metadata": None if task.metadata is None else encode(task.metadata),
            "error": task.error,
        }
        fields[place] = _without_none(known)
        if task.status == SUCCESS:
            fields[f"{place}:result"] = encode(task.result)
    return fields


def _without_none(known: dict[str, Any]) -> str:
    return encode({name: value for name, value in known.items() if value is not None})


def _current_stage(record: ChainRecord) -> int:
    stages = record.chain.stages or []
    for number, stage in enumerate(stages, start=1):
        own = [task.status for task in record.tasks if task.stage == number]
        complete = own.count(SUCCESS) == len(stage["tasks"])
        if stage.get("policy") == "continue":
            complete = SUCCESS in own and sum(status in ENDED for status in own) == len(stage["tasks"])
        if not complete:
            return number
    return max(1, len(stages))


def _moment(value: datetime | None) -> str | None:
    return None if value is None else repr(to_epoch(value))
