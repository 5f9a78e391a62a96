"""A run: one attempt at a task by this worker, from its begin to its hand-over."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from dramatiq import Broker, Message, MessageProxy
from dramatiq.common import current_millis
from dramatiq.middleware import Interrupt

from db.board import Board
from db.chains import Place, Transition, encode

#: Bytes of a log line; with it a progress message stays under 1 KB.
LOG_BYTES = 500


class RunLost(Interrupt):
    """Raised by ``progress()`` when the run has lost its task: revoked, or taken over by another worker.

    It does not derive from Exception, so that a stage's ``except Exception`` cannot swallow it.
    """


@dataclass
class HandOver:
    """What happens in one step when the worker is done with a message.

    Attributes:
        transition: what the board is told.
        successors: messages that go out when the board says ``next``, by index where it names some.
        released: those that the board has let go, where sending them is a step of its own; None until it
            has said so.
    """

    transition: Transition
    successors: list[Message[Any]] = field(default_factory=list)
    released: list[Message[Any]] | None = None


@dataclass
class Run:
    """One attempt at a task.

    Attributes:
        place: the chain, stage and member, and the task's id.
        stage_name: as shown in the status array.
        message: by which it was delivered.
        broker, board: where it came from and where it reports.
        token: the fencing token that the begin was given.
        attempt: how often the task has begun, this time included.
        metadata, percent, reported: what the stage has reported, and whether it has at all. Of the metadata
            each value is kept as JSON: what the stage does with its own must not spoil the outcome.
        retry: the message that Retries wants sent, caught on its way; its ``eta`` option says when.
        result: what the body has returned, as JSON; None where that could not be had.
        hand_over: set when the outcome is known.
        thread_id: where its body executes; None before and after.
        interrupted: whether ``RunLost`` has been raised in that thread.
        guard: held while one of the two changes.
    """

    place: Place
    stage_name: str
    message: MessageProxy
    broker: Broker
    board: Board
    token: str
    attempt: int
    metadata: dict[str, str] = field(default_factory=dict)
    percent: int = 1
    reported: bool = False
    retry: Message[Any] | None = None
    result: str | None = None
    hand_over: HandOver | None = None
    thread_id: int | None = None
    interrupted: bool = False
    guard: threading.Lock = field(default_factory=threading.Lock)
    _started: float = field(default_factory=time.monotonic)

    def report(self, percent: float | None, log: str | None, metadata: dict[str, Any]) -> None:
        """Tell the board, unless nothing has changed by a whole percent.

        Raises:
            RunLost: the run has lost its task.
            ValueError: a value is not JSON; nothing is told.
        """
        if log is not None:
            log = cut_log(log)
        # 100 is for the finish: a client that sees it may rely on the result.
        whole = None if percent is None else max(self.percent, min(99, int(percent)))
        told = {name: _as_json(name, value) for name, value in metadata.items()}
        changed = {name: text for name, text in told.items() if self.metadata.get(name) != text}
        if self.reported and not changed and log is None and whole in (None, self.percent):
            return
        self.metadata.update(changed)
        self.percent = self.percent if whole is None else whole
        self.reported = True
        if not self.board.progress(self.place, self.token, whole, _object(self.metadata), log):
            with self.guard:
                # It is told now: nobody need interrupt it while it tidies up.
                self.interrupted = True
            raise RunLost(
                f"stage {self.stage_name} has lost its task: revoked, or taken over by another worker"
            )

    def final_metadata(self, **more: Any) -> str:
        """The metadata at the end of the run, with ``execution_time`` in seconds, as JSON."""
        seconds = round(time.monotonic() - self._started, 3)
        more["execution_time"] = seconds
        return _object(self.metadata | {name: encode(value) for name, value in more.items()})


def _as_json(name: str, value: Any) -> str:
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}: expected a value that is JSON ({error})") from error


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{encode(name)}:{text}" for name, text in fields.items()) + "}"


def cut_log(line: str) -> str:
    """A log line short enough for a progress message."""
    return line.encode("utf-8", "replace")[:LOG_BYTES].decode("utf-8", "ignore")


_CURRENT: ContextVar[Run | None] = ContextVar("callboard_run", default=None)


def current_run() -> Run | None:
    """The run whose stage is executing here, or None."""
    return _CURRENT.get()


def set_current_run(run: Run | None) -> None:
    """Make ``run`` the one that executes here."""
    _CURRENT.set(run)


def run_of(message: MessageProxy) -> Run | None:
    """The run that a delivered message became, or None."""
    run: Run | None = message.__dict__.get("run")
    return run


def verdict_of(message: MessageProxy) -> str | None:
    """What the board said to the begin of a delivered message; None for a message that is not tracked."""
    verdict: str | None = message.__dict__.get("verdict")
    return verdict


def catch_retry(message: Message[Any], delay: int | None) -> bool:
    """Keep the message by which Retries wants the current task tried again; the hand-over sends it.

    Sent at once, it would be lost if Redis were away for a moment, as hooks' errors are swallowed.

    Parameters:
        message: what a broker was asked to enqueue.
        delay: milliseconds from now.
    """
    run = current_run()
    if run is None or message.message_id != run.place.task_id:
        return False
    run.retry = message.copy(options={"eta": current_millis() + (delay or 0)})
    return True
