from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

import peewee
import pytest
from ledger_stories import chain_fields, event, story
from servers import PostgresServer

from callboard.errors import LedgerUnavailable, SettingsError
from db import bounded
from db.connection import close_idle, execute, open_database, session
from db.ledger import Ledger
from db.migrate import migrate


def one(database: peewee.Database) -> int:
    with session(database):
        return int(execute(database, "SELECT 1").fetchone()[0])


def test_opening_does_nothing_yet(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/a b%20/c#d/ledger.sqlite3")
    open_database("postgresql://nobody@127.0.0.1:1/nowhere")
    assert list(tmp_path.iterdir()) == []
    assert one(database) == 1
    assert (tmp_path / "a b%20/c#d/ledger.sqlite3").exists()
    with session(database):
        assert isinstance(database, peewee.SqliteDatabase)
        assert (database.pragma("journal_mode"), database.pragma("foreign_keys")) == ("wal", 1)
    close_idle(database)


def test_urls_that_cannot_be_used() -> None:
    for url in ("sqlite:///:memory:", "sqlite:///", "postgresql://u:secret@h/d?no_such_option=1"):
        with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
            open_database(url)
        assert "secret" not in str(caught.value)


def test_no_server_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url in ("postgresql://nobody@127.0.0.1:1/nowhere", f"sqlite:///{tmp_path}/file/ledger.sqlite3"):
        with pytest.raises(LedgerUnavailable, match="does not answer"):
            one(open_database(url))


def test_threads_that_end_leave_no_connection_behind(postgres_url: str) -> None:
    database = open_database(postgres_url)

    def use() -> None:
        execute(database, "SELECT 1")  # connects by itself, and does not close

    for _ in range(5):
        thread = Thread(target=use)
        thread.start()
        thread.join()
    with session(database):
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        deadline = time.monotonic() + 60
        while execute(database, count).fetchone()[0] > 1:
            assert time.monotonic() < deadline
    close_idle(database)


def test_sessions_nest_and_give_the_connection_back(database: peewee.Database) -> None:
    with session(database):
        connection = database.connection()
        with session(database), database.atomic(), session(database):
            assert database.connection() is connection
        assert not database.is_closed()
    assert database.is_closed()
    with session(database):
        assert database.connection() is connection


def test_an_error_of_the_body_passes_and_rolls_back(ledger: Ledger) -> None:
    def record_and_fail() -> None:
        with session(ledger.database) as database, database.atomic():
            ledger.record([event(chain_fields("c1", 1))])
            raise KeyError

    with pytest.raises(KeyError):
        record_and_fail()
    assert ledger.read_chain("c1") is None


def test_it_heals_when_postgresql_comes_back(private_postgres: PostgresServer) -> None:
    database = open_database(private_postgres.url)
    migrate(database)
    ledger = Ledger(database)
    events = story("c1")
    ledger.record(events[:8])

    private_postgres.stop()
    private_postgres.start()
    ledger.record(events[8:12])  # the old connection is not even tried

    private_postgres.kill()
    with pytest.raises(LedgerUnavailable):
        ledger.record(events[12:])
    private_postgres.start()
    ledger.record(events[12:])
    record = ledger.read_chain("c1")
    assert record is not None
    assert record.chain.status == "SUCCESS"

    def record_around_a_stop() -> None:
        with session(database), database.atomic():
            ledger.record([event(chain_fields("c2", 1))])
            private_postgres.stop()
            ledger.record([event(chain_fields("c3", 1))])

    with pytest.raises(LedgerUnavailable):
        record_around_a_stop()
    private_postgres.start()
    assert ledger.read_chain("c2") is None
    close_idle(database)


def test_a_hung_server_holds_no_thread(
    private_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded.BoundedConnection, "statement_seconds", 0.5)
    url = f"{private_postgres.url}?connect_timeout=1"
    database = open_database(url)
    assert one(database) == 1
    private_postgres.pause()
    started = time.monotonic()
    with pytest.raises(LedgerUnavailable, match="no answer"):
        one(database)
    with pytest.raises(LedgerUnavailable, match="no answer"):
        one(open_database(url))
    assert time.monotonic() - started < 20  # 3 on a machine of its own; without a bound 30 and more
    private_postgres.resume()
    assert one(database) == 1
    close_idle(database)


def test_a_locked_sqlite_file_is_unavailable(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.connection.SQLITE_BUSY_SECONDS", 0.2)
    database, other = open_database(sqlite_url), open_database(sqlite_url)
    migrate(database)
    with session(other), other.atomic(), pytest.raises(LedgerUnavailable, match="locked"):
        Ledger(database).record([event(chain_fields("c1", 1))])
    Ledger(database).record([event(chain_fields("c1", 1))])
    close_idle(database)
    close_idle(other)
