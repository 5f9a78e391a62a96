"""Looks at board and ledger while faults happen: what cannot be judged from the end alone."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import redis

from callboard.errors import LedgerUnavailable
from db.board import Board
from db.connection import execute, session
from db.ledger import Ledger
from db.status_rows import ENDED

from .observation import LiveChain, Observation, Seen
from .stores import read_boards

#: Seconds between two samples of all chains that are open.
SAMPLE_INTERVAL = 0.25
#: Counters of chains that do not add up; a row may be ahead of its tasks' rows, never beyond its total.
LEDGER_QUESTION = (
    "SELECT chain_id, completed_tasks, failed_tasks, revoked_tasks, total_tasks FROM chain_executions "
    "WHERE completed_tasks < 0 OR failed_tasks < 0 OR revoked_tasks < 0 "
    "OR completed_tasks + failed_tasks + revoked_tasks > total_tasks"
)


class Observer:
    """Two threads: one reads the event stream and the progress channel, one samples board and ledger.

    They reach the servers directly, not through what cuts the workers off.

    Parameters:
        board: on direct connections.
        ledger: on a database connection of its own.
        seen: where everything is noted.
    """

    def __init__(self, board: Board, ledger: Ledger, seen: Observation) -> None:
        self.board = board
        self.url = board.clients.url
        self.keys = board.keys
        self.ledger = ledger
        self.seen = seen
        self._progress: dict[tuple[str, int, int, int], int] = {}
        self._ended: set[str] = set()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__, daemon=True)
            for work in (self._follow_events, self._follow_messages, self._sample)
        ]

    def __enter__(self) -> Observer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def open_chains(self) -> set[str]:
        """Chains that had not ended when they were last looked at."""
        return set(self.seen.chains) - self._ended

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5, protocol=2)

    def _guarded(self, work: Any) -> None:
        """Servers go away and come back: that is what this is about."""
        while not self._stop.is_set():
            try:
                work()
            except (redis.RedisError, OSError, LedgerUnavailable):
                self._stop.wait(0.1)

    def _follow_events(self) -> None:
        last: Any = f"{self.seen.events[-1].at * 1000:.0f}-0" if self.seen.events else "0"
        with self._client() as client:
            while not self._stop.is_set():
                answer: Any = client.xread({self.keys.events: last}, count=1000, block=200)
                for _, entries in answer or []:
                    for entry_id, fields in entries:
                        last = entry_id
                        self._note_event(entry_id, fields)

    def _note_event(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        place = None
        if b"place" in fields:
            stage, _, member = fields[b"place"].decode().partition(".")
            place = int(stage), int(member)
        state = json.loads(fields[b"state"]) if b"state" in fields else {}
        event = Seen(
            at=int(entry_id.partition(b"-")[0]) / 1000,
            number=len(self.seen.events),
            chain=fields.get(b"chain", b"").decode(),
            seq=int(fields.get(b"seq", b"0")),
            place=place,
            task=json.loads(fields[b"task"]) if b"task" in fields else {},
            status=state.get("status", ""),
        )
        if not event.chain:
            self.seen.strangers.append(f"an event of a task that belongs to no chain: {event.task}")
        self.seen.events.append(event)

    def _follow_messages(self) -> None:
        with self._client() as client, client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(self.keys.progress)
            while not self._stop.is_set():
                message = channel.get_message(timeout=0.2)
                if message is None:
                    continue
                told = json.loads(message["data"])
                self.seen.messages.append(
                    (time.time(), told["run_id"], float(told.get("progress", -1)), told.get("state", ""))
                )

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_INTERVAL):
            for chain_id, live in read_boards(self.board, sorted(self.open_chains())).items():
                if live is None:
                    continue
                self.seen.samples += 1
                self._check_counters(chain_id, live)
                self._check_progress(chain_id, live)
                if live.state["status"] in ENDED:
                    self._ended.add(chain_id)
            self._check_ledger()

    def _check_counters(self, chain_id: str, live: LiveChain) -> None:
        state = live.state
        told = {"SUCCESS": state["completed"], "FAILURE": state["failed"], "REVOKED": state["revoked"]}
        for status, number in told.items():
            if number != live.count(status):
                self.seen.note(
                    1, f"chain {chain_id}: the board counts {number} {status}, {live.count(status)} tasks are"
                )
        if sum(told.values()) > live.total:
            self.seen.note(1, f"chain {chain_id}: {told} of {live.total} tasks on the board")

    def _check_progress(self, chain_id: str, live: LiveChain) -> None:
        for (stage, member), task in live.tasks.items():
            attempt = (chain_id, stage, member, int(task.get("token", 0)))
            now, before = int(task.get("progress", 0)), self._progress.get(attempt, 0)
            if now < before and task["status"] in ("STARTED", "RUNNING", "SUCCESS"):
                self.seen.note(
                    9, f"chain {chain_id} stage {stage}.{member}: {before} % and then {now} % in one attempt"
                )
            self._progress[attempt] = max(now, before)

    def _check_ledger(self) -> None:
        # The ledger may be away for a while, the board is looked at all the same.
        try:
            with session(self.ledger.database) as database:
                rows = execute(database, LEDGER_QUESTION, []).fetchall()
        except LedgerUnavailable:
            return
        for chain_id, *counters, total in rows:
            self.seen.note(1, f"chain {chain_id}: {counters} of {total} tasks in the ledger")


def wait_for(condition: Any, seconds: float) -> bool:
    """Poll until a condition holds; servers that are away count as not yet. Returns whether it did."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return True
        except (redis.RedisError, OSError, LedgerUnavailable):
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
