"""Statistics of batches: how many images, how fast, how long each stage takes and waits, and what fails.

Counts are of all tasks of the batches. PostgreSQL takes percentiles from all of them, too; SQLite has none,
so they are taken here, from the newest tasks (:data:`SAMPLE`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee

from db.connection import execute, session
from db.values import utc_now

from .percentiles import NO_PERCENTILES, SHARES, Percentiles, percentiles

#: Tasks at most that percentiles are taken from on SQLite.
SAMPLE = 100_000
#: Errors that are named, the most frequent first.
MOST_ERRORS = 20


@dataclass(frozen=True)
class StageStatistics:
    """One stage of a workflow, or a member of a parallel one (``task``: its actor).

    Attributes:
        tasks: how many have begun; succeeded, failed, revoked: how many have so ended.
        retries: of all of them.
        seconds: of those that have succeeded, from the first begin to the end.
        wait: of the stage, from the end of the one before (or its chain's start) to its first begin.
    """

    workflow: str
    stage: int
    name: str | None
    task: str
    tasks: int
    succeeded: int
    failed: int
    revoked: int
    retries: int
    seconds: Percentiles
    wait: Percentiles


@dataclass(frozen=True)
class ErrorCount:
    """How often an error (its first line) ended a task of a stage; ``stage`` is None before the first."""

    error: str
    workflow: str | None
    stage: int | None
    count: int


@dataclass(frozen=True)
class BatchStatistics:
    """One batch, or all that were created since a moment. Moments are naive UTC.

    Attributes:
        batches: how many in each status.
        images: ``total``, ``completed``, ``failed``, ``revoked``, ``open`` (neither of these).
        chunks: ``total``, ``completed``, ``failed``.
        seconds: how long the batches took, those that go on until now.
        images_per_second: images that have ended by the seconds of their batches.
        recent_images_per_second: of late, of all batches that go on; None where none tells (see
            ``db/batches/pace.py``; only the board knows).
        retries: of all tasks.
    """

    batch_id: str | None
    since: datetime | None
    batches: dict[str, int]
    images: dict[str, int]
    chunks: dict[str, int]
    seconds: Percentiles
    images_per_second: float | None
    recent_images_per_second: float | None
    retries: int
    stages: list[StageStatistics] = field(default_factory=list)
    errors: list[ErrorCount] = field(default_factory=list)


def read(
    database: peewee.Database, *, batch_id: str | None = None, since: datetime | None = None
) -> BatchStatistics | None:
    """Of one batch, or of those created since a moment; None when there is no such batch.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    with session(database):
        asked = _Asked(database, batch_id, since)
        rows = asked.rows(
            "SELECT status, total_images, completed_images, failed_images, revoked_images, total_chunks,"
            " completed_chunks, failed_chunks, started_at, finished_at FROM batch_executions WHERE {batches}"
        )
        if batch_id is not None and not rows:
            return None
        stages = _stages(asked)
        counts = [sum(row[number] for row in rows) for number in range(1, 8)]
        total, completed, failed, revoked, *chunks = counts
        ended = completed + failed + revoked
        took = [seconds for row in rows if (seconds := _seconds(row[8], row[9])) is not None]
        statuses: dict[str, int] = defaultdict(int)
        for row in rows:
            statuses[row[0]] += 1
        return BatchStatistics(
            batch_id=batch_id,
            since=since,
            batches=dict(statuses),
            images={
                "total": total,
                "completed": completed,
                "failed": failed,
                "revoked": revoked,
                "open": max(0, total - ended),
            },
            chunks=dict(zip(("total", "completed", "failed"), chunks, strict=True)),
            seconds=percentiles(took),
            images_per_second=round(ended / sum(took), 3) if sum(took) > 0 else None,
            recent_images_per_second=None,
            retries=sum(stage.retries for stage in stages),
            stages=stages,
            errors=_errors(asked, failed),
        )


class _Asked:
    """The statements for the batches that are asked for, in the words of the database."""

    def __init__(self, database: peewee.Database, batch_id: str | None, since: datetime | None) -> None:
        self.database = database
        self.is_sqlite = isinstance(database, peewee.SqliteDatabase)
        if batch_id is not None:
            self.batches, self.value = f"batch_id = {database.param}", batch_id
            self.chains = f"c.batch_id = {database.param}"
        else:
            moment: Any = since or datetime(1970, 1, 1)
            self.batches, self.value = f"created_at >= {database.param}", moment
            if self.is_sqlite:
                self.value = str(moment)
            self.chains = f"c.batch_id IN (SELECT batch_id FROM batch_executions WHERE {self.batches})"

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        text = statement.replace("{batches}", self.batches).replace("{chains}", self.chains)
        found: list[tuple[Any, ...]] = execute(self.database, text, (self.value,)).fetchall()
        return found

    def seconds(self, begun: str, ended: str) -> str:
        if self.is_sqlite:
            return f"(julianday({ended}) - julianday({begun})) * 86400"
        return f"EXTRACT(EPOCH FROM {ended} - {begun})"

    def percentiles(self, keys: str, values: str, order: str = "") -> dict[tuple[Any, ...], Percentiles]:
        """The percentiles of ``seconds`` in a statement's rows, by the columns of ``keys``."""
        if not self.is_sqlite:
            rows = self.rows(
                f"SELECT {keys}, percentile_cont(ARRAY{list(SHARES)}) WITHIN GROUP (ORDER BY seconds)"
                f" FROM ({values}) AS timed GROUP BY {keys}"
            )
            return {row[:-1]: Percentiles(*(round(float(one), 3) for one in row[-1])) for row in rows}
        gathered: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for *key, seconds in self.rows(f"SELECT {keys}, seconds FROM ({values} {order} LIMIT {SAMPLE})"):
            gathered[tuple(key)].append(seconds)
        return {key: percentiles(found) for key, found in gathered.items()}


def _stages(asked: _Asked) -> list[StageStatistics]:
    joined = "FROM task_logs t JOIN chain_executions c ON t.chain_execution_id = c.id WHERE {chains}"
    counted = asked.rows(
        "SELECT c.chain_name, t.stage, t.task_name, COUNT(*),"
        + "".join(
            f" SUM(CASE WHEN t.status = '{status}' THEN 1 ELSE 0 END),"
            for status in ("SUCCESS", "FAILURE", "REVOKED")
        )
        + f" SUM(COALESCE(t.retries, 0)) {joined} AND t.stage IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    seconds = asked.seconds("t.started_at", "t.finished_at")
    took = asked.percentiles(
        "chain_name, stage, task_name",
        f"SELECT c.chain_name, t.stage, t.task_name, {seconds} AS seconds"
        f" {joined} AND t.status = 'SUCCESS' AND t.started_at IS NOT NULL AND t.finished_at IS NOT NULL",
        "ORDER BY t.id DESC",
    )
    waited = _waits(asked)
    names = _names(asked, {row[0] for row in counted})
    return [
        StageStatistics(
            workflow=workflow,
            stage=stage,
            name=names.get((workflow, stage)),
            task=task,
            tasks=tasks,
            succeeded=int(succeeded),
            failed=int(failed),
            revoked=int(revoked),
            retries=int(retries),
            seconds=took.get((workflow, stage, task), NO_PERCENTILES),
            wait=waited.get((workflow, stage), NO_PERCENTILES),
        )
        for workflow, stage, task, tasks, succeeded, failed, revoked, retries in counted
    ]


def _waits(asked: _Asked) -> dict[tuple[Any, ...], Percentiles]:
    stages = (
        "SELECT c.chain_name, c.created_at, t.chain_execution_id AS chain, t.stage,"
        " MIN(t.started_at) AS begun, MAX(t.finished_at) AS ended"
        " FROM task_logs t JOIN chain_executions c ON t.chain_execution_id = c.id"
        " WHERE {chains} AND t.stage IS NOT NULL GROUP BY 1, 2, 3, 4"
    )
    before = "COALESCE(LAG(ended) OVER (PARTITION BY chain ORDER BY stage), created_at)"
    return asked.percentiles(
        "chain_name, stage",
        f"SELECT chain_name, stage, {asked.seconds('before', 'begun')} AS seconds FROM"
        f" (SELECT chain_name, stage, begun, {before} AS before FROM ({stages}) AS stages) AS waits"
        " WHERE begun IS NOT NULL",
    )


def _names(asked: _Asked, workflows: set[str]) -> dict[tuple[str, int], str]:
    """The names of the stages, as the newest chain of each workflow has them."""
    found: dict[tuple[str, int], str] = {}
    newest = "SELECT MAX(c.id) FROM chain_executions c WHERE {chains} GROUP BY c.chain_name"
    for workflow, text in asked.rows(
        f"SELECT chain_name, stages FROM chain_executions WHERE id IN ({newest})"
    ):
        stages = json.loads(text) if isinstance(text, str) else text
        if workflow in workflows and isinstance(stages, list):
            for number, stage in enumerate(stages, start=1):
                found[workflow, number] = str(stage["stage_name"])
    return found


def _errors(asked: _Asked, failed_images: int) -> list[ErrorCount]:
    first_line = "split_part(LTRIM(t.error, E' \\r\\n\\t'), E'\\n', 1)"
    if asked.is_sqlite:
        text = "LTRIM(t.error, ' ' || char(9, 10, 13))"
        first_line = f"substr({text}, 1, instr({text} || char(10), char(10)) - 1)"
    rows = asked.rows(
        f"SELECT {first_line}, c.chain_name, t.stage, COUNT(*) FROM task_logs t"
        " JOIN chain_executions c ON t.chain_execution_id = c.id"
        " WHERE {chains} AND t.status = 'FAILURE' AND t.error IS NOT NULL"
        f" GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1 LIMIT {MOST_ERRORS}"
    )
    errors = [ErrorCount(*row) for row in rows]
    chunks = asked.rows(
        "SELECT error, COUNT(*) FROM batch_chunks c WHERE {chains} AND error IS NOT NULL"
        " GROUP BY 1 ORDER BY 2 DESC"
    )
    if chunks:
        ((failed,),) = asked.rows(
            "SELECT COUNT(*) FROM chain_executions c WHERE {chains} AND c.status = 'FAILURE'"
        )
        # Images that never had a chain.
        errors.append(ErrorCount(chunks[0][0], None, None, max(0, failed_images - failed)))
    return sorted(errors, key=lambda one: -one.count)[:MOST_ERRORS]


def _seconds(started: Any, finished: Any) -> float | None:
    if started is None:
        return None
    begun, ended = (
        datetime.fromisoformat(one) if isinstance(one, str) else one
        for one in (started, finished or utc_now())
    )
    return float(max(0.0, (ended - begun).total_seconds()))


def open_since(database: peewee.Database, since: datetime | None, *, most: int) -> list[str]:
    """The newest batches that have not ended, created since a moment.

    Raises:
        LedgerUnavailable: the database did not answer.
    """
    with session(database):
        rows = _Asked(database, None, since).rows(
            "SELECT batch_id FROM batch_executions WHERE {batches} AND finished_at IS NULL"
            f" ORDER BY created_at DESC LIMIT {most}"
        )
        return [batch_id for (batch_id,) in rows]
