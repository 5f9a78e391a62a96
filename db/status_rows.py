"""A chain read from the ledger, and its status array put together from the rows.

The array is the one that ``db/lua/includes/transition.lua`` writes while the chain lives (``entry_of``,
``summarise``); what the rows do not hold, such as the percent of an old failure, is read as the least that
they prove.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from .connection import session
from .models import ChainExecution, ProcessStatus, TaskLog, read_rows
from .values import to_epoch

PENDING = ProcessStatus.PENDING.value
SUCCESS = ProcessStatus.SUCCESS.value
FAILURE = ProcessStatus.FAILURE.value
REVOKED = ProcessStatus.REVOKED.value
ENDED = (SUCCESS, FAILURE, REVOKED)
#: What the ends are called in progress messages (``AT_END`` in ``db/lua/includes/transition.lua``, too).
AT_END = {SUCCESS: "END", FAILURE: "FAILED", REVOKED: "FAILED"}


@dataclass(frozen=True)
class ChainRecord:
    """A chain's row and the rows of its tasks, ordered by stage and member."""

    chain: ChainExecution
    tasks: list[TaskLog]


def read_chain(database: peewee.Database, chain_id: str) -> ChainRecord | None:
    """The chain and its tasks in two statements; None when there is no such chain."""
    with session(database):
        chains = read_rows(database, ChainExecution.select().where(ChainExecution.chain_id == chain_id))
        if not chains:
            return None
        own = TaskLog.chain_execution == chains[0].id
        tasks = read_rows(database, TaskLog.select().where(own))
    for task in tasks:
        task.__rel__["chain_execution"] = chains[0]
    return ChainRecord(chains[0], sorted(tasks, key=_place))


def stage_results(database: peewee.Database, chain_id: str) -> dict[tuple[int, int], Any]:
    """Results of the chain's SUCCESS tasks by (stage, member)."""
    query = (
        TaskLog.select(TaskLog.stage, TaskLog.member, TaskLog.result)
        .join(ChainExecution, on=(TaskLog.chain_execution == ChainExecution.id))
        .where(ChainExecution.chain_id == chain_id, TaskLog.status == SUCCESS, TaskLog.stage.is_null(False))
        .order_by(TaskLog.seq)
        .tuples()
    )
    with session(database):
        return {(stage, member or 0): result for stage, member, result in query.execute(database)}


def status_array(record: ChainRecord) -> list[dict[str, Any]]:
    """The status array of a chain: one object per stage, in order."""
    chain = record.chain
    created = to_epoch(chain.created_at)
    array = []
    for number, stage in enumerate(_stages(record), start=1):
        status, progress = stage.summary()
        array.append(
            {
                "chain_id": chain.chain_id,
                "stage": number,
                "status": status if status in ENDED else PENDING,
                "progress": progress,
                "created_at": created,
                "updated_at": stage.updated_at(created),
                "metadata": stage.metadata(),
                "process_status": status,
            }
        )
    return array


@dataclass(frozen=True)
class _Stage:
    """One stage: its plan and the row of each of its tasks, None where the task has not begun."""

    name: str
    members: list[str]
    tasks: list[TaskLog | None]
    parallel: bool
    goes_on: bool
    weights: list[int] | None = None

    def summary(self) -> tuple[str, int]:
        """Status and percent of the stage, as ``summarise`` in the Lua scripts has them."""
        statuses = [task.status if task else PENDING for task in self.tasks]
        weights = self.weights or [1] * len(self.tasks)
        done = sum(weight * _progress(task) for weight, task in zip(weights, self.tasks, strict=True))
        progress = done // max(1, sum(weights))
        if not self.parallel:
            return (statuses or [PENDING])[0], progress
        counts = Counter(statuses)
        all_ended = sum(counts[status] for status in ENDED) == len(statuses)
        if counts[FAILURE] and (not self.goes_on or (all_ended and not counts[SUCCESS])):
            return FAILURE, progress
        if counts[REVOKED]:
            return REVOKED, progress
        if all_ended:
            return SUCCESS, 100
        if counts["RUNNING"] + counts[SUCCESS] + counts[FAILURE]:
            return "RUNNING", progress
        return next((status for status in ("STARTED", "RETRY") if counts[status]), PENDING), progress

    def updated_at(self, otherwise: float) -> float:
        moments = [task.finished_at or task.started_at for task in self.tasks if task]
        return max((to_epoch(moment) for moment in moments if moment), default=otherwise)

    def metadata(self) -> dict[str, Any]:
        begun = [task for task in self.tasks if task]
        metadata: dict[str, Any] = {"stage_name": self.name}
        for task in sorted(begun, key=lambda task: task.seq)[-1:]:
            if isinstance(task.metadata, dict):
                metadata |= {name: value for name, value in task.metadata.items() if name != "stage_name"}
        starts = [task.started_at for task in begun if task.started_at]
        ends = [task.finished_at for task in begun if task.finished_at]
        if starts and ends and self.summary()[0] in ENDED:
            elapsed = (max(ends) - min(starts)).total_seconds()
            metadata.setdefault("execution_time", round(elapsed, 3))
        if self.parallel:
            metadata["members"] = [
                {
                    "name": name,
                    "process_status": task.status if task else PENDING,
                    "progress": _progress(task),
                }
                for name, task in zip(self.members, self.tasks, strict=True)
            ]
        return metadata


def _stages(record: ChainRecord) -> list[_Stage]:
    if not isinstance(record.chain.stages, list):
        return _stages_of_tasks(record.tasks)
    stages = []
    for number, plan in enumerate(record.chain.stages, start=1):
        planned = plan["tasks"]
        parallel = plan.get("parallel", len(planned) > 1)
        newest = {
            task.member or 0: task
            for task in sorted(record.tasks, key=lambda task: task.seq)
            if task.stage == number
        }
        stages.append(
            _Stage(
                name=plan["stage_name"],
                members=[task.get("name", task["task_name"]) for task in planned],
                tasks=[newest.get(index + 1 if parallel else 0) for index in range(len(planned))],
                parallel=parallel,
                goes_on=plan.get("policy") == "continue",
                weights=plan.get("span", {}).get("weights"),
            )
        )
    return stages


def _stages_of_tasks(tasks: Sequence[TaskLog]) -> list[_Stage]:
    """Rows of the past have no plan: the stages are then those whose tasks are known."""
    by_stage: dict[int, list[TaskLog]] = {}
    for place, task in enumerate(tasks):
        # Rows without a stage come last and stand each for one of their own.
        by_stage.setdefault(task.stage or (1 << 32) + place, []).append(task)
    return [
        _Stage(
            name=own[0].task_name,
            members=[task.task_name for task in own],
            tasks=list(own),
            parallel=len(own) > 1,
            goes_on=False,
        )
        for _, own in sorted(by_stage.items())
    ]


def _progress(task: TaskLog | None) -> int:
    if task is None or task.status == PENDING:
        return 0
    if task.status == SUCCESS:
        return 100
    if task.status == REVOKED and task.started_at is None:
        return task.progress or 0
    return max(1, task.progress or 0)


def _place(task: TaskLog) -> tuple[int, int, int]:
    return (task.stage or 1 << 31, task.member or 0, task.id)
