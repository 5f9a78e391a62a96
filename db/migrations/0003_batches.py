"""What a batch needs to be driven to its end: its plan, and what its chunks hold."""

from __future__ import annotations

from typing import Any

from peewee import AutoField, CharField, Database, Field, IntegerField, Model, PostgresqlDatabase, TextField


def up(migrator: Any, db: Database) -> None:
    # Lower case, as Peewee makes JSONB of "JSON" on PostgreSQL.
    json_type, number_type = ("json", "BIGINT") if isinstance(db, PostgresqlDatabase) else ("TEXT", "INTEGER")

    class Json(Field):
        field_type = json_type

    class Chunk(Model):
        id = AutoField()
        batch_id = CharField(255)
        number = IntegerField()
        items = Json()
        error = TextField(null=True)

        class Meta:
            database = db
            table_name = "batch_chunks"

    Chunk.add_index(Chunk.index(Chunk.batch_id, Chunk.number, unique=True, name="ix_batch_chunks_place"))
    db.create_tables([Chunk])
    db.execute_sql(f"ALTER TABLE batch_executions ADD COLUMN plan {json_type}")
    db.execute_sql(f"ALTER TABLE batch_executions ADD COLUMN seq {number_type}")
