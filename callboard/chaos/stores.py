"""Both stores after a run: the ledger settled, and all that they say of its chains."""

from __future__ import annotations

import time
from pathlib import Path

import redis

from callboard.errors import LedgerUnavailable
from db.board import Board
from db.ledger import Ledger
from db.status_rows import ENDED
from middleware.recorder import Recorder

from .effects import read_bodies
from .observation import LiveChain, Observation, parse_live

#: Chains whose live state one round trip reads.
CHAINS_AT_ONCE = 100
#: Seconds that both servers have to come back, and the ledger to take what is left.
SETTLE_SECONDS = 60.0


def read_boards(board: Board, chain_ids: list[str]) -> dict[str, LiveChain | None]:
    """The live state of chains; None for those that the board does not know.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    found: dict[str, LiveChain | None] = {}
    with redis.Redis.from_url(board.clients.url, socket_timeout=5) as client:
        for start in range(0, len(chain_ids), CHAINS_AT_ONCE):
            part = chain_ids[start : start + CHAINS_AT_ONCE]
            pipe = client.pipeline(transaction=False)
            for chain_id in part:
                pipe.hgetall(board.keys.live(chain_id))
            for chain_id, fields in zip(part, pipe.execute(), strict=True):
                found[chain_id] = parse_live(fields)
    return found


def settle(board: Board, ledger: Ledger) -> int:
    """Write what is in the stream, with no worker at work any more.

    What recorders had taken when they died is claimed at once, as another would in half a minute.

    Returns:
        How many events are left.
    """
    recorder = Recorder(board.clients.url, board.keys, ledger, claim_after=0.0)
    left, deadline = -1, time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        try:
            with redis.Redis.from_url(board.clients.url) as client:
                left = int(client.xlen(board.keys.events))
                if not left:
                    break
                if not recorder.record_once():
                    time.sleep(0.05)
        except (redis.RedisError, LedgerUnavailable):
            time.sleep(0.5)
    return left


def read_stores(seen: Observation, board: Board, ledger: Ledger, effects: Path) -> None:
    """Complete an observation with what both stores and the effects file say at the end.

    Raises:
        redis.RedisError, LedgerUnavailable: a server does not answer.
    """
    seen.boards = read_boards(board, list(seen.chains))
    for chain_id in seen.chains:
        record = ledger.read_chain(chain_id)
        seen.rows[chain_id] = record
        for task in record.tasks if record else []:
            if task.status == "SUCCESS":
                seen.results[chain_id, task.stage or 0, task.member or 0] = task.result
    seen.bodies = read_bodies(effects)


def whereabouts(board: Board, queues: str, chain_id: str) -> str:
    """What a chain that does not end is waiting for: its tasks, their workers, and where their messages are.

    Parameters:
        queues: namespace of Dramatiq's queues; empty where they are not in Redis.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    live = read_boards(board, [chain_id])[chain_id]
    if live is None:
        return "the board does not know it"
    found = []
    with redis.Redis.from_url(board.clients.url, socket_timeout=5) as client:
        stage = live.plan[live.state["current"] - 1]
        for index, planned in enumerate(stage["tasks"], start=1):
            member = index if stage["parallel"] else 0
            task = live.tasks.get((live.state["current"], member), {"status": "PENDING"})
            if task["status"] in ENDED:
                continue
            words = f"{live.state['current']}.{member} {task['status']} attempt {task.get('attempt', 0)}"
            if worker := task.get("worker"):
                alive = client.exists(board.keys.life(worker))
                words += f" of {worker}, {'alive' if alive else 'dead'}"
            if queues:
                words += f", {_message_of(client, queues, planned)}"
            found.append(words)
    return "; ".join(found)


def _message_of(client: redis.Redis, queues: str, planned: dict[str, str]) -> str:
    """In which of Dramatiq's keys a task's message is."""
    message_id, places = planned["task_id"], []
    for queue in (planned["queue_name"], f"{planned['queue_name']}.DQ"):
        if client.hexists(f"{queues}:{queue}.msgs", message_id):
            places.append(f"data in {queue}")
        if message_id.encode() in client.lrange(f"{queues}:{queue}", 0, -1):
            places.append(f"queued in {queue}")
        for key in client.scan_iter(f"{queues}:__acks__.*.{queue}"):
            if client.sismember(key, message_id):
                places.append(f"un-acked in {key.decode()}")
    return "its message is " + (", ".join(places) or "nowhere")
