"""Why a task has not ended: who has it, when it is due, or where its message waits."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from actors.sweep import SWEEP_INTERVAL
from db.workers import KnownWorker, Workers

from .views import in_one_line

if TYPE_CHECKING:
    from actors.application import Application

#: Messages of a queue among which the one is looked for.
LONGEST_LOOK = 100_000
#: Seconds without a report after which we say so.
SILENCE = 30
NO_CLOCK = (
    "no clock runs, so nothing is sent again: start one with `callboard up` or `python -m actors.clock`"
)


@dataclass(frozen=True)
class Reason:
    """Why something has not ended.

    Attributes:
        code: ``running``, ``held``, ``queued``, ``retry``, ``no_worker``, ``worker_gone``, ``lost``; of
            chains also ``ended``, ``failed``, ``revoked`` and ``forgotten``.
        words: the end of a sentence; of a task it begins after what names the task.
        facts: what the words are made of.
    """

    code: str
    words: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A task of a chain's current stage.

    Attributes:
        label: what to call it, e.g. ``stage 2 (Premiere)`` or ``member 3 of stage 2 (label)``.
        state: what the live hash says of it; empty before its first begin.
        planned: what the plan says of it.
        entry: the stage's object of the status array.
    """

    label: str
    state: dict[str, Any]
    planned: dict[str, str]
    entry: dict[str, Any]


class Surroundings:
    """The workers, queues and clocks of an application, as they are now. Each is asked once, when needed."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.board = application.board
        self._client = application.board.clients.get()
        self._queues = application.broker.namespace_of_queues

    @cached_property
    def workers(self) -> list[KnownWorker]:
        """All workers that are known, dead ones too."""
        return Workers(self.board.clients, self.board.keys).known()

    @cached_property
    def clock_runs(self) -> bool:
        """Whether a clock has swept lately."""
        return bool(self._client.exists(self.board.keys.sweeper))

    def serving(self, queue: str) -> list[KnownWorker]:
        """The workers alive that take messages from a queue."""
        return [worker for worker in self.workers if worker.alive_for and queue in worker.facts.queues]

    def is_alive(self, worker_id: str) -> bool:
        """Whether that worker proves its life."""
        return bool(self._client.exists(self.board.keys.life(worker_id)))

    def next_look(self, chain_id: str) -> float:
        """Seconds until the sweep looks at a chain."""
        due: Any = self._client.zscore(self.board.keys.open, chain_id)
        return 0.0 if due is None else max(0.0, due / 1000 - time.time())

    def why(self, chain_id: str, task: Task) -> Reason:
        """Why a task has not ended."""
        state = task.state
        if state.get("status") in ("STARTED", "RUNNING"):
            if self.is_alive(state["worker"]):
                return _running(task)
            return self._left_by_worker(chain_id, task)
        if state.get("status") == "RETRY" and state.get("due", 0) / 1000 > time.time():
            return self._waits_for_retry(chain_id, task)
        return self._where_message_is(chain_id, task)

    def _left_by_worker(self, chain_id: str, task: Task) -> Reason:
        host = host_of(task.state["worker"])
        facts = {"host": host, "deaths": task.state.get("deaths", 0) + 1}
        message = self._where_message_is(chain_id, task)
        words = f"has lost its worker on {host}"
        if message.code in ("held", "lost"):
            words += f", takeover due within {SWEEP_INTERVAL} s" if self.clock_runs else f"; {NO_CLOCK}"
            if not self.serving(task.planned["queue_name"]):
                words += f"; no other worker is on queue {task.planned['queue_name']}"
        else:
            words += f" and {message.words}"
        return Reason("worker_gone", words, {**message.facts, **facts})

    def _waits_for_retry(self, chain_id: str, task: Task) -> Reason:
        state = task.state
        due, attempt = state["due"] / 1000, state.get("retries", 0) + 1
        attempts = self._attempts(task)
        told = [f"attempt {attempt} of {attempts}" if attempts else f"attempt {attempt}"]
        told += [in_one_line(state["error"])] if state.get("error") else []
        words = f"waits for its retry at {clock_time(due)} ({'; '.join(told)})"
        facts = {"due": due, "attempt": attempt, "attempts": attempts, "error": state.get("error")}
        if self._queues:
            message = self._where_message_is(chain_id, task)
            if message.code == "lost":
                return Reason("lost", f"{words}, but {message.words}", facts)
        queue = task.planned["queue_name"]
        if not self.serving(queue):
            words += f", but no worker is on queue {queue}"
        return Reason("retry", words, facts)

    def _attempts(self, task: Task) -> int | None:
        actors = self.application.broker.actors
        actor = actors.get(task.planned["task_name"])
        retries = actor.options.get("max_retries") if actor else None
        return None if retries is None else int(retries) + 1

    def _where_message_is(self, chain_id: str, task: Task) -> Reason:
        queue, task_id = task.planned["queue_name"], task.planned["task_id"]
        if not self._queues:
            return self._on_rabbitmq(queue)
        name, client = f"{self._queues}:{queue}", self._client
        pipe = client.pipeline(transaction=False)
        pipe.hexists(f"{name}.msgs", task_id)
        pipe.hget(f"{name}.DQ.msgs", task_id)
        pipe.llen(name)
        pipe.lpos(name, task_id, maxlen=LONGEST_LOOK)
        is_there, delayed, length, position = pipe.execute()
        if not is_there and delayed is None:
            return self._lost(chain_id)
        if delayed is not None and not is_there:
            return self._delayed(queue, json.loads(delayed))
        if position is None and length < LONGEST_LOOK:
            return self._held(queue, task_id)
        return self._queued(queue, length, position)

    def _queued(self, queue: str, length: int, position: int | None) -> Reason:
        facts = {"queue": queue, "length": length, "position": position}
        if not self.serving(queue):
            others = "" if length < 2 else f", where {length:,} messages wait"
            return Reason("no_worker", f"waits: no worker is on queue {queue}{others}", facts)
        if position is None:
            return Reason(
                "queued", f"waits behind more than {LONGEST_LOOK:,} messages on queue {queue}", facts
            )
        if not position:
            return Reason("queued", f"is next on queue {queue}", facts)
        messages = "message" if position == 1 else "messages"
        return Reason("queued", f"waits behind {position:,} {messages} on queue {queue}", facts)

    def _delayed(self, queue: str, message: dict[str, Any]) -> Reason:
        due = message["options"].get("eta", 0) / 1000
        words = f"waits until {clock_time(due)}" if due > time.time() else "is due"
        if not self.serving(queue):
            return Reason(
                "no_worker", f"{words}, but no worker is on queue {queue}", {"queue": queue, "due": due}
            )
        return Reason("queued", f"{words} on queue {queue}", {"queue": queue, "due": due})

    def _held(self, queue: str, task_id: str) -> Reason:
        """The message has been fetched: by whom?"""
        for worker in self.workers:
            held = f"{self._queues}:__acks__.{worker.facts.broker}.{queue}"
            if self._client.sismember(held, task_id):
                host, facts = worker.facts.host, {"queue": queue, "host": worker.facts.host}
                if worker.alive_for:
                    threads = "its thread is" if worker.facts.threads == 1 else "its threads are"
                    words = f"is taken by the worker on {host}, and waits while {threads} busy"
                    return Reason("held", words, facts)
                return Reason(
                    "held", f"was taken by a worker on {host} that is gone; {self._given_back}", facts
                )
        return Reason(
            "held", f"was taken by a worker that nobody knows; {self._given_back}", {"queue": queue}
        )

    @property
    def _given_back(self) -> str:
        return f"it is given back within {SWEEP_INTERVAL} s" if self.clock_runs else NO_CLOCK

    def _lost(self, chain_id: str) -> Reason:
        within = self.next_look(chain_id) + SWEEP_INTERVAL
        then = f"the sweep sends it again within {within:.0f} s" if self.clock_runs else NO_CLOCK
        return Reason("lost", f"has lost its message; {then}", {"within": within, "clock": self.clock_runs})

    def _on_rabbitmq(self, queue: str) -> Reason:
        # RabbitMQ does not tell where in a queue a message is.
        length = _passively(self.application.broker, queue)
        facts = {"queue": queue, "length": length}
        if not self.serving(queue):
            return Reason("no_worker", f"waits: no worker is on queue {queue}", facts)
        if length is None:
            return Reason("queued", f"waits on queue {queue}, of which RabbitMQ does not know", facts)
        return Reason("queued", f"waits on queue {queue} ({length:,} messages ready there)", facts)


def _passively(broker: Any, queue: str) -> int | None:
    """The length of a RabbitMQ queue; None for one that has not been declared."""
    import pika  # noqa: PLC0415 (needs the rabbitmq extra)

    channel = broker.connection.channel()
    try:
        return int(channel.queue_declare(queue=queue, passive=True).method.message_count)
    except pika.exceptions.ChannelClosedByBroker:
        return None
    finally:
        if channel.is_open:
            channel.close()


def _running(task: Task) -> Reason:
    state, host = task.state, host_of(task.state["worker"])
    seconds = max(0.0, time.time() - float(state.get("started", time.time())))
    metadata = json.loads(state.get("metadata") or "{}")
    told = [f"at {state.get('progress', 0)} %"]
    told += [in_one_line(str(metadata["substep"]))] if metadata.get("substep") else []
    silent = time.time() - float(task.entry.get("updated_at", time.time()))
    if silent > SILENCE:
        told.append(f"silent for {duration(silent)}")
    facts = {"host": host, "seconds": round(seconds, 3), "progress": state.get("progress", 0)}
    return Reason("running", f"runs on {host} for {duration(seconds)} ({', '.join(told)})", facts)


def host_of(worker_id: str) -> str:
    """The host and process of a worker's id."""
    host, pid, *_ = [*worker_id.rsplit(":", 2), "", ""]
    return f"{host} (process {pid})" if pid else host


def duration(seconds: float) -> str:
    """Seconds for people: ``12 s``, ``3 min``, ``5.2 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def clock_time(moment: float) -> str:
    """A moment in local time, with its date unless that is today's."""
    then = datetime.fromtimestamp(moment)
    return f"{then:%H:%M:%S}" if then.date() == datetime.now().date() else f"{then:%Y-%m-%d %H:%M:%S}"
