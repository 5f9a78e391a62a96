"""Dramatiq's RedisBroker with the hand-over and the wake-up.

Hand-over: what a worker has to say at the end of a message (the board's transition, the next messages, the
ack) travels as one script, around Dramatiq's own dispatch script. Wake-up: an idle consumer waits on a
list that each enqueue feeds, instead of asking again and again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from dramatiq import Message, MessageProxy, Middleware
from dramatiq.brokers.redis import RedisBroker as StockRedisBroker
from dramatiq.common import current_millis, dq_name

from db.chains import Transition
from db.redis_client import ThreadClients, connect
from db.scripts import Script, source
from middleware.pipelines import PLACE, QUEUE_ID
from middleware.run import HandOver, catch_retry

from .redis_consumer import Consumer

_LUA = Path(__file__).parent / "lua"
#: Chains that one round trip launches.
LAUNCH_SIZE = 200
#: Tells the hand-over script that no message is settled.
NOTHING = ("", "", "")
#: Messages that go out without a change of the board.
NO_TRANSITION = Transition("no_transition", [""] * 5, [])

Envelope = tuple[str, str, bytes]


def retried_id(queue_id: str, retries: int) -> str:
    """The id in its queue of a message with the option ``QUEUE_ID`` at one of its retries."""
    return f"{queue_id}#{retries}" if retries else queue_id


@lru_cache
def _hand_over_script(transition: str, dispatch: bytes) -> Script:
    if transition == "no_transition":
        board_text = (_LUA / "no_transition.lua").read_text("utf-8")
    else:
        board_text = source(transition)
    return Script(
        f"local function transition(KEYS, ARGV)\n{board_text}\nend\n"
        f"local function dispatch(KEYS, ARGV)\n{dispatch.decode()}\nend\n"
        + (_LUA / "hand_over.lua").read_text("utf-8")
    )


@lru_cache
def _reclaim_script() -> Script:
    return Script((_LUA / "reclaim.lua").read_text("utf-8"))


class RedisBroker(StockRedisBroker):
    """A RedisBroker that hands over in one step and wakes idle consumers.

    Parameters:
        clients: connections, one a thread; the board must live on the same server and database.
        middleware: as for any Dramatiq broker.
        namespace: first part of the broker's keys.
    """

    def __init__(self, clients: ThreadClients, *, middleware: list[Middleware], namespace: str) -> None:
        super().__init__(client=connect(clients.url), middleware=middleware, namespace=namespace)
        self.clients = clients
        self._dropped: dict[str, set[str]] = defaultdict(set)
        self._in_hand: dict[str, set[str]] = defaultdict(set)

    @property
    def consumer_class(self) -> type[Consumer]:
        return Consumer

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Enqueue a message, or keep it for the hand-over when it is the retry of the task that runs here.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        if catch_retry(message, delay):
            return message
        if delay is not None:
            message = message.copy(options={"eta": current_millis() + delay})
        sealed = self._address(message)
        self.emit_before("enqueue", sealed, delay)
        self.do_enqueue(sealed.queue_name, sealed.options["redis_message_id"], sealed.encode())
        self.emit_after("enqueue", sealed, delay)
        return sealed

    def do_enqueue(self, queue_name: str, redis_message_id: str, data: bytes) -> None:
        """Put a message on a queue as it is, and wake a consumer."""
        self._hand_over(NO_TRANSITION, [(queue_name, redis_message_id, data)], NOTHING)

    @property
    def namespace_of_queues(self) -> str:
        """Where the board's scripts can look for a chain's messages."""
        return str(self.namespace)

    def may_hold(self, queue_names: Iterable[str]) -> bool:
        """Whether queues may hold messages that the board's scripts cannot see: never, here."""
        return False

    def holds(self, queue_name: str, redis_message_ids: Sequence[str]) -> list[bool]:
        """Whether a queue holds each of these messages: waiting, delayed, or with a worker.

        Raises:
            redis.RedisError: the server does not answer.
        """
        pipe = self.clients.get().pipeline(transaction=False)
        for redis_message_id in redis_message_ids:
            for name in (queue_name, dq_name(queue_name)):
                pipe.hexists(f"{self.namespace}:{name}.msgs", redis_message_id)
        found = pipe.execute() if redis_message_ids else []
        return [here or delayed for here, delayed in zip(found[::2], found[1::2], strict=True)]

    def launch(self, transition: Transition, messages: Sequence[Message[Any]]) -> list[Any]:
        """Apply a transition and send the messages that it lets go, in one step.

        Returns:
            The transition's answer.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        return self._hand_over(transition, self._seal(messages), NOTHING)

    def launch_many(self, launches: Iterable[tuple[Transition, Sequence[Message[Any]]]]) -> None:
        """As :meth:`launch` for many of one kind, a few hundred in each round trip.

        Raises:
            redis.RedisError: the server does not answer or refuses; some may have been launched.
        """
        waiting = list(launches)
        client = self.clients.get()
        for start in range(0, len(waiting), LAUNCH_SIZE):
            pipe = client.pipeline(transaction=False)
            for transition, messages in waiting[start : start + LAUNCH_SIZE]:
                script, keys, arguments = self._call(transition, self._seal(messages), NOTHING)
                if not len(pipe):
                    pipe.script_load(script.text)
                pipe.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
            pipe.execute()

    def settle(self, hand_over: HandOver, queue_name: str, verb: str, redis_message_id: str) -> list[Any]:
        """Carry out a hand-over and ack or nack the message that it came from.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        return self._hand_over(
            hand_over.transition, self._seal(hand_over.successors), (queue_name, verb, redis_message_id)
        )

    def put_off(self, message: MessageProxy, queue_name: str) -> None:
        """Ack a message and send it again for the moment in its ``eta`` option, in one step.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        settled = (queue_name, "ack", message.options["redis_message_id"])
        self._hand_over(NO_TRANSITION, self._seal([message._message]), settled)

    def give_back(self, message: MessageProxy, transition: Transition) -> None:
        """Put an un-acked message back to its queue, with the transition that lets its task go.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        self._hand_over(transition, [], (message.queue_name, "requeue", message.options["redis_message_id"]))

    def drop(self, message: MessageProxy, queue_name: str) -> None:
        """Ack the message of no run, or of one that has lost its task; one sent since under its id stays.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        self._hand_over(NO_TRANSITION, [], (queue_name, "drop", message.options["redis_message_id"]))

    def bury(self, queue_name: str, data: bytes) -> None:
        """Move what cannot be decoded out of a queue, to the queue's dead letters.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        # Only the data came with the fetch; it happens so seldom that a search for its id will do.
        messages = self.clients.get().hscan_iter(f"{self.namespace}:{queue_name}.msgs")
        for redis_message_id, found in messages:
            if found == data:
                self._dispatch("nack")(queue_name, redis_message_id)

    def reclaim(self, broker_id: str, queue_names: Sequence[str]) -> int:
        """Give the un-acked messages of a dead worker back to their queues, delayed ones too.

        Returns:
            How many there were.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        names = [name for queue_name in queue_names for name in (queue_name, dq_name(queue_name))]
        return int(_reclaim_script()(self.clients.get(), [self.namespace], [broker_id, *names]))

    def silent(self, seconds: float) -> list[str]:
        """The ids of those who have fetched or sent nothing for so long, dead or idle.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        before = current_millis() - int(seconds * 1000)
        ids: Any = self.clients.get().zrangebyscore(f"{self.namespace}:__heartbeats__", "-inf", before)
        return [broker_id.decode() for broker_id in ids]

    def remember_dropped(self, queue_name: str, redis_message_ids: Iterable[str]) -> None:
        """Note messages that a consumer had fetched and no longer has: the next one puts them back."""
        self._dropped[queue_name].update(redis_message_ids)

    def put_back_dropped(self, queue_name: str) -> None:
        """Put back to a queue what consumers have dropped.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        if dropped := self._dropped[queue_name]:
            self._dispatch("requeue")(queue_name, *dropped)
            self._in_hand[queue_name] -= dropped
            dropped.clear()

    def take_in_hand(self, queue_name: str, redis_message_id: str) -> None:
        """Note a message that a consumer has been given."""
        self._in_hand[queue_name].add(redis_message_id)

    def let_go(self, queue_name: str, redis_message_id: str) -> None:
        """Note a message that is settled."""
        self._in_hand[queue_name].discard(redis_message_id)

    def put_back_strays(self, queue_name: str) -> None:
        """Put back what Redis has handed to this worker and never arrived: the answer to a fetch was lost.

        Nobody else may take such a message while this worker lives.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        # First ours, then theirs: what is settled in between is in neither.
        in_hand = set(self._in_hand[queue_name])
        acks = f"{self.namespace}:__acks__.{self.broker_id}.{queue_name}"
        handed: Any = self.clients.get().smembers(acks)
        strays = [stray for stray in map(bytes.decode, handed) if stray not in in_hand]
        if strays:
            self.logger.warning("%d messages of queue %r never arrived; put back.", len(strays), queue_name)
            self._dispatch("requeue")(queue_name, *strays)

    def _hand_over(
        self, transition: Transition, envelopes: Sequence[Envelope], settled: tuple[str, str, str]
    ) -> list[Any]:
        script, keys, arguments = self._call(transition, envelopes, settled)
        answer: list[Any] = script(self.clients.get(), keys, arguments)
        return answer

    def _call(
        self, transition: Transition, envelopes: Sequence[Envelope], settled: tuple[str, str, str]
    ) -> tuple[Script, list[str], list[Any]]:
        arguments = [
            len(transition.arguments),
            *transition.arguments,
            current_millis(),
            self.broker_id,
            self.heartbeat_timeout,
            self.dead_message_ttl,
            self._max_unpack_size(),
            *settled,
        ]
        for envelope in envelopes:
            arguments += envelope
        script = _hand_over_script(transition.name, self.scripts["dispatch"].script)
        return script, [*transition.keys, self.namespace], arguments

    def _seal(self, messages: Sequence[Message[Any]]) -> list[Envelope]:
        envelopes = []
        for message in messages:
            sealed = self._address(message)
            delay = sealed.options["eta"] - current_millis() if "eta" in sealed.options else None
            self.emit_before("enqueue", sealed, delay)
            envelopes.append((sealed.queue_name, sealed.options["redis_message_id"], sealed.encode()))
            self.emit_after("enqueue", sealed, delay)
        return envelopes

    def _address(self, message: Message[Any]) -> Message[Any]:
        """The message as it lies in its queue, or in the delay queue where it has an ``eta``."""
        queue_name = dq_name(message.queue_name) if "eta" in message.options else message.queue_name
        # By an id that is known, as a chain's task has one, it can be found out whether the message is there.
        if PLACE in message.options:
            redis_message_id = message.message_id
        elif queue_id := message.options.get(QUEUE_ID):
            # Dramatiq sends a retry before it acks: by the same id a late ack would take the retry away.
            redis_message_id = retried_id(queue_id, message.options.get("retries", 0))
        else:
            redis_message_id = str(uuid4())
        return message.copy(queue_name=queue_name, options={"redis_message_id": redis_message_id})

    def _dispatch(self, command: str) -> Any:
        """Dramatiq's own commands, on the calling thread's connection."""
        dispatch = self.scripts["dispatch"]

        def call(queue_name: str, *arguments: Any) -> Any:
            return dispatch(
                keys=[self.namespace],
                args=[
                    command,
                    current_millis(),
                    queue_name,
                    self.broker_id,
                    self.heartbeat_timeout,
                    self.dead_message_ttl,
                    self._should_do_maintenance(command),
                    self._max_unpack_size(),
                    *arguments,
                ],
                client=self.clients.get(),
            )

        return call

    def maintain(self, queue_name: str) -> None:
        """Give the messages of workers whose heartbeat has stopped back to their queue.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        # Any command can carry the maintenance flag; asking for the size changes nothing else.
        self.scripts["dispatch"](
            keys=[self.namespace],
            args=[
                "qsize",
                current_millis(),
                queue_name,
                self.broker_id,
                self.heartbeat_timeout,
                self.dead_message_ttl,
                1,
                self._max_unpack_size(),
            ],
            client=self.clients.get(),
        )

    def wake_key(self, queue_name: str) -> str:
        """List: one entry for each of the last enqueues that no idle consumer has noticed yet."""
        return f"{self.namespace}:{queue_name}:wake"
