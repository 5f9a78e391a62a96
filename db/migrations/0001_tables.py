"""The tables of the ledger: chains, their tasks, batches."""

from __future__ import annotations

from typing import Any

from peewee import (
    AutoField,
    BigIntegerField,
    CharField,
    Database,
    DateTimeField,
    Field,
    ForeignKeyField,
    IntegerField,
    Model,
    PostgresqlDatabase,
    TextField,
)


def up(migrator: Any, db: Database) -> None:
    class Json(Field):
        # Lower case, as Peewee makes JSONB of "JSON" on PostgreSQL.
        field_type = "json" if isinstance(db, PostgresqlDatabase) else "TEXT"

    class Chain(Model):
        id = AutoField()
        chain_id = CharField(255, null=True)
        chain_name = CharField(255)
        status = CharField(20)
        total_tasks = IntegerField()
        completed_tasks = IntegerField()
        failed_tasks = IntegerField()
        revoked_tasks = IntegerField()
        created_at = DateTimeField()
        started_at = DateTimeField(null=True)
        finished_at = DateTimeField(null=True)
        initiated_by = CharField(100, null=True)
        input_data = Json(null=True)
        final_result = Json(null=True)
        error_message = TextField(null=True)
        batch_id = CharField(255, null=True)
        idempotency_key = CharField(255, null=True)
        stages = Json(null=True)
        channel = TextField(null=True)
        seq = BigIntegerField()

        class Meta:
            database = db
            table_name = "chain_executions"

    class Task(Model):
        id = AutoField()
        task_id = CharField(255)
        task_name = CharField(255)
        status = CharField(50)
        error = CharField(512, null=True)
        started_at = DateTimeField(null=True)
        finished_at = DateTimeField(null=True)
        retries = IntegerField(null=True)
        chain_execution = ForeignKeyField(Chain, null=True, index=False, on_delete="SET NULL")
        stage = IntegerField(null=True)
        member = IntegerField(null=True)
        attempt = IntegerField()
        progress = IntegerField(null=True)
        result = Json(null=True)
        worker = TextField(null=True)
        traceback = TextField(null=True)
        metadata = Json(null=True)
        seq = BigIntegerField()

        class Meta:
            database = db
            table_name = "task_logs"

    class Batch(Model):
        id = AutoField()
        batch_id = CharField(255)
        batch_name = CharField(255, null=True)
        status = CharField(20)
        total_images = IntegerField()
        completed_images = IntegerField()
        failed_images = IntegerField()
        revoked_images = IntegerField()
        total_chunks = IntegerField()
        completed_chunks = IntegerField()
        failed_chunks = IntegerField()
        chunk_size = IntegerField()
        created_at = DateTimeField()
        started_at = DateTimeField(null=True)
        finished_at = DateTimeField(null=True)
        options = Json(null=True)

        class Meta:
            database = db
            table_name = "batch_executions"

    def index(name: str, *fields: Any, of: type[Model], unique: bool = False) -> None:
        of.add_index(of.index(*fields, unique=unique, name=name))

    index("ix_chain_executions_chain_id", Chain.chain_id, of=Chain, unique=True)
    index("ix_chain_executions_idempotency_key", Chain.idempotency_key, of=Chain, unique=True)
    index("idx_chain_status_started", Chain.status, Chain.started_at, of=Chain)
    index("idx_chain_name_status", Chain.chain_name, Chain.status, of=Chain)
    index("ix_task_logs_task_id", Task.task_id, of=Task, unique=True)
    index("ix_task_logs_status", Task.status, of=Task)
    index("idx_task_logs_name_status", Task.task_name, Task.status, of=Task)
    index("idx_task_logs_started_at_desc", Task.started_at.desc(), of=Task)
    index("idx_task_logs_chain_execution", Task.chain_execution, Task.status, of=Task)
    index("ix_batch_executions_batch_id", Batch.batch_id, of=Batch, unique=True)
    index("ix_batch_executions_status", Batch.status, of=Batch)
    index("ix_batch_executions_created_at", Batch.created_at, of=Batch)
    db.create_tables([Chain, Task, Batch])
    if isinstance(db, PostgresqlDatabase):
        # Room in each page for the next state of its rows, which then touches no index.
        for table in ("chain_executions", "task_logs"):
            db.execute_sql(f"ALTER TABLE {table} SET (fillfactor = 70)")
