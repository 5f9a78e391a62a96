"""Dramatiq's RabbitmqBroker with the hand-over in order: transition, then the next messages, then the ack.

A crash between two of them is made good by the redelivery of the message: its begin finds the task done,
and the successor that may have got lost is sent again. The fence makes a second copy harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pika
import redis
from dramatiq import Message, MessageProxy, Middleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker as StockRabbitmqBroker
from dramatiq.brokers.rabbitmq import _RabbitmqConsumer
from dramatiq.common import current_millis
from dramatiq.errors import BrokerConnectionError, ConnectionClosed

from db.board import Board
from db.chains import Transition
from middleware.pipelines import PLACE, successors
from middleware.run import HandOver, catch_retry, run_of, verdict_of


class RabbitmqBroker(StockRabbitmqBroker):
    """A RabbitmqBroker that tells the board of each outcome before it acks.

    Parameters:
        url: ``amqp://user:password@host:5672/vhost``.
        board: where transitions go.
        middleware: as for any Dramatiq broker.
    """

    def __init__(self, url: str, board: Board, *, middleware: list[Middleware]) -> None:
        super().__init__(url=url, middleware=middleware, confirm_delivery=True)
        self.board = board

    @property
    def consumer_class(self) -> type[Consumer]:
        return Consumer

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Enqueue a message, or keep it for the hand-over when it is the retry of the task that runs here.

        Raises:
            ConnectionClosed: RabbitMQ does not answer.
        """
        if catch_retry(message, delay):
            return message
        return super().enqueue(message, delay=delay)

    @property
    def namespace_of_queues(self) -> str:
        """Empty: the board's scripts cannot look into these queues."""
        return ""

    def may_hold(self, queue_names: Iterable[str]) -> bool:
        """Whether messages wait in one of the queues, so that a task without an owner may only be waiting.

        Raises:
            ConnectionClosed: RabbitMQ does not answer.
        """
        try:
            return any(self.get_queue_message_counts(queue_name)[0] for queue_name in queue_names)
        except pika.exceptions.AMQPError as error:
            # A connection that was idle for long is closed by the server: the next look gets another.
            del self.connection
            raise ConnectionClosed(error) from None

    def launch(self, transition: Transition, messages: Sequence[Message[Any]]) -> list[Any]:
        """Apply a transition, then send the messages that it lets go. Returns the transition's answer.

        Raises:
            redis.RedisError: the board does not answer.
            ConnectionClosed: RabbitMQ does not answer; the transition has been applied.
        """
        answer: list[Any] = self.board.apply(transition)
        self.send(_released(answer, messages))
        return answer

    def launch_many(self, launches: Iterable[tuple[Transition, Sequence[Message[Any]]]]) -> None:
        """As :meth:`launch`, one after the other."""
        for transition, messages in launches:
            self.launch(transition, messages)

    def settle(self, hand_over: HandOver, message: MessageProxy) -> None:
        """Carry out a message's hand-over; it may be repeated when a part of it fails.

        Raises:
            redis.RedisError: the board does not answer.
            ConnectionClosed: RabbitMQ does not answer.
        """
        answer = self.board.apply(hand_over.transition)
        # "repeated": an earlier try got this far. It may have failed to send, or never have heard what to.
        if answer[0] != b"repeated":
            hand_over.released = _released(answer, hand_over.successors)
        elif hand_over.released is None:
            self.send_successors_again(message)
            self.send_retry_again(message)
        try:
            self.send(hand_over.released or [])
        except (redis.RedisError, pika.exceptions.AMQPError, BrokerConnectionError):
            raise
        except Exception:
            # Options that are no JSON, or a hook that forbids it. The sweep finds that nobody owns what
            # follows, and makes its messages anew; not acked, this one would be the worker's for good.
            self.logger.exception("What follows message %s cannot be sent as it is.", message.message_id)

    def give_back(self, message: MessageProxy, transition: Transition) -> None:
        """Let a message's task go. RabbitMQ delivers the message again when the connection closes.

        Raises:
            redis.RedisError: the board does not answer.
        """
        self.board.apply(transition)

    def send_successors_again(self, message: MessageProxy) -> None:
        """For a redelivered message whose task is done: send what follows unless it has begun."""
        place = message.options.get(PLACE)
        live = self.board.chain(place["chain"]) if place else None
        if place is None or live is None or live.state["current"] != place["stage"] + 1:
            return
        following = live.plan[place["stage"]]
        members = range(1, len(following["tasks"]) + 1) if following["parallel"] else [0]
        if any(self.board.task(place["chain"], place["stage"] + 1, member) for member in members):
            return
        result = self.board.result(place["chain"], place["stage"], place["member"])
        ignore = bool(self.get_actor(message.actor_name).options.get("pipe_ignore"))
        self.send(successors(message, json.loads(result or "null"), ignore=ignore))

    def send_retry_again(self, message: MessageProxy) -> None:
        """For a redelivered message that is older than its task's retry: the retry's message may be lost."""
        place = message.options.get(PLACE)
        task = self.board.task(place["chain"], place["stage"], place["member"]) if place else None
        if task is not None and task["status"] == "RETRY":
            options = {"retries": task["retries"], "eta": int(task["due"])}
            self.send([message._message.copy(options=options)])

    def send(self, messages: Sequence[Message[Any]]) -> None:
        """Send messages, each for the moment in its ``eta`` option where it has one.

        Raises:
            ConnectionClosed: RabbitMQ does not answer.
        """
        for message in messages:
            eta = message.options.get("eta")
            super().enqueue(message, delay=None if eta is None else max(0, eta - current_millis()))


def _released(answer: list[Any], messages: Sequence[Message[Any]]) -> list[Message[Any]]:
    fire = answer[1] if len(answer) > 1 else None
    if fire == b"next":
        return list(messages)
    if isinstance(fire, list):
        return [messages[int(index) - 1] for index in fire]
    return []


class Consumer(_RabbitmqConsumer):
    """Settles a message with the board before RabbitMQ hears of it."""

    broker: RabbitmqBroker

    def ack(self, message: MessageProxy) -> None:
        if self._settle(message):
            super().ack(message)

    def nack(self, message: MessageProxy) -> None:
        if self._settle(message):
            super().nack(message)

    def _settle(self, message: MessageProxy) -> bool:
        """Returns False for a message that must stay unsettled and come back."""
        if verdict_of(message) == "abandoned":
            return False
        run = run_of(message)
        try:
            if run is not None and run.hand_over is not None:
                self.broker.settle(run.hand_over, message)
            elif verdict_of(message) == "busy":
                self.broker.send([message._message])
            elif verdict_of(message) == "done":
                self.broker.send_successors_again(message)
            elif verdict_of(message) == "stale":
                self.broker.send_retry_again(message)
        except (redis.RedisError, pika.exceptions.AMQPError) as error:
            raise ConnectionClosed(error) from None
        return True
