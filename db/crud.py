"""The documented CRUD calls on chains and tasks. ``db`` is a Peewee database; each change is one statement.

    chain = chain_execution_crud.create_chain_execution(db, chain_id="…", chain_name="cr_extract_workflow")
    chain_execution_crud.update_status(db, chain_execution=chain, status=ProcessStatus.STARTED)

Every call may raise :class:`~callboard.errors.LedgerUnavailable`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import peewee

from callboard.errors import ChainStateError

from .connection import session
from .models import ERROR_LIMIT, ChainExecution, LedgerModel, ProcessStatus, TaskLog, read_rows
from .values import clean_text, utc_now

LedgerRow = TypeVar("LedgerRow", bound=LedgerModel)


class CRUDChainExecution:
    """Calls on chains."""

    def get_by_chain_id(self, db: peewee.Database, *, chain_id: str) -> ChainExecution | None:
        """The chain of that id, or None."""
        rows = read_rows(db, ChainExecution.select().where(ChainExecution.chain_id == chain_id))
        return rows[0] if rows else None

    def create_chain_execution(
        self,
        db: peewee.Database,
        *,
        chain_id: str,
        chain_name: str,
        total_tasks: int = 4,
        initiated_by: str | None = None,
        input_data: Any = None,
    ) -> ChainExecution:
        """A new chain, PENDING.

        Raises:
            ChainStateError: a chain of that id exists.
        """
        values = {
            "chain_id": chain_id,
            "chain_name": chain_name,
            "total_tasks": total_tasks,
            "initiated_by": initiated_by,
            "input_data": input_data,
        }
        with session(db):
            try:
                ChainExecution.insert(values).execute(db)
            except peewee.IntegrityError as error:
                found = self.get_by_chain_id(db, chain_id=chain_id)
                if found is None:
                    raise
                text = f"chain {chain_id!r} is in the ledger already"
                raise ChainStateError(chain_id, found.status, text) from error
            (row,) = read_rows(db, ChainExecution.select().where(ChainExecution.chain_id == chain_id))
        return row

    def increment_completed_tasks(
        self, db: peewee.Database, *, chain_execution: ChainExecution
    ) -> ChainExecution:
        """Count one more completed task; the one that reaches ``total_tasks`` completes the chain."""
        _on(db, chain_execution).increment_completed_tasks()
        return chain_execution

    def increment_failed_tasks(
        self, db: peewee.Database, *, chain_execution: ChainExecution
    ) -> ChainExecution:
        """Count one more failed task."""
        _on(db, chain_execution).increment_failed_tasks()
        return chain_execution

    def update_status(
        self, db: peewee.Database, *, chain_execution: ChainExecution, status: ProcessStatus | str
    ) -> ChainExecution:
        """Set the status; STARTED sets ``started_at``, an end (REVOKED too) ``finished_at``.

        Raises:
            ValueError: no such status.
        """
        status = ProcessStatus(status)
        values: dict[str, Any] = {"status": status.value}
        if status is ProcessStatus.STARTED:
            values["started_at"] = utc_now()
        elif status.ended:
            values["finished_at"] = utc_now()
        _on(db, chain_execution).write(**values)
        return chain_execution


class CRUDTaskLog:
    """Calls on tasks."""

    def get_by_task_id(self, db: peewee.Database, *, task_id: str) -> TaskLog | None:
        """The task of that id, or None."""
        rows = read_rows(db, TaskLog.select().where(TaskLog.task_id == task_id))
        return rows[0] if rows else None

    def create_task_log(
        self,
        db: peewee.Database,
        *,
        task_id: str,
        task_name: str,
        status: str = "PENDING",
        chain_execution_id: int | None = None,
    ) -> TaskLog:
        """A new task. As documented, it has no ``started_at`` even when created as STARTED.

        Raises:
            ValueError: no such status.
            peewee.IntegrityError: a task of that id exists, or no such chain.
        """
        values = {
            "task_id": task_id,
            "task_name": task_name,
            "status": ProcessStatus(status).value,
            "chain_execution": chain_execution_id,
        }
        with session(db):
            TaskLog.insert(values).execute(db)
            (row,) = read_rows(db, TaskLog.select().where(TaskLog.task_id == task_id))
        return row

    def update_status(
        self, db: peewee.Database, *, task_log: TaskLog, status: str, error: str | None = None
    ) -> TaskLog:
        """Set the status; the first STARTED sets ``started_at``, an end ``finished_at``.

        Args:
            error: cut to 500 characters; None leaves the one that is there.

        Raises:
            ValueError: no such status.
        """
        status = ProcessStatus(status)
        values: dict[str, Any] = {"status": status.value}
        if error is not None:
            values["error"] = clean_text(error, ERROR_LIMIT)
        if status is ProcessStatus.STARTED:
            values["started_at"] = peewee.fn.COALESCE(TaskLog.started_at, utc_now())
        if status.ended:
            values["finished_at"] = utc_now()
        _on(db, task_log).write(**values)
        return task_log


def _on(db: peewee.Database, row: LedgerRow) -> LedgerRow:
    row.origin = db
    return row


chain_execution_crud = CRUDChainExecution()
task_log_crud = CRUDTaskLog()
