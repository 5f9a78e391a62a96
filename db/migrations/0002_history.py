"""Indexes for the pages of the history: each filter with the order "newest first"."""

from __future__ import annotations

from typing import Any

from peewee import AutoField, CharField, Database, DateTimeField, Model, TextField


def up(migrator: Any, db: Database) -> None:
    class Chain(Model):
        id = AutoField()
        chain_name = CharField(255)
        status = CharField(20)
        created_at = DateTimeField()
        batch_id = CharField(255, null=True)
        error_message = TextField(null=True)

        class Meta:
            database = db
            table_name = "chain_executions"

    def index(name: str, *fields: Any, where: Any = None) -> None:
        db.execute(Chain.index(*fields, Chain.created_at, Chain.id, name=name, where=where))

    index("ix_chain_executions_page")
    index("ix_chain_executions_status_page", Chain.status)
    index("ix_chain_executions_name_page", Chain.chain_name)
    index("ix_chain_executions_batch_page", Chain.batch_id)
    index("ix_chain_executions_error_page", where=Chain.error_message.is_null(False))
