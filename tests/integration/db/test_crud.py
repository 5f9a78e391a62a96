"""The calls of document 2, run as it shows them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import peewee
import pytest

from callboard.errors import ChainStateError
from db.connection import session
from db.crud import chain_execution_crud, task_log_crud
from db.models import ChainExecution, ProcessStatus, TaskLog
from db.values import utc_now


def new_chain(db: peewee.Database, total_tasks: int = 4) -> ChainExecution:
    return chain_execution_crud.create_chain_execution(
        db=db,
        chain_id="c1",
        chain_name="cr_extract_workflow",
        total_tasks=total_tasks,
        initiated_by="api_server",
        input_data={"file_path": "스캔.png", "options": {"b": 1, "a": None}},
    )


def just_now(moment: datetime | None) -> bool:
    return moment is not None and timedelta(0) <= utc_now() - moment < timedelta(seconds=30)


def test_a_chain_by_the_documented_signals(database: peewee.Database) -> None:
    db = database
    chain = new_chain(db)
    assert (chain.status, chain.total_tasks, chain.initiated_by) == ("PENDING", 4, "api_server")
    assert list(chain.input_data["options"]) == ["b", "a"]
    assert just_now(chain.created_at)

    for number in range(1, 5):
        # task_prerun
        chain_exec = chain_execution_crud.get_by_chain_id(db, chain_id="c1")
        assert chain_exec is not None
        task_log_crud.create_task_log(
            db=db,
            task_id=f"t{number}",
            task_name="pipeline.ocr_stage",
            status=ProcessStatus.STARTED.value,
            chain_execution_id=chain_exec.id,
        )
        if chain_exec.status == ProcessStatus.PENDING.value:
            chain_exec.start_execution()
            assert chain_exec.status == "STARTED"
            assert just_now(chain_exec.started_at)
        # task_postrun
        task_log = task_log_crud.get_by_task_id(db, task_id=f"t{number}")
        assert task_log is not None
        task_log_crud.update_status(db=db, task_log=task_log, status=ProcessStatus.SUCCESS.value)
        assert task_log.status == "SUCCESS"
        assert just_now(task_log.finished_at)
        chain_execution_crud.increment_completed_tasks(db=db, chain_execution=task_log.chain_execution)
        assert task_log.chain_execution.completed_tasks == number
        assert task_log.chain_execution.status == ("SUCCESS" if number == 4 else "STARTED")

    done = chain_execution_crud.get_by_chain_id(db, chain_id="c1")
    assert done is not None
    assert just_now(done.finished_at)
    assert [log.task_id for log in done.task_logs] == ["t1", "t2", "t3", "t4"]


def test_a_failure_by_the_documented_signals(database: peewee.Database) -> None:
    db = database
    chain = new_chain(db)
    task_log_crud.create_task_log(
        db=db, task_id="t1", task_name="pipeline.ocr_stage", chain_execution_id=chain.id
    )
    task_log = task_log_crud.get_by_task_id(db, task_id="t1")
    assert task_log is not None
    task_log_crud.update_status(db=db, task_log=task_log, status="FAILURE", error="가" * 600)
    assert task_log.error == "가" * 500
    chain_execution_crud.increment_failed_tasks(db=db, chain_execution=task_log.chain_execution)
    task_log.chain_execution.complete_execution(success=False, error_message="Task failed: 가")
    chain.refresh()
    assert (chain.failed_tasks, chain.status, chain.error_message) == (1, "FAILURE", "Task failed: 가")
    assert just_now(chain.finished_at)


def test_times_follow_the_status(database: peewee.Database) -> None:
    chain = new_chain(database)
    update = chain_execution_crud.update_status
    assert update(database, chain_execution=chain, status=ProcessStatus.RUNNING).started_at is None
    assert just_now(update(database, chain_execution=chain, status=ProcessStatus.STARTED).started_at)
    assert chain.finished_at is None
    assert just_now(update(database, chain_execution=chain, status="REVOKED").finished_at)

    task = task_log_crud.create_task_log(database, task_id="t1", task_name="a")
    assert (task.status, task.started_at, task.chain_execution) == ("PENDING", None, None)
    first = task_log_crud.update_status(database, task_log=task, status="STARTED").started_at
    assert task_log_crud.update_status(database, task_log=task, status="STARTED").started_at == first
    task_log_crud.update_status(database, task_log=task, status="RETRY", error="x\x00y\ud800")
    assert (task.error, task.finished_at) == ("x\ufffdy\ufffd", None)
    assert task_log_crud.update_status(database, task_log=task, status="REVOKED").error == "x\ufffdy\ufffd"
    assert just_now(task.finished_at)


def test_final_result_and_what_json_cannot_hold(database: peewee.Database) -> None:
    chain = new_chain(database)
    chain.complete_execution(final_result={"mean": float("nan"), "text": "a\x00b", "한글": [1, "\udcff"]})
    assert chain.final_result == {"mean": None, "text": "a\ufffdb", "한글": [1, "\ufffd"]}
    for value in ("text", "12", 12, [], False, "null"):
        chain.complete_execution(final_result=value)
        assert chain.final_result == value


def test_an_id_that_exists_is_refused(database: peewee.Database) -> None:
    new_chain(database)
    with pytest.raises(ChainStateError, match="'c1'"):
        new_chain(database)
    with pytest.raises(ValueError, match="NO_SUCH"):
        task_log_crud.create_task_log(database, task_id="t1", task_name="a", status="NO_SUCH")


def test_increments_of_many_threads_all_count(database: peewee.Database) -> None:
    threads, times = 8, 25
    new_chain(database, total_tasks=threads * times)

    def count(_: int) -> None:
        chain = chain_execution_crud.get_by_chain_id(database, chain_id="c1")
        assert chain is not None
        for _ in range(times):
            chain_execution_crud.increment_completed_tasks(database, chain_execution=chain)
            chain_execution_crud.increment_failed_tasks(database, chain_execution=chain)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, range(threads)))
    chain = chain_execution_crud.get_by_chain_id(database, chain_id="c1")
    assert chain is not None
    assert (chain.completed_tasks, chain.failed_tasks) == (threads * times, threads * times)
    assert chain.status == "SUCCESS"
    assert just_now(chain.finished_at)


def test_each_increment_is_one_update(database: peewee.Database) -> None:
    chain = new_chain(database)
    seen: list[str] = []
    database.query_hooks.append(lambda query: seen.append(query.sql.split()[0]))
    chain.increment_completed_tasks()
    database.query_hooks.clear()
    assert seen == ["UPDATE", "SELECT"]


def test_a_deleted_row_says_so(database: peewee.Database) -> None:
    chain = new_chain(database)
    with session(database):
        ChainExecution.delete().execute(database)
    with pytest.raises(peewee.DoesNotExist):
        chain.start_execution()
    with pytest.raises(ValueError, match="not read from a database"):
        TaskLog(task_id="t1").refresh()
