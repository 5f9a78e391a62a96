"""The ledger's tables. The models are bound to no database: each query is executed on the one it is given.

A row remembers the database that it was read from (``origin``), for its helper methods and relations.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, TypeVar

import peewee
from peewee import (
    AutoField,
    BigIntegerField,
    Case,
    CharField,
    DateTimeField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from .connection import session
from .values import encode_json, utc_now

ERROR_LIMIT = 500
LedgerRow = TypeVar("LedgerRow", bound="LedgerModel")


class ProcessStatus(str, Enum):
    """Status of a chain, a task or a batch."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    RETRY = "RETRY"
    REVOKED = "REVOKED"

    @property
    def ended(self) -> bool:
        """Whether nothing follows by itself."""
        return self in (ProcessStatus.SUCCESS, ProcessStatus.FAILURE, ProcessStatus.REVOKED)


class JsonField(peewee.Field):
    """Any JSON value: a JSON column on PostgreSQL, text on SQLite.

    JSON, not JSONB as Peewee's own field has it, and so the order of keys survives: a stage that is given
    a stored result gets it as it was returned.
    """

    field_type = "JSON"

    def ddl_datatype(self, ctx: peewee.Context) -> peewee.SQL:
        return peewee.SQL("JSON" if ctx.state.field_types["JSON"] == "JSONB" else "TEXT")

    def db_value(self, value: Any) -> str | None:
        return None if value is None else encode_json(value)

    def python_value(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


class LedgerModel(peewee.Model):
    """Base of the tables. ``origin``: the database that the row was read from, None for a new object."""

    origin: peewee.Database | None = None

    @property
    def home(self) -> peewee.Database:
        """``origin``.

        Raises:
            ValueError: the object was not read from a database.
        """
        if self.origin is None:
            raise ValueError(f"this {type(self).__name__} was not read from a database")
        return self.origin

    def refresh(self) -> None:
        """Read the row again.

        Raises:
            peewee.DoesNotExist: it has been deleted.
        """
        model = type(self)
        rows = read_rows(self.home, model.select().where(self._is_own_row()))
        if not rows:
            raise peewee.DoesNotExist(f"{model._meta.table_name}: the row has been deleted")
        self.__data__.update(rows[0].__data__)
        self.__rel__.clear()
        self._dirty.clear()  # type: ignore[attr-defined]

    def write(self, **values: Any) -> None:
        """One UPDATE of this row, then read it again."""
        with session(self.home) as database:
            type(self).update(**values).where(self._is_own_row()).execute(database)
            self.refresh()

    def _is_own_row(self) -> Any:
        return self._meta.primary_key == self.get_id()  # type: ignore[no-untyped-call]


def read_rows(database: peewee.Database, query: peewee.ModelSelect[LedgerRow]) -> list[LedgerRow]:
    """The rows of ``query`` on ``database``."""
    with session(database):
        rows: list[LedgerRow] = list(query.execute(database))
    for row in rows:
        row.origin = database
    return rows


class ChainExecution(LedgerModel):
    """One run of a workflow. ``seq``: sequence number of the last event applied to the row.

    ``stages``: the plan, a list with one object per stage:
    ``{"stage_name": str, "tasks": [{"task_id": str, "task_name": str, "queue_name": str}, …]}``.
    """

    id = AutoField()
    chain_id = CharField(255, null=True)
    chain_name = CharField(255)
    status = CharField(20, default=ProcessStatus.PENDING.value)
    total_tasks = IntegerField(default=0)
    completed_tasks = IntegerField(default=0)
    failed_tasks = IntegerField(default=0)
    revoked_tasks = IntegerField(default=0)
    created_at = DateTimeField(default=utc_now)
    started_at = DateTimeField(null=True)
    finished_at = DateTimeField(null=True)
    initiated_by = CharField(100, null=True)
    input_data = JsonField(null=True)
    final_result = JsonField(null=True)
    error_message = TextField(null=True)
    batch_id = CharField(255, null=True)
    idempotency_key = CharField(255, null=True)
    stages = JsonField(null=True)
    channel = TextField(null=True)
    seq = BigIntegerField(default=0)

    class Meta:
        table_name = "chain_executions"

    @property
    def task_logs(self) -> list[TaskLog]:
        """The chain's tasks in the order in which they started (one query each time)."""
        own = TaskLog.chain_execution == self.id
        return read_rows(self.home, TaskLog.select().where(own).order_by(TaskLog.started_at, TaskLog.id))

    def increment_completed_tasks(self) -> None:
        """Count one more completed task; the one that reaches ``total_tasks`` completes the chain."""
        counted = ChainExecution.completed_tasks + 1
        complete = counted >= ChainExecution.total_tasks
        self.write(
            completed_tasks=counted,
            status=Case(None, [(complete, ProcessStatus.SUCCESS.value)], ChainExecution.status),
            finished_at=Case(None, [(complete, utc_now())], ChainExecution.finished_at),
        )

    def increment_failed_tasks(self) -> None:
        """Count one more failed task."""
        self.write(failed_tasks=ChainExecution.failed_tasks + 1)

    def start_execution(self) -> None:
        """The chain runs, since now."""
        self.write(status=ProcessStatus.STARTED.value, started_at=utc_now())

    def complete_execution(
        self, success: bool = True, final_result: Any = None, error_message: str | None = None
    ) -> None:
        """The chain has ended, now: SUCCESS or FAILURE."""
        status = ProcessStatus.SUCCESS if success else ProcessStatus.FAILURE
        values: dict[str, Any] = {"status": status.value, "finished_at": utc_now()}
        if final_result is not None:
            values["final_result"] = final_result
        if error_message:
            values["error_message"] = error_message
        self.write(**values)


class _OwnChain(peewee.ForeignKeyAccessor):
    """Follows ``task_log.chain_execution`` on the database of the task's row."""

    def get_rel_instance(self, instance: TaskLog) -> ChainExecution | None:
        key = instance.__data__.get(self.name)
        if key is None:
            return None
        if self.name not in instance.__rel__:
            rows = read_rows(instance.home, ChainExecution.select().where(ChainExecution.id == key))
            instance.__rel__[self.name] = rows[0] if rows else None
        return instance.__rel__[self.name]  # type: ignore[no-any-return]


class _ChainKey(ForeignKeyField):
    accessor_class = _OwnChain


class TaskLog(LedgerModel):
    """One task: the life of one message. ``member``: 0 for the only task of its stage, else from 1.

    ``stage`` counts from 1 and is null outside of a chain; ``error`` holds at most 500 characters.
    ``progress``: percent at the last event that told it, else null.
    """

    id = AutoField()
    task_id = CharField(255)
    task_name = CharField(255)
    status = CharField(50)
    error = CharField(512, null=True)
    started_at = DateTimeField(null=True)
    finished_at = DateTimeField(null=True)
    retries = IntegerField(default=0, null=True)
    chain_execution: Any = _ChainKey(
        ChainExecution,
        null=True,
        index=False,
        column_name="chain_execution_id",
        on_delete="SET NULL",
        backref="+",
    )
    stage = IntegerField(null=True)
    member = IntegerField(null=True)
    attempt = IntegerField(default=0)
    progress = IntegerField(null=True)
    result = JsonField(null=True)
    worker = TextField(null=True)
    traceback = TextField(null=True)
    metadata = JsonField(null=True)
    seq = BigIntegerField(default=0)

    chain_execution_id: int | None

    class Meta:
        table_name = "task_logs"


class BatchExecution(LedgerModel):
    """A batch: many images in chunks. ``seq``: number of the newest reading of its board that was written.

    ``plan``: ``{"workflow": str, "window": int, "priority": str, "success_threshold": float, "by": str,
    "auto": bool}``. ``segments``: of an automatic chunk size, see :class:`~db.batches.facts.BatchFacts`.
    ``retried_at``: until when what had failed was asked to be retried, last time. ``revoked_at``: when it was
    called off; it stays though a chain of it is resumed.
    """

    id = AutoField()
    batch_id = CharField(255)
    batch_name = CharField(255, null=True)
    status = CharField(20, default=ProcessStatus.PENDING.value)
    total_images = IntegerField(default=0)
    completed_images = IntegerField(default=0)
    failed_images = IntegerField(default=0)
    revoked_images = IntegerField(default=0)
    total_chunks = IntegerField(default=0)
    completed_chunks = IntegerField(default=0)
    failed_chunks = IntegerField(default=0)
    chunk_size = IntegerField(default=10)
    created_at = DateTimeField(default=utc_now)
    started_at = DateTimeField(null=True)
    finished_at = DateTimeField(null=True)
    options = JsonField(null=True)
    plan = JsonField(null=True)
    seq = BigIntegerField(null=True)
    retried_at = DateTimeField(null=True)
    revoked_at = DateTimeField(null=True)
    segments = JsonField(null=True)

    class Meta:
        table_name = "batch_executions"


class BatchChunk(LedgerModel):
    """What a chunk holds, or of an automatic chunk size each five images of it.

    ``items``: a list with ``[file path, public path or null]`` for each image.

    ``error``: why the chunk has failed for good, so that those of its images without a chain have, too.
    """

    id = AutoField()
    batch_id = CharField(255)
    number = IntegerField()
    items = JsonField()
    error = TextField(null=True)

    class Meta:
        table_name = "batch_chunks"


def _index(
    model: type[LedgerModel], name: str, *fields: Any, unique: bool = False, where: Any = None
) -> None:
    model.add_index(model.index(*fields, unique=unique, name=name, where=where))


# A column of the documents that leads a longer index has none of its own: each costs every write.
_index(ChainExecution, "ix_chain_executions_chain_id", ChainExecution.chain_id, unique=True)
_index(ChainExecution, "ix_chain_executions_idempotency_key", ChainExecution.idempotency_key, unique=True)
_index(ChainExecution, "idx_chain_status_started", ChainExecution.status, ChainExecution.started_at)
_index(ChainExecution, "idx_chain_name_status", ChainExecution.chain_name, ChainExecution.status)
# Pages of the history, newest first (db/history.py).
_PAGE = (ChainExecution.created_at, ChainExecution.id)
_index(ChainExecution, "ix_chain_executions_page", *_PAGE)
_index(ChainExecution, "ix_chain_executions_status_page", ChainExecution.status, *_PAGE)
_index(ChainExecution, "ix_chain_executions_name_page", ChainExecution.chain_name, *_PAGE)
_index(ChainExecution, "ix_chain_executions_batch_page", ChainExecution.batch_id, *_PAGE)
_index(
    ChainExecution,
    "ix_chain_executions_error_page",
    *_PAGE,
    where=ChainExecution.error_message.is_null(False),
)
_index(TaskLog, "ix_task_logs_task_id", TaskLog.task_id, unique=True)
_index(TaskLog, "ix_task_logs_status", TaskLog.status)
_index(TaskLog, "idx_task_logs_name_status", TaskLog.task_name, TaskLog.status)
_index(TaskLog, "idx_task_logs_started_at_desc", TaskLog.started_at.desc())
_index(TaskLog, "idx_task_logs_chain_execution", TaskLog.chain_execution, TaskLog.status)
_index(BatchExecution, "ix_batch_executions_batch_id", BatchExecution.batch_id, unique=True)
_index(BatchExecution, "ix_batch_executions_status", BatchExecution.status)
_index(BatchExecution, "ix_batch_executions_created_at", BatchExecution.created_at)
_index(BatchChunk, "ix_batch_chunks_place", BatchChunk.batch_id, BatchChunk.number, unique=True)

MODELS = (ChainExecution, TaskLog, BatchExecution, BatchChunk)
