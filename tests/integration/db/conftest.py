"""A migrated ledger on SQLite and on PostgreSQL in turn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import peewee
import pytest

from db.connection import close_idle, open_database
from db.ledger import Ledger
from db.migrate import migrate


@pytest.fixture
def database(database_url: str) -> Iterator[peewee.Database]:
    database = open_database(database_url)
    migrate(database)
    yield database
    close_idle(database)


@pytest.fixture
def ledger(database: peewee.Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def statements(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The SQL statements since the test began."""
    caplog.set_level(logging.DEBUG, logger="peewee")
    return lambda: [
        record.msg[0]
        for record in caplog.records
        if record.name == "peewee" and isinstance(record.msg, tuple)
    ]
