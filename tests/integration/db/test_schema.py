from __future__ import annotations

import subprocess
import sys
from threading import Barrier, Thread
from typing import Any

import peewee
import pytest
from playhouse.schema_diff import diff_models

from callboard.errors import LedgerUnavailable
from db.connection import close_idle, open_database, session
from db.crud import chain_execution_crud
from db.migrate import migrate, pending
from db.models import MODELS, ChainExecution, TaskLog

DOCUMENTED = {
    "chain_executions": {
        "columns": "id chain_id chain_name status total_tasks completed_tasks failed_tasks started_at "
        "finished_at initiated_by input_data final_result error_message batch_id",
        "indexes": "idx_chain_status_started idx_chain_name_status",
    },
    "task_logs": {
        "columns": "id task_id task_name status error started_at finished_at retries chain_execution_id",
        "indexes": "idx_task_logs_name_status idx_task_logs_started_at_desc idx_task_logs_chain_execution",
    },
    "batch_executions": {
        "columns": "batch_id batch_name total_images completed_images failed_images total_chunks "
        "completed_chunks chunk_size",
        "indexes": "",
    },
    "batch_chunks": {"columns": "batch_id number items error", "indexes": "ix_batch_chunks_place"},
}


def introspect(database: peewee.Database) -> dict[str, Any]:
    with session(database):
        return {
            table: {
                "columns": database.get_columns(table),
                "indexes": sorted(
                    (index.name, index.columns, index.unique, (index.sql or "").replace("IF NOT EXISTS ", ""))
                    for index in database.get_indexes(table)
                ),
                "keys": [
                    (key.column, key.dest_table, key.dest_column, key.on_delete)
                    for key in database.get_foreign_keys(table)
                ],
            }
            for table in DOCUMENTED
        }


def test_migrations_make_the_schema_of_the_models(database: peewee.Database) -> None:
    migrated = introspect(database)
    with session(database):
        assert not diff_models(database, MODELS)
        for model in reversed(MODELS):
            peewee.SchemaManager(model, database).drop_all()
        for model in MODELS:
            peewee.SchemaManager(model, database).create_all()
    assert introspect(database) == migrated


def test_documented_names_are_there(database: peewee.Database) -> None:
    found = introspect(database)
    for table, documented in DOCUMENTED.items():
        assert set(documented["columns"].split()) <= {column.name for column in found[table]["columns"]}
        assert set(documented["indexes"].split()) <= {index[0] for index in found[table]["indexes"]}
    assert found["task_logs"]["keys"] == [("chain_execution_id", "chain_executions", "id", "SET NULL")]
    types = {column.name: column.full_type.lower() for column in found["task_logs"]["columns"]}
    assert types["error"] in ("character varying(512)", "varchar(512)")
    assert types["result"] == ("json" if isinstance(database, peewee.PostgresqlDatabase) else "text")


def test_migrating_again_does_nothing(database_url: str) -> None:
    database = open_database(database_url)
    first = pending(database)
    assert first
    assert migrate(database) == first
    assert migrate(database) == []
    assert pending(database) == []
    close_idle(database)


def test_before_migration_the_error_says_what_to_do(database_url: str) -> None:
    database = open_database(database_url)
    with pytest.raises(LedgerUnavailable, match="callboard migrate"):
        chain_execution_crud.get_by_chain_id(database, chain_id="c1")
    close_idle(database)


def test_threads_that_migrate_at_once(database_url: str) -> None:
    applied: list[list[str]] = []
    barrier = Barrier(4)

    def run() -> None:
        database = open_database(database_url)
        barrier.wait()
        applied.append(migrate(database))
        close_idle(database)

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(len, applied)) == [0, 0, 0, len(max(applied, key=len))]
    assert len(max(applied, key=len)) > 0


def test_processes_that_migrate_at_once(database_url: str) -> None:
    code = (
        "import sys; from db.connection import open_database; from db.migrate import migrate; "
        "print(len(migrate(open_database(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, database_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = sorted(int(process.communicate(timeout=60)[0]) for process in processes)
    assert counts[:2] == [0, 0]
    assert counts[2] > 0


def test_deleting_a_chain_keeps_its_tasks(database: peewee.Database) -> None:
    with session(database):
        key = ChainExecution.insert(chain_id="c1", chain_name="w").execute(database)
        TaskLog.insert(task_id="t1", task_name="a", status="PENDING", chain_execution=key).execute(database)
        ChainExecution.delete().execute(database)
        rows = list(TaskLog.select(TaskLog.task_id, TaskLog.chain_execution).tuples().execute(database))
    assert rows == [("t1", None)]
