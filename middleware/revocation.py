"""The stop of a running stage: a run that has lost its task is interrupted in its thread.

The task may have been revoked, or taken over by another worker. ``progress()`` ends such a run too; what
cannot be interrupted runs to its end, and the board refuses what it has to say.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import redis
from dramatiq import Broker, MessageProxy
from dramatiq.logging import get_logger
from dramatiq.middleware import Middleware
from dramatiq.middleware.threading import is_gevent_active, raise_thread_exception

from db.board import Board

from .run import Run, RunLost, run_of

#: Seconds between two questions to the board, one round trip for all runs of the process.
LOOK_INTERVAL = 2.0


class Interruptible:
    """A block in which a run can be interrupted, and outside of which it cannot."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._run.thread_id = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        run = self._run
        with run.guard:
            thread_id, run.thread_id = run.thread_id, None
            if run.interrupted and thread_id is not None:
                # Raised but not delivered yet: it must not hit what this thread does next.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), None)


def interrupt(run: Run) -> bool:
    """Raise ``RunLost`` in the run's thread, once. Returns whether its body was executing."""
    with run.guard:
        if run.thread_id is None or run.interrupted:
            return False
        run.interrupted = True
        raise_thread_exception(run.thread_id, RunLost)
        return True


class Revocation(Middleware):
    """Knows the runs of this process, and ends those that are not to end by themselves.

    A run that has lost its task is interrupted. What still runs when the worker has no more time is given
    back: its task goes to another worker at once, and the run is fenced.
    """

    def __init__(self, board: Board) -> None:
        self.logger = get_logger(__name__, type(self))
        self.board = board
        self._runs: dict[int, Run] = {}
        self._stop_asked = threading.Event()

    def before_worker_boot(self, broker: Broker, worker: Any) -> None:
        self._stop_asked.clear()
        if not is_gevent_active():
            threading.Thread(target=self._watch, name="revocation", daemon=True).start()

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        self._stop_asked.set()
        for run in self.runs:
            if run.hand_over is None:
                self._give_back(run)

    def after_ack(self, broker: Broker, message: MessageProxy) -> None:
        run = run_of(message)
        if run is not None:
            self._runs.pop(id(run), None)

    after_nack = after_ack

    @property
    def runs(self) -> list[Run]:
        """Those that have begun and whose messages are not settled."""
        return list(self._runs.values())

    def add(self, run: Run) -> None:
        """Watch a run."""
        self._runs[id(run)] = run

    def _give_back(self, run: Run) -> None:
        self._runs.pop(id(run), None)
        transition = self.board.give_back(run.place, run.token, run.final_metadata())
        try:
            run.broker.give_back(run.message, transition)  # type: ignore[attr-defined]
        except redis.RedisError as error:
            self.logger.warning("Message %s goes back when Redis is: %s", run.message.message_id, error)
        else:
            self.logger.info("Message %s goes back: the worker shuts down.", run.message.message_id)

    def _watch(self) -> None:
        while not self._stop_asked.wait(LOOK_INTERVAL):
            runs = [run for run in self.runs if run.place.chain_id and not run.interrupted]
            if not runs:
                continue
            try:
                lost = self.board.lost([(run.place, run.token) for run in runs])
            except redis.RedisError:
                # Whoever needs Redis says so; what is lost stays lost until it is back.
                continue
            for index in lost:
                if interrupt(runs[index]):
                    name = runs[index].stage_name
                    self.logger.info("Stage %s has lost its task: it is told to stop.", name)
