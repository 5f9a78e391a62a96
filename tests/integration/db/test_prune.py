"""What the ledger lets go of, and what it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import peewee
import pytest

from db import prune
from db.connection import session
from db.models import BatchChunk, BatchExecution, ChainExecution, TaskLog
from db.prune import Removed
from db.values import utc_now

NOW = utc_now()
LONG_AGO = NOW - timedelta(days=100)
LIMIT = NOW - timedelta(days=90)
LATELY = NOW - timedelta(days=80)


def add_chain(database: peewee.Database, chain_id: str, *, tasks: int = 2, **more: Any) -> None:
    values = {
        "chain_name": "play",
        "status": "SUCCESS",
        "created_at": LONG_AGO,
        "finished_at": LONG_AGO + timedelta(minutes=1),
        **more,
    }
    with session(database):
        key = ChainExecution.insert({"chain_id": chain_id, **values}).execute(database)
        for number in range(tasks):
            add_task(database, f"{chain_id}-{number}", chain_execution=key)


def add_task(database: peewee.Database, task_id: str, **more: Any) -> None:
    values = {
        "task_name": "play.act",
        "status": "SUCCESS",
        "started_at": LONG_AGO,
        "finished_at": LONG_AGO,
        **more,
    }
    with session(database):
        TaskLog.insert({"task_id": task_id, **values}).execute(database)


def left(database: peewee.Database, column: Any) -> set[Any]:
    with session(database):
        return {value for (value,) in column.model.select(column).tuples().execute(database)}


def counted(steps: Iterator[Removed]) -> tuple[dict[str, int], datetime | None]:
    counts: Counter[str] = Counter()
    moments = []
    for step in steps:
        assert step.count > 0
        counts[step.kind] += step.count
        moments += [step.oldest] if step.oldest else []
    return dict(counts), min(moments, default=None)


@pytest.fixture
def pruned_twice(database: peewee.Database) -> Callable[..., dict[str, int]]:
    """Counts first, then deletes: both come to the same, and a dry run leaves everything where it is."""

    def prune_twice(function: Callable[..., Iterator[Removed]], **options: Any) -> dict[str, int]:
        before = {column: left(database, column) for column in (ChainExecution.chain_id, TaskLog.task_id)}
        dry = counted(function(database, LIMIT, dry_run=True, **options))
        assert {column: left(database, column) for column in before} == before
        wet = counted(function(database, LIMIT, **options))
        assert wet == dry
        assert counted(function(database, LIMIT, **options)) == ({}, None)
        return wet[0]

    return prune_twice


def test_old_chains_go_with_their_tasks(
    database: peewee.Database, pruned_twice: Callable[..., dict[str, int]]
) -> None:
    for status in ("SUCCESS", "FAILURE", "REVOKED"):
        add_chain(database, f"old-{status}", status=status)
    add_chain(database, "of the documents", finished_at=None)
    add_chain(database, "fresh", created_at=LATELY, finished_at=LATELY)
    add_chain(database, "took long", finished_at=LATELY)
    for status in ("PENDING", "STARTED"):
        add_chain(database, f"open-{status}", status=status, finished_at=None)
    assert pruned_twice(prune.old_chains) == {"chains": 4, "tasks": 8}
    kept = {"fresh", "took long", "open-PENDING", "open-STARTED"}
    assert left(database, ChainExecution.chain_id) == kept
    assert left(database, TaskLog.task_id) == {f"{name}-{number}" for name in kept for number in (0, 1)}


def test_a_chain_that_goes_on_stays(
    database: peewee.Database, pruned_twice: Callable[..., dict[str, int]]
) -> None:
    """On the board a resume has let it go on; the ledger has not heard of it yet."""
    add_chain(database, "resumed")
    add_chain(database, "ended")
    at_work = lambda chain_ids: {"resumed"} & set(chain_ids)  # noqa: E731
    assert pruned_twice(prune.old_chains, at_work=at_work) == {"chains": 1, "tasks": 2}
    assert left(database, ChainExecution.chain_id) == {"resumed"}


def test_chains_of_an_open_batch_stay(
    database: peewee.Database, pruned_twice: Callable[..., dict[str, int]]
) -> None:
    with session(database):
        for batch_id, status in (("open", "STARTED"), ("ended", "SUCCESS"), ("kept", "SUCCESS")):
            row = {"batch_id": batch_id, "status": status, "created_at": LONG_AGO, "finished_at": LONG_AGO}
            BatchExecution.insert(row).execute(database)
            BatchChunk.insert(batch_id=batch_id, number=0, items=[]).execute(database)
        BatchExecution.insert(
            batch_id="took long", status="SUCCESS", created_at=LONG_AGO, finished_at=LATELY
        ).execute(database)
    add_chain(database, "of the open batch", batch_id="open")
    add_chain(database, "of the ended batch", batch_id="ended")
    add_chain(database, "of the batch that took long", batch_id="took long")
    add_chain(database, "of the batch that is kept", batch_id="kept", finished_at=LATELY)
    assert counted(prune.old_batches(database, LIMIT, dry_run=True)) == ({}, None)
    assert pruned_twice(prune.old_chains) == {"chains": 1, "tasks": 2}
    assert pruned_twice(prune.old_batches) == {"batches": 1}
    assert left(database, BatchExecution.batch_id) == {"open", "kept", "took long"}
    assert left(database, BatchChunk.batch_id) == {"open", "kept"}


def test_more_than_a_transaction_holds(
    database: peewee.Database,
    pruned_twice: Callable[..., dict[str, int]],
    statements: Callable[[], list[str]],
) -> None:
    add_chain(database, "wide", tasks=0)
    with session(database):
        (key,) = left(database, ChainExecution.id)
        rows = [
            {"chain_name": "play", "chain_id": f"c{number}", "status": "SUCCESS", "created_at": LONG_AGO}
            for number in range(2 * prune.BATCH)
        ]
        tasks = [
            {"task_id": f"t{number}", "task_name": "x", "status": "SUCCESS", "chain_execution": key}
            for number in range(2 * prune.BATCH + 1)
        ]
        for start in range(0, len(rows), 100):
            ChainExecution.insert_many(rows[start : start + 100]).execute(database)
        for start in range(0, len(tasks), 100):
            TaskLog.insert_many(tasks[start : start + 100]).execute(database)
    assert pruned_twice(prune.old_chains) == {"chains": 2 * prune.BATCH + 1, "tasks": 2 * prune.BATCH + 1}
    assert left(database, ChainExecution.chain_id) == left(database, TaskLog.task_id) == set()
    deletes = [statement for statement in statements() if statement.startswith("DELETE")]
    assert len(deletes) >= 4
    assert not [statement for statement in statements() if statement.startswith("BEGIN")]


def test_lone_tasks(database: peewee.Database, pruned_twice: Callable[..., dict[str, int]]) -> None:
    add_task(database, "old")
    add_task(database, "fresh", finished_at=LATELY)
    add_task(database, "at work", status="RUNNING", finished_at=None)
    add_task(database, "never ended", status="FAILURE", finished_at=None)
    add_chain(database, "open", status="STARTED", tasks=1)
    assert pruned_twice(prune.lone_tasks) == {"tasks": 2}
    assert left(database, TaskLog.task_id) == {"fresh", "at work", "open-0"}


def test_idempotency_keys(database: peewee.Database, pruned_twice: Callable[..., dict[str, int]]) -> None:
    for number in range(3):
        add_chain(database, f"old-{number}", tasks=0, idempotency_key=f"old-{number}")
    add_chain(database, "empty", tasks=0, idempotency_key="")
    add_chain(database, "without", tasks=0)
    add_chain(database, "open", tasks=0, status="STARTED", idempotency_key="open")
    add_chain(database, "fresh", tasks=0, created_at=LATELY, idempotency_key="fresh")
    assert pruned_twice(prune.old_keys) == {"idempotency keys": 4}
    assert left(database, ChainExecution.idempotency_key) == {None, "open", "fresh"}
    assert len(left(database, ChainExecution.chain_id)) == 7


def test_what_the_ledger_knows(database: peewee.Database) -> None:
    add_chain(database, "ended", tasks=0)
    add_chain(database, "open", tasks=0, status="PENDING")
    assert prune.states_of(database, ["ended", "open", "unknown"]) == {"ended": True, "open": False}
    assert prune.states_of(database, []) == {}
