"""What the board is told and what it tells: places, plans, transitions, and chains as they are now."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a task stands: a stage of a chain (from 1), and in a parallel stage which member (from 1).

    ``member`` is 0 for the only task of a stage. A task that belongs to no chain has an empty ``chain_id``.
    """

    chain_id: str
    stage: int
    member: int
    task_id: str


@dataclass(frozen=True)
class StagePlan:
    """One stage of a chain that is about to be posted.

    Attributes:
        name: shown as ``metadata.stage_name``.
        tasks: one dictionary a task: ``name``, ``task_id``, ``task_name``, ``queue_name``.
        parallel: whether the tasks are members that run side by side.
        policy: of a parallel stage whose member fails for good: ``"fail"`` or ``"continue"``.
        span: what the stage says of its part in the run, each only where the workflow does: ``from`` and
            ``to`` (share of the run at its begin and end, 0.0 to 1.0), ``weights`` (how much each member
            counts), ``opening`` (the log line of its begin), ``closing`` (of the run's end).
    """

    name: str
    tasks: list[dict[str, str]]
    parallel: bool = False
    policy: str = "fail"
    span: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The form that board and ledger store."""
        return {
            "stage_name": self.name,
            "parallel": self.parallel,
            "policy": self.policy,
            "tasks": self.tasks,
            **({"span": self.span} if self.span else {}),
        }


@dataclass(frozen=True)
class Transition:
    """A named script of ``db/lua`` with its keys and arguments."""

    name: str
    keys: list[str]
    arguments: list[Any]


@dataclass(frozen=True)
class LiveChain:
    """A chain as the live hash has it.

    Attributes:
        facts: what start wrote: name, total, created, batch, by, channel.
        state: status, current (stage), seq, completed, failed, revoked, share (percent of the current
            stage), and where they apply started, finished (epoch seconds, as strings) and error.
        plan: the stages, as :meth:`StagePlan.as_json` has them.
        final: what the last stage returned, once the chain has succeeded.
    """

    facts: dict[str, Any]
    state: dict[str, Any]
    plan: list[dict[str, Any]]
    final: Any


@dataclass(frozen=True)
class Begun:
    """The board's answer to a begin.

    Attributes:
        verdict: ``go``, ``exhausted``, ``done``, ``closed``, ``stale``, ``busy`` or ``unknown`` (see
            ``lua/begin.lua``).
        token: the fencing token of this run, shown again at each report.
        attempt: how often the task has begun, this time included.
        inputs: results of the parallel stage before, in order; None where there is none.
        before: of a chain that was resumed or restored the result of the stage before, alone in a tuple: a
            message that is still on its way from earlier may bring an older one. None for other chains.
        alive_for: with ``busy``, milliseconds for which the other run's worker is known to be alive.
    """

    verdict: str
    token: str = ""
    attempt: int = 0
    inputs: list[Any] | None = None
    before: tuple[Any] | None = None
    alive_for: int = 0


def percent_done(state: Mapping[str, Any], plan: Sequence[Mapping[str, Any]]) -> float:
    """How much of a chain in that state is done: its stages count alike unless the plan says otherwise."""
    if state["status"] == "SUCCESS":
        return 100.0
    current, share = state["current"], state["share"]
    span = plan[current - 1].get("span", {}) if plan else {}
    if "to" not in span:
        return float((current - 1) * 100 + share) / max(1, len(plan))
    if state["status"] == "PENDING":
        return 0.0
    # As the scripts have it: whole percents.
    return float(math.floor(100 * span["from"] + (span["to"] - span["from"]) * share + 0.5))


def now() -> str:
    """Epoch seconds, as the board writes them."""
    return repr(round(time.time(), 3))


def encode(value: Any) -> str:
    """JSON as the board writes it: compact, Unicode as it is.

    Raises:
        TypeError, ValueError: the value is not JSON (NaN and infinities included).
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate cannot travel as UTF-8; as an escape it is valid JSON.
    return text.encode("utf-8", "backslashreplace").decode()
