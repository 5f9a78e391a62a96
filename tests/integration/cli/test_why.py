"""callboard why: one sentence for each way in which a chain can stand still."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chains import ended, recorded
from dramatiq import Worker
from shell import Shell
from waiting import wait_until

from actors.application import Application
from actors.control import revoke
from actors.progress import progress
from actors.sweep import Sweep
from actors.workflow import Workflow, parallel, stage, task_id
from callboard.errors import UnknownChain
from callboard.why import Answer, why
from db.chains import Place
from db.models import ChainExecution
from db.workers import WorkerFacts, Workers

Work = Callable[..., Worker]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What stages wait for. Ask for it after ``work``: then it opens before the workers stop."""
    event = threading.Event()
    yield event
    event.set()


def play(gate: threading.Event, *, queue: str = "default") -> Workflow:
    """One stage that waits for the gate, and one that fails while it is closed for good."""

    @stage(name="Rehearsal", actor_name="rehearsal", queue_name=queue)
    def rehearsal(document: Any) -> Any:
        progress(40, substep="page 2 of 5")
        gate.wait(60)
        return document

    @stage(name="Premiere", actor_name="premiere", max_retries=3, min_backoff=60_000, max_backoff=60_000)
    def premiere(document: Any) -> Any:
        raise RuntimeError("the lead\nis ill")

    return Workflow("play", [rehearsal, premiere])


def a_clock_runs(application: Application) -> None:
    application.board.clients.get().set(application.board.keys.sweeper, "a clock", ex=60)


def register(application: Application, name: str, **more: Any) -> None:
    """A worker of the test's own, alive."""
    facts = {
        "broker": "",
        "host": name,
        "pid": 7,
        "queues": ["default"],
        "threads": 1,
        "started": time.time(),
    }
    workers = Workers(application.board.clients, application.board.keys)
    workers.register(f"{name}:7:x", WorkerFacts(**{**facts, **more}), 60)


def begin(application: Application, chain_id: str, worker: str) -> str:
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    return application.board.begin(place, actor="rehearsal", worker=worker, retries=0).token


def told(application: Application, chain_id: str) -> tuple[str, str]:
    answer = why(application, chain_id)
    assert json.loads(json.dumps(answer.as_json()))["sentence"] == answer.sentence
    assert "\n" not in answer.sentence
    return answer.reason.code, answer.sentence


# -- in a queue --------------------------------------------------------------------------------------------


def test_no_worker(application: Application, gate: threading.Event) -> None:
    chain_id = play(gate, queue="matinee").start({})
    code, sentence = told(application, chain_id)
    assert (code, sentence) == ("no_worker", "stage 1 (Rehearsal) waits: no worker is on queue matinee")
    register(application, "elsewhere")
    assert told(application, chain_id)[0] == "no_worker"
    register(application, "here", queues=["matinee"])
    assert told(application, chain_id)[0] == "queued"


def test_behind_others(build_application: Any, gate: threading.Event) -> None:
    application = build_application()
    workflow = play(gate)
    first, *_, last = (workflow.start(number) for number in range(1201))
    assert told(application, last) == (
        "no_worker",
        "stage 1 (Rehearsal) waits: no worker is on queue default, where 1,201 messages wait",
    )
    register(application, "here")
    assert told(application, first) == ("queued", "stage 1 (Rehearsal) is next on queue default")
    code, sentence = told(application, last)
    assert (code, sentence) == ("queued", "stage 1 (Rehearsal) waits behind 1,200 messages on queue default")
    assert why(application, last).reason.facts == {"queue": "default", "length": 1201, "position": 1200}


def test_rabbitmq_tells_the_length(build_application: Any, rabbit_url: str, gate: threading.Event) -> None:
    application = build_application(BROKER_URL=rabbit_url)
    workflow = play(gate)
    register(application, "here")
    ids = workflow.start_many(range(3))
    words = "stage 1 (Rehearsal) waits on queue default (3 messages ready there)"
    wait_until(lambda: told(application, ids[0]) == ("queued", words))


def test_in_the_hands_of_a_worker(build_application: Any, gate: threading.Event) -> None:
    application = build_application()
    chain_id = play(gate).start({})
    broker = application.broker
    assert len(broker.do_fetch("default", 10)) == 1
    code, sentence = told(application, chain_id)
    assert (code, "a worker that nobody knows" in sentence) == ("held", True)
    register(application, "stage-door", broker=broker.broker_id, threads=4)
    assert told(application, chain_id) == (
        "held",
        "stage 1 (Rehearsal) is taken by the worker on stage-door, and waits while its threads are busy",
    )
    application.board.clients.get().delete(application.board.keys.life("stage-door:7:x"))
    assert "was taken by a worker on stage-door that is gone; no clock runs" in told(application, chain_id)[1]
    a_clock_runs(application)
    assert told(application, chain_id)[1].endswith("that is gone; it is given back within 5 s")


def test_a_lost_message(build_application: Any, gate: threading.Event) -> None:
    application = build_application()
    chain_id = play(gate).start({})
    application.broker.flush("default")
    code, sentence = told(application, chain_id)
    assert (code, sentence.split("; ")[1].split(":")[0]) == (
        "lost",
        "no clock runs, so nothing is sent again",
    )
    a_clock_runs(application)
    facts = why(application, chain_id).reason.facts
    assert 5 < facts["within"] <= 20
    assert told(application, chain_id)[1].startswith(
        "stage 1 (Rehearsal) has lost its message; the sweep sends it again within "
    )
    client, keys = application.board.clients.get(), application.board.keys
    client.delete(keys.sweeper)
    client.zadd(keys.open, {chain_id: 0})
    Sweep(application).look()
    assert told(application, chain_id)[0] == "no_worker"


# -- at work -----------------------------------------------------------------------------------------------


def test_running_and_then_waiting_for_a_retry(
    application: Application, work: Work, gate: threading.Event
) -> None:
    chain_id = play(gate).start({})
    work(application)
    wait_until(lambda: "page 2 of 5" in told(application, chain_id)[1])
    code, sentence = told(application, chain_id)
    assert code == "running"
    assert sentence.startswith("stage 1 (Rehearsal) runs on ")
    assert " s (at 40 %, page 2 of 5)" in sentence
    gate.set()
    wait_until(lambda: told(application, chain_id)[0] == "retry")
    answer = why(application, chain_id)
    assert answer.sentence.startswith("stage 2 (Premiere) waits for its retry at ")
    assert answer.sentence.endswith(" (attempt 2 of 4; the lead is ill)")
    assert 0 < answer.reason.facts["due"] - time.time() < 70


def test_a_retry_that_nobody_will_take(build_application: Any, gate: threading.Event) -> None:
    application = build_application()
    gate.set()
    chain_id = play(gate).start({})
    worker = Worker(application.broker, worker_timeout=100)
    worker.start()
    wait_until(lambda: told(application, chain_id)[0] == "retry")
    worker.stop()
    wait_until(
        lambda: told(application, chain_id)[1].endswith("is ill), but no worker is on queue default"), 40
    )
    client, namespace = application.board.clients.get(), application.broker.namespace
    client.delete(f"{namespace}:default.DQ", f"{namespace}:default.DQ.msgs")
    assert told(application, chain_id)[0] == "lost"


def test_one_of_several_members(application: Application, work: Work, gate: threading.Event) -> None:
    @stage(name="Lights", actor_name="lights")
    def lights(document: Any) -> Any:
        return document

    @stage(name="Sound", actor_name="sound")
    def sound(document: Any) -> Any:
        gate.wait(60)
        return document

    chain_id = Workflow("evening", [parallel(lights, sound, lights_again(gate), name="Crew")]).start({})
    work(application)
    label = "member 2 of stage 1 (Crew): Sound runs on "
    wait_until(
        lambda: (
            len(why(application, chain_id).others) == 1 and told(application, chain_id)[1].startswith(label)
        ),
        20,
    )
    answer = why(application, chain_id)
    assert answer.sentence.endswith("; 1 more of its members is open")
    ((other, reason),) = answer.others
    assert (other, reason.code) == ("member 3 of stage 1 (Crew): Lights", "running")
    assert answer.as_json()["others"][0]["task"] == other


def lights_again(gate: threading.Event) -> Any:
    @stage(name="Lights", actor_name="lights_again")
    def again(document: Any) -> Any:
        gate.wait(60)
        return document

    return again


def test_a_worker_that_is_gone(build_application: Any, gate: threading.Event) -> None:
    application = build_application()
    chain_id = play(gate).start({})
    broker, client = application.broker, application.board.clients.get()
    register(application, "ghost", broker=broker.broker_id)
    assert len(broker.do_fetch("default", 10)) == 1
    begin(application, chain_id, "ghost:7:x")
    assert told(application, chain_id)[0] == "running"
    client.delete(application.board.keys.life("ghost:7:x"))
    code, sentence = told(application, chain_id)
    assert code == "worker_gone"
    assert sentence.startswith("stage 1 (Rehearsal) has lost its worker on ghost (process 7); no clock runs")
    a_clock_runs(application)
    sentence = told(application, chain_id)[1]
    assert "(process 7), takeover due within 5 s; no other worker is on queue default" in sentence
    register(application, "heir")
    assert told(application, chain_id)[1].endswith("(process 7), takeover due within 5 s")
    client.delete(application.board.keys.sweeper)
    assert Sweep(application).reclaim() == 1
    assert told(application, chain_id)[1].endswith("(process 7) and is next on queue default")


def test_silence(build_application: Any, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.why_task.SILENCE", 0)
    application = build_application()
    chain_id = play(gate).start({})
    register(application, "quiet")
    begin(application, chain_id, "quiet:7:x")
    wait_until(lambda: re.search(r"\(at 1 %, silent for [1-9]\d* s\)", told(application, chain_id)[1]))


# -- ended -------------------------------------------------------------------------------------------------


def outcome(application: Application, chain_id: str) -> Iterator[Answer]:
    """As the board says it, and then as the ledger does."""
    yield why(application, chain_id)
    recorded(application)
    application.board.clients.get().delete(application.board.keys.live(chain_id))
    yield why(application, chain_id)


def test_ended_well(build_application: Any, work: Work) -> None:
    application = build_application()

    @stage
    def only(document: Any) -> Any:
        return document

    chain_id = Workflow("short", [only]).start({})
    work(application)
    ended(application, chain_id)
    first, second = outcome(application, chain_id)
    assert first.sentence == second.sentence
    assert (first.status, first.reason.code) == ("SUCCESS", "ended")
    assert first.sentence.startswith("the chain ended SUCCESS at ")


def test_failed(build_application: Any, work: Work) -> None:
    application = build_application()

    @stage(name="Only", max_retries=0)
    def only(document: Any) -> Any:
        raise RuntimeError("the lead is ill")

    chain_id = Workflow("short", [only]).start({})
    work(application)
    ended(application, chain_id)
    first, second = outcome(application, chain_id)
    assert first.sentence == second.sentence
    assert (first.status, first.reason.code) == ("FAILURE", "failed")
    assert f" in stage 1 (Only): the lead is ill; `callboard resume {chain_id}`" in first.sentence


def test_revoked(build_application: Any, work: Work, gate: threading.Event) -> None:
    application = build_application()
    chain_id = play(gate).start({})
    revoke(chain_id, "rained off", application=application)
    work(application)
    first, second = outcome(application, chain_id)
    for answer in (first, second):
        assert (answer.status, answer.reason.code) == ("REVOKED", "revoked")
        assert ": rained off; `callboard resume" in answer.sentence


def test_forgotten_by_the_board(build_application: Any, gate: threading.Event) -> None:
    application = build_application()
    chain_id = play(gate).start({})
    application.board.clients.get().delete(application.board.keys.live(chain_id))
    code, sentence = told(application, chain_id)
    assert (code, sentence.split("; ")[0]) == (
        "forgotten",
        "the chain is known to the ledger only, the board has forgotten it",
    )
    assert "no clock runs" in sentence
    a_clock_runs(application)
    assert told(application, chain_id)[1].endswith("it; the sweep brings it back within a minute")
    ChainExecution.delete().execute(application.database)
    with pytest.raises(UnknownChain):
        why(application, chain_id)


# -- the command -------------------------------------------------------------------------------------------


def test_the_command(shell: Shell, tmp_path: Path) -> None:
    chain_id = shell.start()
    asked = shell.call("why", chain_id)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == "stage 1 (Rehearsal) waits: no worker is on queue default\n"
    (line,) = shell.json_lines("why", chain_id)
    assert (line["chain_id"], line["status"], line["reason"]) == (chain_id, "PENDING", "no_worker")
    assert shell.call("revoke", chain_id).returncode == 0
    assert shell.call("why", chain_id).returncode == 1
    unknown = shell.call("why", "nobody")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "callboard: no chain 'nobody' on the board or in the ledger\n"
