"""Tracking: what Celery's signals did, as one Dramatiq middleware.

Registered first, so that its before hook begins a task ahead of everything else and its after hook runs
last, when Retries has decided. The before hook asks the board (``begin``); the after hook only prepares
the hand-over, which the consumer carries out at ack or nack: see ``actors/redis_broker.py``.

    task_prerun    before_process_message           → begin
    task_postrun   after_process_message, a result  → finish
    task_retry     … an exception, and a retry      → retry
    task_failure   … an exception, and none         → fail
    task_revoked   the begin's verdict, or RunLost in the body: the message is skipped, it has not failed
"""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from itertools import count
from typing import Any, ParamSpec, TypeVar

import redis
from dramatiq import Actor, Broker, MessageProxy
from dramatiq.common import current_millis
from dramatiq.logging import get_logger
from dramatiq.middleware import Middleware, SkipMessage

from callboard.errors import ResultError, WorkerDied
from db.board import ERROR_LENGTH, Board
from db.chains import Begun, Place

from .lease import Lease
from .pipelines import PLACE, successors
from .results import REFERENCE, Results
from .revocation import Interruptible, Revocation
from .run import HandOver, Run, RunLost, current_run, run_of, set_current_run

#: Characters of a traceback that are kept.
TRACEBACK_LENGTH = 32_768
#: Seconds between two tries to reach a board that is away; it grows up to the last.
BEGIN_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)

P = ParamSpec("P")
R = TypeVar("R")


class Tracking(Middleware):
    """Turns what happens to a message into transitions of the board.

    Parameters:
        board: where transitions go.
        restore: called with a chain id when the board has forgotten the chain; writes it back from the
            ledger if it has not ended, and returns whether that was so.
        results: how what a stage returns is kept.
        lease: proves that this worker is alive.
        revocation: interrupts runs that have lost their tasks.
    """

    def __init__(
        self,
        board: Board,
        *,
        restore: Callable[[str], bool],
        results: Results,
        lease: Lease,
        revocation: Revocation,
    ) -> None:
        self.logger = get_logger(__name__, type(self))
        self.board = board
        self.restore = restore
        self.results = results
        self.lease = lease
        self.revocation = revocation
        self._stopping = threading.Event()
        self._deliveries = count(1)

    @property
    def actor_options(self) -> set[str]:
        return {"stage_name", "tracked"}

    def after_declare_actor(self, broker: Broker, actor: Actor[..., Any]) -> None:
        actor.fn = self._tracked(actor.fn)

    def _tracked(self, function: Callable[P, R]) -> Callable[P, R]:
        """A body in which a run may be interrupted, and whose arguments and result may be large."""

        @wraps(function)
        def body(*args: P.args, **kwargs: P.kwargs) -> R:
            run = current_run()
            # A body that calls another actor, or itself, calls a function: the run is that of the first.
            if run is None or run.thread_id is not None:
                return function(*args, **kwargs)
            try:
                with Interruptible(run):
                    result = function(*self.results.arguments(run, args), **kwargs)
                    # What is no JSON fails the task below; what the storage does not take is tried again.
                    with suppress(ResultError):
                        run.result = self.results.dump(run, result)
                    return result
            except BaseException as error:
                run.interrupted |= isinstance(error, RunLost)
                if not run.interrupted:
                    raise
                # Neither a failure nor a success: no hook of anybody is to take it for one of them.
                raise SkipMessage(f"stage {run.stage_name} has lost its task") from error

        return body

    def before_worker_boot(self, broker: Broker, worker: Any) -> None:
        self._stopping.clear()

    def before_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        self._stopping.set()

    # begin ------------------------------------------------------------------------------------------

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        set_current_run(None)
        if message.failed:
            return
        try:
            place = self._place_of(broker, message)
        except (KeyError, TypeError):
            self.logger.error("Message %s names no place in a chain: %r", message.message_id, message.options)
            message.fail()
            raise SkipMessage("the message names no place in a chain") from None
        if place is None:
            return
        begun = self._begin(place, message)
        message.__dict__["verdict"] = begun.verdict
        if begun.verdict == "busy":
            # Another run is alive: this delivery looks again when that is no longer known.
            message.options["eta"] = current_millis() + begun.alive_for
        if begun.verdict not in ("go", "exhausted"):
            self.logger.info("Message %s is not run: its task is %s.", message.message_id, begun.verdict)
            raise SkipMessage(f"the task is {begun.verdict}")
        actor = broker.get_actor(message.actor_name)
        run = Run(
            place=place,
            stage_name=actor.options.get("stage_name", actor.actor_name),
            message=message,
            broker=broker,
            board=self.board,
            token=begun.token,
            attempt=begun.attempt,
        )
        if begun.inputs is not None and not message.options.get("pipe_ignore"):
            message._message = message._message.copy(args=(begun.inputs,))
        elif begun.before is not None and message.args:
            message._message = message._message.copy(args=begun.before)
        # Dramatiq warns of a result that goes nowhere; ours goes onto the board.
        message.options.setdefault("pipe_target", False)
        message.__dict__["run"] = run
        if begun.verdict == "exhausted":
            deaths = self.board.max_worker_deaths
            died = WorkerDied(f"the worker died {deaths} times in this stage (out of memory?)")
            run.hand_over = self._failed(run, message, died)
            raise SkipMessage(str(died))
        self.revocation.add(run)
        set_current_run(run)

    def _place_of(self, broker: Broker, message: MessageProxy) -> Place | None:
        named = message.options.get(PLACE)
        if named is not None:
            return Place(named["chain"], named["stage"], named["member"], message.message_id)
        actor = broker.actors.get(message.actor_name)
        if actor is not None and actor.options.get("tracked"):
            return Place("", 1, 0, message.message_id)
        return None

    def _begin(self, place: Place, message: MessageProxy) -> Begun:
        """Ask until the board answers: a message that is acked without a begin would be lost."""
        failures, delivery = 0, str(next(self._deliveries))
        while True:
            try:
                begun = self.board.begin(
                    place,
                    actor=message.actor_name,
                    worker=self.lease.worker_id,
                    retries=int(message.options.get("retries", 0)),
                    delivery=delivery,
                    life_ttl=self.lease.ttl,
                )
                if begun.verdict != "unknown" or not self.restore(place.chain_id):
                    return begun
                continue
            except redis.RedisError as error:
                if not failures:
                    self.logger.warning(
                        "The board does not answer, message %s waits: %s", message.message_id, error
                    )
            except Exception:
                if not failures:
                    self.logger.exception("Message %s cannot begin yet.", message.message_id)
            pause = BEGIN_PAUSES[min(failures, len(BEGIN_PAUSES) - 1)]
            failures += 1
            if self._stopping.wait(pause):
                return Begun("abandoned")

    # the outcome ------------------------------------------------------------------------------------

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        run = run_of(message)
        set_current_run(None)
        # Told a second time, a hook of somebody's was interrupted after the outcome was known.
        if run is None or run.hand_over is not None:
            return
        try:
            self._decide(run, broker, message, result, exception)
        except Exception as error:
            # Dramatiq would swallow it and ack the message, and the chain would wait for ever.
            self.logger.exception("The outcome of message %s cannot be told as it is.", message.message_id)
            run.hand_over = self._failed(run, message, error)

    def _decide(
        self,
        run: Run,
        broker: Broker,
        message: MessageProxy,
        result: Any,
        exception: BaseException | None,
    ) -> None:
        if exception is None:
            run.hand_over = self._finished(run, broker.get_actor(message.actor_name), message, result)
        elif run.retry is not None and not message.failed:
            run.hand_over = self._retried(run, exception)
        else:
            run.hand_over = self._failed(run, message, exception)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        run = run_of(message)
        set_current_run(None)
        if run is None or run.interrupted:
            # Whoever has taken the task away has recorded it.
            return
        if run.hand_over is None:
            reason = SkipMessage(f"stage {run.stage_name} was skipped: too old, or by its own wish")
            run.hand_over = self._failed(run, message, reason)

    def before_ack(self, broker: Broker, message: MessageProxy) -> None:
        """A hook that was interrupted left no outcome. Acked like this, the chain would wait for ever."""
        run = run_of(message)
        if run is not None and run.hand_over is None and not run.interrupted:
            error = message._exception or RuntimeError("a hook was interrupted before the outcome was known")
            run.hand_over = self._failed(run, message, error)

    before_nack = before_ack

    def _finished(self, run: Run, actor: Actor[..., Any], message: MessageProxy, result: Any) -> HandOver:
        try:
            text = run.result or self.results.dump(run, result)
        except ResultError as error:
            return self._failed(run, message, error)
        if text.startswith(f'{{"{REFERENCE}":'):
            result = json.loads(text)
        return HandOver(
            self.board.finish(run.place, run.token, run.final_metadata(), text),
            successors(message, result, ignore=bool(actor.options.get("pipe_ignore"))),
        )

    def _retried(self, run: Run, exception: BaseException) -> HandOver:
        message = run.retry
        assert message is not None
        retries, due = int(message.options.get("retries", 0)), int(message.options.get("eta", 0))
        error = describe(exception)
        transition = self.board.retry(
            run.place,
            run.token,
            run.final_metadata(error=error, retries=retries, retry_at=due / 1000),
            error,
            trace(exception),
            retries,
            due,
        )
        return HandOver(transition, [message])

    def _failed(self, run: Run, message: MessageProxy, exception: BaseException) -> HandOver:
        message.fail()
        error = describe(exception)
        transition = self.board.fail(
            run.place,
            run.token,
            run.final_metadata(error=error),
            error,
            trace(exception),
            f"Task {message.actor_name} failed: {error}",
        )
        return HandOver(transition, successors(message, None))


def describe(exception: BaseException) -> str:
    """An exception's own text, cut where it is long, or its type where it has none."""
    text = ""
    # One that cannot say what it is, is tried again all the same.
    with suppress(Exception):
        text = str(exception)
    return (text or type(exception).__name__)[:ERROR_LENGTH].encode("utf-8", "replace").decode()


def trace(exception: BaseException) -> str:
    """The whole traceback, its end where it is very long."""
    text = "".join(traceback.format_exception(exception))
    return text[-TRACEBACK_LENGTH:].encode("utf-8", "replace").decode()
