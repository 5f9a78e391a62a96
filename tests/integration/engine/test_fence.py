"""After Redis was emptied no run from before can speak for its task, whatever the ledger knew of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from actors.application import Application
from actors.workflow import Workflow, stage, task_id
from db.board import Board, Place

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
