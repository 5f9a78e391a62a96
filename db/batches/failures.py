"""What of a batch has failed, where and why, and how long its stages take, as the ledger has it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import peewee

from db.connection import session
from db.models import ChainExecution, TaskLog

#: Chains, the newest ones, of which the times of stages are taken.
SAMPLE = 200


@dataclass(frozen=True)
class Failure:
    """Why a chain has failed. ``stage``: from 1; None where that was not kept. ``error``: its first line."""

    stage: int | None
    error: str


def failures(database: peewee.Database, batch_id: str) -> dict[str, Failure]:
    """The chains of a batch that have failed, by their ids.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    chain: Any = ChainExecution
    task: Any = TaskLog
    query = (
        chain.select(chain.chain_id, task.stage, task.error, chain.error_message)
        .join(
            TaskLog,
            peewee.JOIN.LEFT_OUTER,
            on=(task.chain_execution == chain.id) & (task.status == "FAILURE"),
        )
        .where(chain.batch_id == batch_id, chain.status == "FAILURE")
        .order_by(chain.id, task.stage.desc(), task.member)
    )
    found: dict[str, Failure] = {}
    with session(database):
        for chain_id, stage, error, message in query.tuples().execute(database):
            found.setdefault(chain_id, Failure(stage, first_line(error or message)))
    return found


def stages_of(database: peewee.Database, batch_id: str) -> list[dict[str, Any]]:
    """The plan of a batch's chains (see :class:`~db.models.ChainExecution`); empty before there are any."""
    chain: Any = ChainExecution
    query = chain.select(chain.stages).where(chain.batch_id == batch_id).limit(1)
    with session(database):
        return next((stages or [] for (stages,) in query.tuples().execute(database)), [])


def seconds_of_stages(database: peewee.Database, batch_id: str) -> dict[int, float]:
    """Seconds of workers' time that each stage takes: the medians of its members' times, in sum.

    Of the newest chains that have succeeded or are at work; a stage that no task has finished is missing.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    chain: Any = ChainExecution
    task: Any = TaskLog
    newest = (
        chain.select(chain.id)
        .where(chain.batch_id == batch_id, chain.status.in_(["SUCCESS", "STARTED"]))
        .order_by(chain.created_at.desc(), chain.id.desc())
        .limit(SAMPLE)
    )
    with session(database):
        ids = [key for (key,) in newest.tuples().execute(database)]
        query = task.select(task.stage, task.member, task.started_at, task.finished_at).where(
            task.chain_execution.in_(ids), task.status == "SUCCESS", task.stage.is_null(False)
        )
        rows = list(query.tuples().execute(database)) if ids else []
    times: dict[tuple[int, int], list[float]] = {}
    for stage, member, started, finished in rows:
        if started is not None and finished is not None:
            seconds = max(0.0, (finished - started).total_seconds())
            times.setdefault((stage, member or 0), []).append(seconds)
    sums: dict[int, float] = {}
    for (stage, _), seconds_of_member in times.items():
        sums[stage] = sums.get(stage, 0.0) + median(seconds_of_member)
    return sums


def first_line(error: str | None) -> str:
    """The first line of an error, or that none was kept."""
    return next((line.strip() for line in (error or "").splitlines() if line.strip()), "no error was kept")
