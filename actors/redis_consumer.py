"""The consumer of one queue on Redis: fetches, waits, and settles what the worker is done with."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import redis
from dramatiq import Message, MessageProxy
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed, DecodeError

from middleware.run import HandOver, run_of, verdict_of

if TYPE_CHECKING:
    from .redis_broker import RedisBroker

#: Seconds that an idle consumer waits at most: less than the socket's time-out and than a stop may wait.
LONGEST_WAIT = 0.5
#: Seconds between two looks for messages whose fetch was answered to nobody.
STRAY_INTERVAL = 5.0


class Consumer(_RedisConsumer):
    """Takes messages off a queue; waits on the queue's wake list while there are none."""

    broker: RedisBroker

    def __init__(self, broker: RedisBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)
        self._room = threading.Event()
        self._least_room = max(1, prefetch // 4)
        self._next_look = time.monotonic() + STRAY_INTERVAL
        #: Delayed messages that the worker keeps until they are due: redis message id → eta.
        self._etas: dict[str, int] = {}

    def close(self) -> None:
        """The worker forgets its delayed messages with the connection, and what is cached here goes too."""
        self.broker.remember_dropped(self.queue_name, self._etas)
        for data in self.message_cache:
            with suppress(DecodeError):
                dropped = Message.decode(data).options["redis_message_id"]
                self.broker.remember_dropped(self.queue_name, [dropped])

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages back to the queue; while Redis is away, as soon as there is a consumer again."""
        dropped = [message.options["redis_message_id"] for message in messages]
        self.broker.remember_dropped(self.queue_name, dropped)
        with suppress(redis.RedisError):
            self.broker.put_back_dropped(self.queue_name)

    def ack(self, message: MessageProxy) -> None:
        self._settle(message, "ack")

    def nack(self, message: MessageProxy) -> None:
        self._settle(message, "nack")

    def _settle(self, message: MessageProxy, verb: str) -> None:
        # A begin that was given up has recorded nothing: the message must come back.
        if verdict_of(message) == "abandoned":
            return
        run = run_of(message)
        redis_message_id = message.options["redis_message_id"]
        try:
            if verdict_of(message) == "busy":
                self.broker.put_off(message, self.queue_name)
            elif run is not None and run.hand_over is not None:
                self._hand_over(run.hand_over, verb, message)
            elif verdict_of(message) is not None:
                # Not run, or no longer the task's run: a message that is to run may have been sent meanwhile.
                self.broker.drop(message, self.queue_name)
            else:
                self.broker._dispatch(verb)(self.queue_name, redis_message_id)
            self.broker.let_go(self.queue_name, redis_message_id)
        except redis.RedisError as error:
            # Dramatiq tries again for as long as the connection counts as closed, and only then.
            raise ConnectionClosed(error) from None
        finally:
            self.queued_message_ids.discard(message.message_id)
            self._etas.pop(redis_message_id, None)
            if self.prefetch - self.outstanding_message_count >= self._least_room:
                self._room.set()

    def _hand_over(self, hand_over: HandOver, verb: str, message: MessageProxy) -> None:
        redis_message_id = message.options["redis_message_id"]
        try:
            self.broker.settle(hand_over, self.queue_name, verb, redis_message_id)
        except redis.RedisError:
            raise
        except Exception:
            # Options that are no JSON, or a hook that forbids it. Told without them, what follows is unowned,
            # and the sweep makes its messages anew; untold, the task would be this worker's for good.
            self.logger.exception("What follows message %s cannot be sent as it is.", message.message_id)
            hand_over.successors = []
            self.broker.settle(hand_over, self.queue_name, verb, redis_message_id)

    def __next__(self) -> MessageProxy | None:
        try:
            if not self.message_cache and not self._fetch():
                return None
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None
        data = self.message_cache.pop(0)
        try:
            message: Message[Any] = Message.decode(data)
        except DecodeError:
            # Raised on, it would take the messages fetched with it down.
            self.logger.exception(
                "A message on queue %r cannot be decoded, it goes to the dead letters: %r",
                self.queue_name,
                data[:500],
            )
            self._bury(data)
            return None
        self.queued_message_ids.add(message.message_id)
        self.broker.take_in_hand(self.queue_name, message.options["redis_message_id"])
        if "eta" in message.options:
            self._etas[message.options["redis_message_id"]] = message.options["eta"]
        return MessageProxy(message)

    def _bury(self, data: bytes) -> None:
        try:
            self.broker.bury(self.queue_name, data)
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None

    def _fetch(self) -> bool:
        room = self.prefetch - self.outstanding_message_count
        if room < self._least_room:
            # One message at a time would be one round trip for each.
            self._room.wait(self._longest_wait())
            self._room.clear()
            return False
        self.broker.put_back_dropped(self.queue_name)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + STRAY_INTERVAL
            self.broker.put_back_strays(self.queue_name)
        # An id whose data is gone (flushed meanwhile) comes as None.
        found = [data for data in self.broker.do_fetch(self.queue_name, room) if data is not None]
        if not found:
            self.broker.clients.get().blpop([self.broker.wake_key(self.queue_name)], self._longest_wait())
        self.message_cache = found
        return bool(found)

    def _longest_wait(self) -> float:
        """Seconds until the consumer thread must look at its delayed messages again."""
        longest: float = min(LONGEST_WAIT, self.timeout / 1000)
        if self._etas:
            longest = min(longest, min(self._etas.values()) / 1000 - time.time())
        return max(0.01, longest)
