"""Whatever happens to the stream or the ledger: nothing is lost, and no event holds up the others."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from chains import recorded
from ledger_stories import chain_fields, entry
from recorders import held, note, recorder_of, take_away, tasks
from servers import execute
from waiting import wait_until

from actors.application import Application
from db.connection import close_idle
from middleware.recorder import Recorder

POISON = {
    "a number that Python does not read": {"chain": "x", "seq": "9" * 5000, "state": "{}", "facts": "{}"},
    "a number that no column holds": {"chain": "", "seq": "9" * 30, "task": '{"task":"p","actor":"a"}'},
    "a moment that no float holds": {
        **entry(chain_fields("x", 1)),
        b"facts": json.dumps({"name": "n", "total": 1, "created": 10**400}).encode(),
    },
    "nothing": {"x": "y"},
    "bytes": {"chain": b"\xff", "seq": b"\xff", "task": b"\xff"},
    "a place beyond": {"chain": "x", "seq": 1, "place": f"{1 << 40}.0", "task": '{"task":"p","actor":"a"}'},
}


@pytest.fixture(params=["sqlite", "postgres"])
def application(request: pytest.FixtureRequest, build_application: Any) -> Application:
    if request.param == "postgres":
        return build_application(DATABASE_URL=request.getfixturevalue("postgres_url"))  # type: ignore[no-any-return]
    return build_application()  # type: ignore[no-any-return]


@pytest.fixture
def recorder(application: Application) -> Iterator[Recorder]:
    """It runs."""
    found = recorder_of(application)
    found.start()
    yield found
    found.stop()


@pytest.mark.parametrize("fields", POISON.values(), ids=POISON)
def test_a_poisonous_event_holds_up_no_other(
    application: Application, recorder: Recorder, fields: dict[Any, Any]
) -> None:
    note(application, "before")
    application.board.clients.get().xadd(application.board.keys.events, fields)
    note(application, "after")
    recorded(application)
    assert tasks(application) >= {"before", "after"}


DEEP = {
    # Not a number must become null, for which Python goes down once more, in larger steps.
    "written": 900 * "[" + "NaN" + 900 * "]",
    "read": 200_000 * "[" + 200_000 * "]",
    "no JSON": "[1",
}


@pytest.mark.parametrize("final", DEEP.values(), ids=DEEP)
def test_what_cannot_be_kept_costs_no_state(
    application: Application, recorder: Recorder, caplog: pytest.LogCaptureFixture, final: str
) -> None:
    fields = {**entry(chain_fields("c1", 3, status="SUCCESS")), b"final": final.encode()}
    fields |= {b"place": b"1.0", b"result": b'{"n": 1}'}
    fields |= {b"task": json.dumps({"task": "t1", "actor": "a", "status": "SUCCESS"}).encode()}
    note(application, "before")
    application.board.clients.get().xadd(application.board.keys.events, fields)  # type: ignore[arg-type]
    recorded(application)
    record = application.ledger.read_chain("c1")
    assert record is not None
    assert (record.chain.status, record.chain.final_result) == ("SUCCESS", None)
    assert [task.status for task in record.tasks] == ["SUCCESS"]
    assert tasks(application) == {"before", "t1"}
    (error,) = [found.getMessage() for found in caplog.records if found.levelno == logging.ERROR]
    assert "c1" in error


def test_events_that_somebody_took_out_of_the_stream_are_told_of_once(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    client, keys = application.board.clients.get(), application.board.keys
    take_away(application, "host:1:x", 50)
    client.xtrim(keys.events, maxlen=10, approximate=False)
    recorder = recorder_of(application, worker_id="host:1:x")
    assert recorder.record_once() == 50
    assert tasks(application) == {f"host:1:x-{number}" for number in range(40, 50)}
    assert held(application) == {"host:1:x": 0}
    warnings = [found for found in caplog.records if found.levelno >= logging.WARNING]
    assert [found.getMessage()[:9] for found in warnings] == ["40 events"]


def test_a_group_that_was_destroyed_while_a_batch_is_held(application: Application) -> None:
    client, keys = application.board.clients.get(), application.board.keys
    recorder = recorder_of(application)
    write, gone = recorder.ledger.record, []

    def record(events: Any) -> None:
        if not gone:
            gone.append(client.xgroup_destroy(keys.events, keys.recorders))
            note(application, "meanwhile")
        write(events)

    recorder.ledger.record = record  # type: ignore[method-assign]
    note(application, "first")
    recorder.start()
    wait_until(lambda: tasks(application) == {"first", "meanwhile"})
    recorded(application)
    recorder.stop()
    assert gone == [1]


def test_two_recorders_of_one_name(application: Application) -> None:
    recorders = [recorder_of(application, worker_id="host:1:twin", linger=0.0) for _ in range(2)]
    for recorder in recorders:
        recorder.start()
    for number in range(300):
        note(application, f"t{number}")
    recorded(application)
    for recorder in recorders:
        recorder.stop()
    assert tasks(application) == {f"t{number}" for number in range(300)}


def test_large_events_are_taken_a_few_at_a_time(
    build_application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.recorder.BATCH_BYTES", 200_000)
    monkeypatch.setattr("middleware.recorder.LOOK_INTERVAL", 0.0)
    application = build_application()
    for number in range(50):
        note(application, f"t{number}", error="x" * 20_000)
    taken, recorder = [], recorder_of(application)
    wait_until(lambda: taken.append(recorder.record_once()) or sum(taken) == 50)
    assert 4 <= max(taken) <= 10
    for number in range(500):
        note(application, f"small {number}")
    wait_until(lambda: recorder.record_once() >= 200)


def test_a_slow_database_gets_less_at_a_time(
    build_application: Any, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.recorder.BATCH", 400)
    monkeypatch.setattr("middleware.recorder.SMALLEST", 50)
    monkeypatch.setattr("db.bounded.BoundedConnection.statement_seconds", 1.0)
    application = build_application(DATABASE_URL=postgres_url)
    execute(
        postgres_url,
        "CREATE FUNCTION drag() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END'; "
        "CREATE TRIGGER drag BEFORE INSERT ON task_logs FOR EACH ROW EXECUTE FUNCTION drag()",
    )
    for number in range(400):
        note(application, f"t{number}")
    recorder = recorder_of(application)
    recorder.start()
    recorded(application, 30)
    recorder.stop()
    assert len(tasks(application)) == 400


def waits_once(caplog: pytest.LogCaptureFixture) -> bool:
    found = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert all("waits" in record.getMessage() for record in found), found
    assert len(found) <= 1
    return bool(found)


HARM = {
    "no privilege": ("ALTER DATABASE {0} SET role = pg_read_all_data", "ALTER DATABASE {0} RESET role"),
    "read-only": (
        "ALTER DATABASE {0} SET default_transaction_read_only = on",
        "ALTER DATABASE {0} RESET default_transaction_read_only",
    ),
}


@pytest.mark.parametrize(("harm", "mend"), HARM.values(), ids=HARM)
def test_a_postgresql_that_may_not_be_written_is_waited_for(
    build_application: Any,
    postgres_server_url: str,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
    harm: str,
    mend: str,
) -> None:
    application = build_application(DATABASE_URL=postgres_url)
    name = postgres_url.rpartition("/")[2]
    execute(postgres_server_url, harm.format(name))
    close_idle(application.database)
    recorder = recorder_of(application)
    note(application, "t1")
    recorder.start()
    wait_until(lambda: waits_once(caplog))
    note(application, "t2")
    execute(postgres_server_url, mend.format(name))
    wait_until(lambda: tasks(application) == {"t1", "t2"})
    recorder.stop()
    assert waits_once(caplog)


def test_a_sqlite_that_is_locked_is_waited_for(
    build_application: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("db.connection.SQLITE_BUSY_SECONDS", 0.2)
    application = build_application(DATABASE_URL=f"sqlite:///{tmp_path}/ledger.sqlite3")
    recorder = recorder_of(application)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        note(application, "t1")
        recorder.start()
        wait_until(lambda: waits_once(caplog))
        other.execute("ROLLBACK")
    wait_until(lambda: tasks(application) == {"t1"})
    recorder.stop()
