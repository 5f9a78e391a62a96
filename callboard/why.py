"""``callboard why``: one sentence that answers why a chain is not moving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.status_rows import ENDED, ChainRecord
from db.values import to_epoch

from .errors import UnknownChain
from .views import in_one_line
from .why_task import NO_CLOCK, Reason, Surroundings, Task, clock_time

if TYPE_CHECKING:
    from actors.application import Application
    from db.chains import LiveChain

#: What keeps a chain most comes first: of several open members, that one is told.
_WORST_FIRST = ("lost", "no_worker", "worker_gone", "retry", "queued", "held", "running")


@dataclass(frozen=True)
class Answer:
    """Why a chain is where it is.

    Attributes:
        status: of the chain.
        sentence: for people.
        reason: see :class:`~callboard.why_task.Reason`.
        others: the reasons of the other open members, each with its label.
    """

    chain_id: str
    status: str
    sentence: str
    reason: Reason
    others: Sequence[tuple[str, Reason]] = ()

    def as_json(self) -> dict[str, Any]:
        """The answer as a JSON object."""
        return {
            "chain_id": self.chain_id,
            "status": self.status,
            "reason": self.reason.code,
            "sentence": self.sentence,
            "facts": self.reason.facts,
            "others": [
                {"task": label, "reason": reason.code, **reason.facts} for label, reason in self.others
            ],
        }


def why(application: Application, chain_id: str) -> Answer:
    """Why a chain is not moving.

    Raises:
        UnknownChain: neither board nor ledger knows it.
        redis.RedisError, LedgerUnavailable: a store does not answer.
    """
    live = application.board.chain(chain_id)
    if live is None:
        record = application.ledger.read_chain(chain_id)
        if record is None:
            raise UnknownChain(chain_id)
        return _from_ledger(application, chain_id, record)
    status = live.state["status"]
    if status in ENDED:
        tasks = _tasks(application, chain_id, live)
        error = next((task for task in tasks if task.state.get("status") == "FAILURE"), None)
        at = float(live.state["finished"]) if live.state.get("finished") else None
        where = error.label if error else _stage_label(live.plan, live.state["current"])
        words = (error.state.get("error") if error else "") or live.state.get("error") or ""
        return _ended(chain_id, status, at, where, words)
    return _open(application, chain_id, live)


def _open(application: Application, chain_id: str, live: LiveChain) -> Answer:
    around = Surroundings(application)
    reasons = [
        (task.label, around.why(chain_id, task))
        for task in _tasks(application, chain_id, live)
        if task.state.get("status") not in ENDED
    ]
    if not reasons:
        label = _stage_label(live.plan, live.state["current"])
        reason = Reason(
            "lost", f"has no open task left; {'the sweep looks at it' if around.clock_runs else NO_CLOCK}"
        )
        return Answer(chain_id, live.state["status"], f"{label} {reason.words}", reason)
    (label, worst), *others = sorted(reasons, key=lambda each: _WORST_FIRST.index(each[1].code))
    sentence = f"{label} {worst.words}"
    if others:
        sentence += f"; {len(others)} more of its members {'is' if len(others) == 1 else 'are'} open"
    return Answer(chain_id, live.state["status"], sentence, worst, others)


def _tasks(application: Application, chain_id: str, live: LiveChain) -> list[Task]:
    """The tasks of the current stage."""
    current = live.state["current"]
    stage = live.plan[current - 1]
    array = application.board.array(chain_id) or []
    entry = array[current - 1] if len(array) >= current else {}
    tasks = []
    for number, planned in enumerate(stage["tasks"], start=1):
        label = _stage_label(live.plan, current)
        if stage["parallel"]:
            label = f"member {number} of {label}: {planned['name']}"
        state = application.board.task(chain_id, current, number if stage["parallel"] else 0) or {}
        # The entry of a parallel stage moves with each of its members.
        tasks.append(Task(label, state, planned, {} if stage["parallel"] else entry))
    return tasks


def _stage_label(plan: Sequence[dict[str, Any]], number: int) -> str:
    return f"stage {number} ({plan[number - 1]['stage_name']})"


def _ended(chain_id: str, status: str, at: float | None, where: str, error: str) -> Answer:
    moment = f" at {clock_time(at)}" if at else ""
    facts = {"finished": at, "error": error or None}
    if status == "SUCCESS":
        reason = Reason("ended", f"ended SUCCESS{moment}", {"finished": at})
    elif status == "REVOKED":
        told = f": {in_one_line(error)}" if error else ""
        reason = Reason("revoked", f"was revoked{moment} in {where}{told}; {_resume(chain_id)}", facts)
    else:
        told = in_one_line(error) or "no error was kept"
        reason = Reason("failed", f"failed{moment} in {where}: {told}; {_resume(chain_id)}", facts)
    return Answer(chain_id, status, f"the chain {reason.words}", reason)


def _resume(chain_id: str) -> str:
    return f"`callboard resume {chain_id}` lets it go on"


def _from_ledger(application: Application, chain_id: str, record: ChainRecord) -> Answer:
    chain = record.chain
    if chain.status in ENDED:
        failed = next((task for task in record.tasks if task.status == "FAILURE"), None)
        where = "a stage that nobody kept"
        if failed is not None and failed.stage and chain.stages:
            where = _stage_label(chain.stages, failed.stage)
        elif chain.status == "REVOKED":
            where = "the stage that was current"
        at = to_epoch(chain.finished_at) if chain.finished_at else None
        words = (failed.error if failed else None) or chain.error_message or ""
        return _ended(chain_id, chain.status, at, where, words)
    clock_runs = Surroundings(application).clock_runs
    then = "the sweep brings it back within a minute" if clock_runs else NO_CLOCK
    reason = Reason("forgotten", f"is known to the ledger only, the board has forgotten it; {then}")
    return Answer(chain_id, chain.status, f"the chain {reason.words}", reason)
