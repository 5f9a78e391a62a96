"""What the engine's tests share: waiting for a chain's end and comparing both stores."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waiting import PATIENCE, wait_until

from actors.application import Application
from db.status import ChainSummary
from db.status_rows import ENDED
from middleware.run import HandOver


def ended(application: Application, chain_id: str, timeout: float = PATIENCE) -> ChainSummary:
    """The chain once it has ended on the board."""

    def look() -> ChainSummary | None:
        chain = application.status.find(chain_id)
        assert chain is not None
        return chain if chain.status in ENDED else None

    chain = wait_until(look, timeout, f"chain {chain_id} has not ended")
    assert chain is not None
    return chain


def recorded(application: Application, timeout: float = PATIENCE) -> None:
    """Returns when every event has reached the ledger."""
    events = application.board.keys.events
    wait_until(
        lambda: application.board.clients.get().xlen(events) == 0, timeout, "events are left in the stream"
    )


@contextmanager
def held_at_retry(application: Application) -> Iterator[threading.Event]:
    """Holds the worker's thread that has handed a retry over, until the block ends.

    The event is set once that is so. With a worker of one thread nothing can begin meanwhile, so that the
    state is there for as long as anybody looks.
    """
    broker: Any = application.broker
    settle, reached, leave = broker.settle, threading.Event(), threading.Event()

    def settle_and_stay(hand_over: HandOver, *rest: Any) -> Any:
        answer = settle(hand_over, *rest)
        if hand_over.transition.name == "retry":
            reached.set()
            leave.wait(PATIENCE)
        return answer

    broker.settle = settle_and_stay
    try:
        yield reached
    finally:
        leave.set()
        broker.settle = settle


def lifeline_speaks(application: Application, worker_id: str = "") -> None:
    """Returns once a worker's helper process has said that it lives: before, it may be starting yet."""
    client, keys = application.board.clients.get(), application.board.keys
    life = keys.life(worker_id or client.hkeys(keys.workers)[0].decode())  # type: ignore[index]
    client.delete(life)
    wait_until(lambda: client.exists(life))


def check_stores(application: Application, chain_id: str) -> None:
    """Board and ledger say the same of a chain, and its counters add up in both (invariant 1)."""
    live = application.board.chain(chain_id)
    record = application.ledger.read_chain(chain_id)
    assert live is not None
    assert record is not None
    chain, state = record.chain, live.state
    counts = (state["completed"], state["failed"], state["revoked"])
    assert (chain.status, chain.completed_tasks, chain.failed_tasks, chain.revoked_tasks) == (
        state["status"],
        *counts,
    )
    assert max(chain.seq, *(task.seq for task in record.tasks)) == state["seq"]
    statuses = [task.status for task in record.tasks]
    assert counts == tuple(statuses.count(status) for status in ("SUCCESS", "FAILURE", "REVOKED"))
    assert chain.total_tasks == sum(len(stage["tasks"]) for stage in live.plan)
    assert sum(counts) <= chain.total_tasks
    ledger_array = application.ledger.status_array(chain_id)
    assert ledger_array is not None
    assert [_essence(entry) for entry in ledger_array] == [
        _essence(entry) for entry in application.board.array(chain_id) or []
    ]


def _essence(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without the moment of its last change, which the ledger does not keep for each report."""
    return {name: value for name, value in entry.items() if name != "updated_at"}


def raw_array(application: Application, chain_id: str) -> str:
    """What ``redis-cli GET <chain_id>`` shows."""
    text: Any = application.board.clients.get().get(chain_id)
    assert text is not None
    json.loads(text)
    return str(text.decode())
