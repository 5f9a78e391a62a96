"""After Redis was emptied no run from before can speak for its task, whatever the ledger knew of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from actors.application import Application
from actors.workflow import Workflow, stage, task_id
from db.board import Board
from db.chains import Place
from db.events import Event

BuildApplication = Callable[..., Application]


def begin(board: Board, place: Place, worker: str) -> str:
    begun = board.begin(place, actor="recite", worker=worker, retries=0)
    assert begun.verdict == "go"
    return begun.token


def test_a_run_that_the_ledger_never_heard_of_is_fenced(build_application: BuildApplication) -> None:
    application = build_application()

    @stage
    def recite(data: Any) -> Any:
        return data

    chain_id = Workflow("recital", [recite]).start({})
    board = application.board
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    before = begin(board, place, "first")
    client: redis.Redis = board.clients.get()
    client.delete(board.keys.live(chain_id), chain_id)
    assert application.status.restore(chain_id)
    after = begin(board, place, "second")
    assert int(after) > int(before)
    stale = board.apply(board.finish(place, before, "{}", '"of the first"'))
    assert stale[0] == b"stale"
    assert board.apply(board.finish(place, after, "{}", '"of the second"'))[0] == b"recorded"
    assert board.result(chain_id, 1) == '"of the second"'


def test_a_begin_whose_answer_was_lost_is_answered_the_same_again(
    build_application: BuildApplication,
) -> None:
    application = build_application()

    @stage
    def recite_once(data: Any) -> Any:
        return data

    chain_id = Workflow("rehearsal", [recite_once]).start({})
    board, place = application.board, Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    client: redis.Redis = board.clients.get()
    client.set(board.keys.life("first"), 1, ex=30)

    def ask(worker: str, delivery: str) -> tuple[str, str, int]:
        begun = board.begin(place, actor="recite_once", worker=worker, retries=0, delivery=delivery)
        return begun.verdict, begun.token, begun.attempt

    first = ask("first", "7")
    assert first[0] == "go"
    assert ask("first", "7") == first
    assert ask("first", "8")[0] == "busy"
    assert ask("second", "7")[0] == "busy"


def test_a_worker_that_begins_counts_as_alive_though_its_lifeline_has_not_said_so_yet(
    build_application: BuildApplication,
) -> None:
    application = build_application()

    @stage
    def recite_late(data: Any) -> Any:
        return data

    chain_id = Workflow("late", [recite_late]).start({})
    board, place = application.board, Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    begun = board.begin(place, actor="recite_late", worker="first", retries=0, life_ttl=20)
    assert begun.verdict == "go"
    again = board.begin(place, actor="recite_late", worker="second", retries=0, life_ttl=20)
    assert again.verdict == "busy"
    assert 0 < again.alive_for <= 20_000


def test_a_later_stage_that_the_ledger_knows_is_done_again_with_the_new_result(
    build_application: BuildApplication,
) -> None:
    application = build_application()

    @stage
    def write(data: Any) -> Any:
        return data

    @stage
    def read(data: Any) -> Any:
        return data

    @stage
    def applaud(data: Any) -> Any:
        return data

    chain_id = Workflow("evening", [write, read, applaud]).start({})
    board = application.board
    # Only the events of the second stage have reached the ledger.
    events = []
    for number, name in ((1, "write"), (2, "read")):
        place = Place(chain_id, number, 0, task_id(chain_id, number, 0))
        begun = board.begin(place, actor=name, worker="first", retries=0)
        assert board.apply(board.finish(place, begun.token, "{}", '"old"'))[0] == b"recorded"
        found: Any = board.clients.get().xrange(board.keys.events)
        events = [Event.from_fields(fields) for _, fields in found if fields.get(b"place") == b"2.0"]
    application.ledger.record(events)
    board.clients.get().delete(board.keys.live(chain_id), chain_id)
    assert application.status.restore(chain_id)
    live = board.chain(chain_id)
    assert live is not None
    assert (live.state["current"], live.state["completed"]) == (1, 0)
    assert board.result(chain_id, 2) is None
    place = Place(chain_id, 1, 0, task_id(chain_id, 1, 0))
    begun = board.begin(place, actor="write", worker="second", retries=0)
    board.apply(board.finish(place, begun.token, "{}", '"new"'))
    second = Place(chain_id, 2, 0, task_id(chain_id, 2, 0))
    assert board.begin(second, actor="read", worker="second", retries=0).verdict == "go"
