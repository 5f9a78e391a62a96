"""A chain shown while it runs: a bar for each stage on a terminal, lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import redis
from rich.console import Console

from .errors import UnknownChain
from .views import Bars, JsonLines, PlainLines, Stages, View

if TYPE_CHECKING:
    from db.board import Board
    from db.status import ChainSummary, StatusManager

#: Seconds between two looks at the board.
INTERVAL = 0.1
#: Seconds that Redis may be away before following ends.
OUTAGE_SECONDS = 60.0
#: Seconds that a chain waits before we look whether any worker is there.
PATIENCE = 3.0
ENDED = ("SUCCESS", "FAILURE", "REVOKED")


def follow_chain(
    status: StatusManager,
    chain_id: str,
    *,
    as_json: bool,
    still_running: Callable[[], None] = lambda: None,
) -> bool:
    """Show a chain until it has ended; returns whether it has succeeded.

    Parameters:
        still_running: called at each look; raises when what should run the chain has died.

    Raises:
        UnknownChain: neither board nor ledger knows the chain.
        redis.RedisError: Redis has been away for a minute.
    """
    console = Console(file=sys.stdout)
    view, screen = _view(status, console, as_json)
    look, logs = _Look(status, chain_id), _Logs(status.board, chain_id)
    waits_for_workers = WaitsForWorkers(status.board, "chain")
    with screen:
        while True:
            found = look.patiently()
            if found is not None:
                chain, stages = found
                for line in logs.new():
                    view.log(chain, line)
                view.update(chain, stages)
                if chain.status in ENDED:
                    break
                waits_for_workers.note(chain.status)
            still_running()
            time.sleep(INTERVAL)
    _print_outcome(chain, as_json)
    return chain.status == "SUCCESS"


def show_chain(status: StatusManager, chain_id: str, *, as_json: bool) -> bool:
    """Show a chain once; returns False when it has failed or was revoked.

    Raises:
        UnknownChain: neither board nor ledger knows the chain.
        redis.RedisError: Redis does not answer.
    """
    console = Console(file=sys.stdout)
    chain, stages = _Look(status, chain_id).once()
    view, _ = _view(status, console, as_json)
    view.update(chain, stages)
    if isinstance(view, Bars):
        console.print(view.progress)
    _print_outcome(chain, as_json)
    return chain.status not in ("FAILURE", "REVOKED")


def _view(status: StatusManager, console: Console, as_json: bool) -> tuple[View, AbstractContextManager[Any]]:
    if as_json:
        return JsonLines(), nullcontext()
    if not console.is_terminal:
        return PlainLines(), nullcontext()
    bars = Bars(console, status.board)
    return bars, bars.progress


def say(text: str) -> None:
    """Say in one line on stderr what those who wait should know."""
    print(f"callboard: {text}", file=sys.stderr, flush=True)


class Patience:
    """Bears an outage for so long as ``OUTAGE_SECONDS``, and says once that it does."""

    def __init__(self) -> None:
        self._away_since: float | None = None

    def is_over(self, words: str) -> bool:
        """Note that a server is away, in the words given. Returns whether it has been for too long."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            say(words)
        return now - self._away_since > OUTAGE_SECONDS

    def back(self) -> None:
        """Note that all answer again."""
        self._away_since = None


class _Look:
    """Reads a chain; bridges over an outage of Redis."""

    def __init__(self, status: StatusManager, chain_id: str) -> None:
        self._status = status
        self._chain_id = chain_id
        self._patience = Patience()

    def once(self) -> tuple[ChainSummary, Stages]:
        chain = self._status.find(self._chain_id)
        stages = self._status.get_pipeline_status(self._chain_id)
        if chain is None or stages is None:
            raise UnknownChain(self._chain_id)
        return chain, stages

    def patiently(self) -> tuple[ChainSummary, Stages] | None:
        """None while Redis is away, which is said once; raises when that takes too long."""
        try:
            found = self.once()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if self._patience.is_over(f"Redis does not answer, waiting for it ({error})"):
                raise
            return None
        self._patience.back()
        return found


class _Logs:
    """Log lines of the stages, from the chain's stream of messages."""

    def __init__(self, board: Board, chain_id: str) -> None:
        self._board = board
        self._key = board.keys.messages(chain_id)
        self._seen = "-"

    def new(self) -> Iterator[str]:
        try:
            found: Any = self._board.clients.get().xrange(self._key, min=self._seen)
        except redis.RedisError:
            return
        for entry_id, fields in found or []:
            self._seen = f"({entry_id.decode()}"
            message = json.loads(fields[b"message"])
            # The error of a failed chain is shown with its outcome.
            if message.get("log") and message.get("state") not in ("FAILED", "END"):
                yield message["log"]


class WaitsForWorkers:
    """Says once that a chain or a batch waits while no worker is there to take it."""

    def __init__(self, board: Board, what: str) -> None:
        self._board = board
        self._what = what
        self._look_at = time.monotonic() + PATIENCE
        self._done = False

    def note(self, status: str) -> None:
        """Its status now."""
        if self._done or status != "PENDING":
            self._done = True
            return
        if time.monotonic() < self._look_at:
            return
        self._done = True
        from db.workers import Workers  # noqa: PLC0415 (loads the board)

        try:
            known = Workers(self._board.clients, self._board.keys).known()
        except redis.RedisError:
            return
        if not any(worker.alive_for for worker in known):
            say(f"the {self._what} waits, and no worker runs: `callboard up` starts one")


def _print_outcome(chain: ChainSummary, as_json: bool) -> None:
    if as_json:
        if chain.status in ENDED:
            outcome = {"final_result": chain.final_result, "error": chain.error or None}
            line = {"chain_id": chain.chain_id, "status": chain.status, **outcome}
            print(json.dumps(line, ensure_ascii=False), flush=True)
        return
    print(f"{chain.chain_name} {chain.chain_id}: {chain.status} (from {chain.source})")
    if chain.error:
        print(chain.error)
    if chain.final_result is not None:
        print(json.dumps(chain.final_result, ensure_ascii=False, indent=2))
