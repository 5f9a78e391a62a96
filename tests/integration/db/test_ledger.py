from __future__ import annotations

import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from ledger_stories import CREATED, PLAN, chain_fields, dump, entry, event, story

from callboard.errors import ChainStateError
from db.connection import close_idle, open_database
from db.events import Event
from db.ledger import Ledger, NewChain
from db.migrate import migrate


def new_chain(chain_id: str = "c1", **more: Any) -> NewChain:
    values: dict[str, Any] = {
        "chain_name": "cr_extract_workflow",
        "total_tasks": 4,
        "stages": PLAN,
        "input_data": {"file_path": "scan.png"},
        "initiated_by": "api_server",
    }
    return NewChain(chain_id, **{**values, **more})


def test_in_order_one_by_one(ledger: Ledger) -> None:
    ledger.create_chains([new_chain(batch_id="b1", idempotency_key="k1", channel="news")])
    for each in story("c1"):
        ledger.record([each])
    record = ledger.read_chain("c1")
    assert record is not None
    chain = record.chain
    assert (chain.status, chain.completed_tasks, chain.failed_tasks, chain.seq) == ("SUCCESS", 4, 0, 16)
    assert chain.final_result == {"url": "file:///x.xlsx"}
    assert chain.error_message is None
    kept = (chain.initiated_by, chain.input_data, chain.batch_id, chain.idempotency_key, chain.channel)
    assert kept == ("api_server", {"file_path": "scan.png"}, "b1", "k1", "news")
    assert chain.stages == PLAN
    assert [task.task_id for task in record.tasks] == [f"c1-t{number}" for number in range(1, 5)]
    assert {task.status for task in record.tasks} == {"SUCCESS"}
    assert all(task.chain_execution is chain for task in record.tasks)
    results = ledger.stage_results("c1")
    assert results == {(number, 0): {"z": number, "a": [1, None]} for number in range(1, 5)}
    assert list(results[1, 0]) == ["z", "a"]


@pytest.mark.parametrize("known", [True, False], ids=["row", "no row"])
@pytest.mark.parametrize("seed", range(8))
def test_any_order_with_repeats_comes_to_the_same(database_url: str, seed: int, known: bool) -> None:
    database = open_database(database_url)
    migrate(database)
    ledger = Ledger(database)
    names = ["c1", "c2", "c3"]
    events = [each for name in names for each in story(name)]
    if known:
        ledger.create_chains([new_chain(name) for name in names])
    chance = random.Random(seed)
    shuffled = events + chance.choices(events, k=20)
    chance.shuffle(shuffled)
    while shuffled:
        size = chance.randint(1, 15)
        ledger.record(shuffled[:size])
        del shuffled[:size]
    state = dump(database)
    for each in events:
        ledger.record([each])
    assert dump(database) == state
    assert [row["status"] for row in state["ChainExecution"]] == ["SUCCESS"] * 3
    assert [row["seq"] for row in state["ChainExecution"]] == [16] * 3
    assert len(state["TaskLog"]) == 12
    assert all(row["chain_execution"] is not None for row in state["TaskLog"])
    close_idle(database)


def test_a_thousand_events_take_few_statements(ledger: Ledger, statements: Callable[[], list[str]]) -> None:
    events = [each for number in range(63) for each in story(f"c{number}")][:1000]
    before = len(statements())
    ledger.record(events)
    written = statements()[before:]
    assert [statement.split()[0] for statement in written] == ["INSERT", "INSERT"]


def test_more_rows_than_one_statement_holds(ledger: Ledger) -> None:
    many = [
        event({**chain_fields(f"c{number}", 1), "task": f"t{number}", "actor": "a", "task_status": "STARTED"})
        for number in range(5_500)
    ]
    ledger.record(many)
    content = dump(ledger.database)
    assert (len(content["ChainExecution"]), len(content["TaskLog"])) == (5_500, 5_500)


def test_a_task_of_no_chain(ledger: Ledger) -> None:
    fields: dict[str, object] = {
        "chain": "",
        "seq": 2,
        "name": "",
        "task": "t1",
        "actor": "mail",
        "task_status": "SUCCESS",
        "stage": 1,
        "member": 0,
        "result": "null",
    }
    ledger.record([event(fields), event({**fields, "seq": 1, "task_status": "STARTED"})])
    (row,) = dump(ledger.database)["TaskLog"]
    assert (row["status"], row["chain_execution"], row["stage"], row["result"]) == (
        "SUCCESS",
        None,
        None,
        None,
    )


def test_a_poisonous_event_costs_only_itself(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    events = [each for number in range(20) for each in story(f"c{number}")]
    poison = event(chain_fields("poison", 1 << 62, total=(1 << 63) - 1))
    wrong = Event(1 << 70, "poison", poison.chain, None)
    ledger.record([*events[:100], wrong, *events[100:]])
    content = dump(ledger.database)
    assert [row["status"] for row in content["ChainExecution"]] == ["SUCCESS"] * 20
    assert len(content["TaskLog"]) == 80
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "'poison'" in errors[0].getMessage()


def test_texts_that_postgresql_refuses_are_cleaned(ledger: Ledger) -> None:
    fields = {
        **chain_fields("c1", 1, status="FAILURE", by="x" * 300, error="chain\x00error"),
        "task": "t1",
        "actor": "a",
        "task_status": "FAILURE",
        "task_error": "bad \x00 \ud800 " + "e" * 600,
        "metadata": '{"big": 1e999}',
        "result": '{"n": NaN, "i": -Infinity, "t": "\\u0000", "s": "\\ud800", "\\u0000": 1}',
    }
    ledger.record([Event.from_fields({**entry(fields), b"traceback": b"line \x00 \xed\xa0\x80"})])
    record = ledger.read_chain("c1")
    assert record is not None
    (task,) = record.tasks
    assert record.chain.error_message == "chain\ufffderror"
    assert record.chain.initiated_by == "x" * 100
    assert task.error is not None
    assert task.error.startswith("bad \ufffd \ufffd eee")
    assert len(task.error) == 500
    assert task.result == {"n": None, "i": None, "t": "\ufffd", "s": "\ufffd", "\ufffd": 1}
    assert task.metadata == {"big": None}


def test_two_recorders_at_once(ledger: Ledger) -> None:
    """The same events from two threads in opposite orders: no deadlock, one outcome."""
    events = [each for number in range(40) for each in story(f"c{number}")]
    barrier = Barrier(2)

    def run(part: list[Event]) -> None:
        barrier.wait()
        for start in range(0, len(part), 80):
            ledger.record(part[start : start + 80])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [events, events[::-1]]))
    content = dump(ledger.database)
    assert {row["status"] for row in content["ChainExecution"]} == {"SUCCESS"}
    assert len(content["TaskLog"]) == 160


def test_create_chains_is_all_or_none(ledger: Ledger) -> None:
    ledger.create_chains([new_chain(f"c{number}") for number in range(700)])
    with pytest.raises(ChainStateError, match="'c699'") as caught:
        ledger.create_chains([new_chain(f"d{number}") for number in range(400)] + [new_chain("c699")])
    assert (caught.value.chain_id, caught.value.status) == ("c699", "PENDING")
    with pytest.raises(ChainStateError, match="share"):
        ledger.create_chains([new_chain("e1"), new_chain("e1")])
    with pytest.raises(ValueError, match="255"):
        new_chain("x" * 256)
    assert len(dump(ledger.database)["ChainExecution"]) == 700
    ledger.create_chains([])


def test_withdraw_spares_what_has_begun(ledger: Ledger) -> None:
    ledger.create_chains([new_chain("c1"), new_chain("c2")])
    ledger.record([event(chain_fields("c2", 1))])
    assert ledger.withdraw_chains(["c1", "c2", "c3"]) == 1
    assert ledger.read_chain("c1") is None
    assert ledger.read_chain("c2") is not None


def test_one_chain_for_one_key(ledger: Ledger) -> None:
    assert ledger.create_chain_once(new_chain("c1", idempotency_key="k")) == "c1"
    assert ledger.create_chain_once(new_chain("c2", idempotency_key="k")) == "c1"
    assert ledger.create_chain_once(new_chain("c1", idempotency_key="k")) == "c1"
    assert ledger.create_chain_once(new_chain("c3")) == "c3"
    for key in ("other", None):
        with pytest.raises(ChainStateError, match="'c1'"):
            ledger.create_chain_once(new_chain("c1", idempotency_key=key))
    with pytest.raises(ChainStateError, match="holds the idempotency key 'k'"):
        ledger.create_chains([new_chain("c4", idempotency_key="k")])


@pytest.mark.parametrize("attempt", range(3))
def test_one_chain_for_one_key_in_a_race(ledger: Ledger, attempt: int) -> None:
    racers = 8
    barrier = Barrier(racers)

    def start(number: int) -> list[str]:
        barrier.wait()
        keys = [f"{attempt}-{each}" for each in range(10)]
        return [ledger.create_chain_once(new_chain(f"{key}-{number}", idempotency_key=key)) for key in keys]

    with ThreadPoolExecutor(racers) as pool:
        answers = list(pool.map(start, range(racers)))
    assert all(answer == answers[0] for answer in answers)
    assert len(dump(ledger.database)["ChainExecution"]) == 10


def test_malformed_events_are_value_errors() -> None:
    chain = chain_fields("c1", 1)
    good = {**chain, "task": "t1", "actor": "a", "task_status": "STARTED", "task_started": CREATED}
    found = event(good)
    assert found.chain is not None
    assert found.task is not None
    assert found.task.started_at == CREATED
    wrong: list[tuple[str, object]] = [
        ("seq", None),
        ("seq", -1),
        ("seq", "x"),
        ("seq", 1 << 63),
        ("name", None),
        ("name", ["a"]),
        ("status", "DONE"),
        ("status", ["STARTED"]),
        ("created", None),
        ("created", "nan"),
        ("started", "1e300"),
        ("started", [1]),
        ("completed", 1.5),
        ("error", {"a": 1}),
        ("by", 5),
        ("final", "{"),
        ("final", "[" * 200_000),
        ("actor", None),
        ("task_status", None),
        ("stage", "x"),
        ("worker", 7),
        ("metadata", "{"),
        ("metadata", 5),
    ]
    for name, value in wrong:
        with pytest.raises(ValueError):  # noqa: PT011 (the texts differ)
            event({**good, name: value})
    for name, text in [(b"chain", b"\xff"), (b"facts", b""), (b"state", b"[]"), (b"task", b"1")]:
        with pytest.raises(ValueError):  # noqa: PT011
            Event.from_fields({**entry(good), name: text})
    with pytest.raises(ValueError, match="neither chain nor task"):
        event({**chain, "chain": ""})
