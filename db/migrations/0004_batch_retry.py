"""What a batch needs when Redis has forgotten that it was called off, retried, or cut into other chunks."""

from __future__ import annotations

from typing import Any

from peewee import Database, PostgresqlDatabase


def up(migrator: Any, db: Database) -> None:
    postgres = isinstance(db, PostgresqlDatabase)
    json_type, moment_type = ("JSON", "TIMESTAMP") if postgres else ("TEXT", "DATETIME")
    for column, kind in (
        ("retried_at", moment_type),
        ("revoked_at", moment_type),
        ("segments", json_type),
    ):
        db.execute_sql(f"ALTER TABLE batch_executions ADD COLUMN {column} {kind}")
