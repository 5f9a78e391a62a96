"""The board: what is true now, in Redis. One Lua script a transition, each atomic.

A :class:`Transition` is a script with its keys and arguments. :meth:`Board.apply` runs it alone; the broker
runs the same transition together with enqueue and ack, in one script (``actors/redis_broker.py``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .chains import Begun, LiveChain, Place, StagePlan, Transition, encode, now
from .keys import FINAL_STATE_TTL, Keys
from .redis_client import ThreadClients
from .scripts import script

#: Characters of an error that the board and the ledger show; the traceback is kept beside it.
ERROR_LENGTH = 500


class Board:
    """Reads and changes the live state of chains.

    Parameters:
        clients: connections to the board's Redis.
        keys: names of its keys.
        status_ttl: seconds that a status array lives after its last change.
        max_worker_deaths: how many workers may die under a task before it fails.
    """

    def __init__(
        self, clients: ThreadClients, keys: Keys, *, status_ttl: int = 3600, max_worker_deaths: int = 5
    ) -> None:
        self.clients = clients
        self.keys = keys
        self.status_ttl = status_ttl
        self.max_worker_deaths = max_worker_deaths

    def apply(self, transition: Transition) -> Any:
        """Run one transition and return the script's answer.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        return script(transition.name)(self.clients.get(), transition.keys, transition.arguments)

    def keys_of(self, place: Place) -> list[str]:
        """KEYS of every transition: live hash, status array, event stream, message stream, open chains."""
        if place.chain_id:
            return self._chain_keys(place.chain_id)
        return self._keys(self.keys.lone(place.task_id), place.task_id)

    def _chain_keys(self, chain_id: str) -> list[str]:
        return self._keys(self.keys.live(chain_id), chain_id)

    def _keys(self, live: str, identity: str) -> list[str]:
        keys = self.keys
        return [live, keys.array(identity), keys.events, keys.messages(identity), keys.open]

    def post(
        self,
        chain_id: str,
        name: str,
        stages: Sequence[StagePlan],
        *,
        channel: str | None = None,
        batch_id: str | None = None,
        initiated_by: str | None = None,
        keys: dict[str, Any] | None = None,
    ) -> Transition:
        """The transition that puts a chain on the board, all stages PENDING.

        Parameters:
            keys: for readers of existing systems, as :meth:`db.status_keys.StatusKeys.of` has them.
        """
        created, channel = now(), channel or self.keys.progress
        facts = {
            "name": name,
            "total": sum(len(stage.tasks) for stage in stages),
            "created": created,
            "batch": batch_id,
            "by": initiated_by,
            "channel": channel,
        }
        arguments: list[Any] = [
            chain_id,
            self.status_ttl,
            created,
            channel,
            encode(facts),
            encode([stage.as_json() for stage in stages]),
            encode(keys) if keys else "",
        ]
        for stage in stages:
            members = len(stage.tasks) if stage.parallel else 0
            arguments += [encode(stage.name), members, stage.policy, encode(stage.span) if stage.span else ""]
        return Transition("post", self._chain_keys(chain_id), arguments)

    def withdraw(self, chain_id: str) -> bool:
        """Take a chain off the board of which no task has begun. Returns whether one has, so that it stays.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        return bool(self.apply(Transition("withdraw", self._chain_keys(chain_id), [chain_id])))

    def begin(
        self,
        place: Place,
        *,
        actor: str,
        worker: str,
        retries: int,
        delivery: str = "",
        life_ttl: int = 0,
    ) -> Begun:
        """Take a task for this worker. One round trip.

        Parameters:
            delivery: tells this worker's deliveries apart. The same begin again, sent because the answer was
                lost, is answered as the first time; it would wait for itself for ever.
            life_ttl: seconds that the worker counts as alive from now on, where it does not yet.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        answer = self.apply(
            Transition(
                "begin",
                self.keys_of(place),
                [
                    place.chain_id,
                    place.stage,
                    place.member,
                    place.task_id,
                    actor,
                    now(),
                    worker,
                    retries,
                    self.status_ttl,
                    self.keys.life(""),
                    self.max_worker_deaths,
                    delivery,
                    life_ttl,
                ],
            )
        )
        verdict = answer[0].decode()
        if verdict == "busy":
            return Begun(verdict, alive_for=int(answer[1]))
        if verdict not in ("go", "exhausted"):
            return Begun(verdict)
        inputs, before = answer[3:5]
        return Begun(
            verdict,
            answer[1].decode(),
            int(answer[2]),
            json.loads(inputs) if inputs else None,
            (json.loads(before),) if before else None,
        )

    def lost(self, runs: Sequence[tuple[Place, str]]) -> list[int]:
        """Which of these runs (each with its token) have lost their tasks. One round trip for all.

        Returns:
            Their indexes, from 0.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        keys = [self.keys_of(place)[0] for place, _ in runs]
        arguments: list[Any] = []
        for place, token in runs:
            arguments += [f"{place.stage}.{place.member}", token]
        return [index - 1 for index in self.apply(Transition("lost", keys, arguments))]

    def progress(self, place: Place, token: str, percent: int | None, metadata: str, log: str | None) -> bool:
        """Report from inside a stage. One round trip.

        Returns:
            False when the run has lost its task, because another took over or the chain has ended.
        """
        arguments = [
            place.chain_id,
            place.stage,
            place.member,
            token,
            now(),
            self.status_ttl,
            "" if percent is None else percent,
            metadata,
            "" if log is None else encode(log),
            FINAL_STATE_TTL,
        ]
        return bool(self.apply(Transition("progress", self.keys_of(place), arguments)) == b"go")

    def finish(self, place: Place, token: str, metadata: str, result: str) -> Transition:
        """The transition of a task that has succeeded with ``result`` (JSON)."""
        return self._ending("finish", place, token, metadata, result)

    def retry(
        self, place: Place, token: str, metadata: str, error: str, traceback: str, retries: int, due: int
    ) -> Transition:
        """The transition of a task that has failed and will be tried again.

        Parameters:
            retries: the number of that try.
            due: millisecond of the epoch at which it is due.
        """
        return self._ending("retry", place, token, metadata, error[:ERROR_LENGTH], traceback, retries, due)

    def fail(
        self, place: Place, token: str, metadata: str, error: str, traceback: str, chain_error: str
    ) -> Transition:
        """The transition of a task that has failed for good."""
        log = encode(chain_error[:ERROR_LENGTH])
        return self._ending("fail", place, token, metadata, error[:ERROR_LENGTH], traceback, chain_error, log)

    def give_back(self, place: Place, token: str, metadata: str) -> Transition:
        """The transition of a task that a worker lets go before its end, as it shuts down."""
        return self._ending("give_back", place, token, metadata)

    def _ending(self, name: str, place: Place, token: str, metadata: str, *more: Any) -> Transition:
        arguments = [
            place.chain_id,
            place.stage,
            place.member,
            token,
            now(),
            self.status_ttl,
            FINAL_STATE_TTL,
            metadata,
            *more,
        ]
        return Transition(name, self.keys_of(place), arguments)

    def revoke(self, chain_id: str, reason: str) -> Transition:
        """The transition that calls a chain off."""
        arguments = [chain_id, now(), self.status_ttl, FINAL_STATE_TTL, reason]
        return Transition("revoke", self._chain_keys(chain_id), arguments)

    def resume(self, chain_id: str, from_stage: int | None, letter: str = "") -> Transition:
        """The transition that lets an ended chain go on; with a letter only while it has it in its batch."""
        arguments = [chain_id, now(), self.status_ttl, "" if from_stage is None else from_stage, letter]
        return Transition("resume", self._chain_keys(chain_id), arguments)

    def resend(self, chain_id: str, stage: int, queues: str) -> Transition:
        """The transition that sends those messages of a stage again whose tasks nobody owns.

        Parameters:
            queues: namespace of the queues in Redis; empty where they are elsewhere.
        """
        return Transition("resend", self._chain_keys(chain_id), [chain_id, stage, self.keys.life(""), queues])

    def overlooked(self, queues: str, *, next_look: float, most: int) -> tuple[list[str], int]:
        """The sweep's look at the open chains whose turn it is.

        Parameters:
            queues: as :meth:`resend` has it.
            next_look: seconds until these chains are looked at again.
            most: how many to look at.

        Returns:
            The ids of chains of which a task has no owner, or of which the live state is gone; and the number
            of those that were looked at.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        arguments = [self.keys.live(""), self.keys.life(""), queues, int(next_look * 1000), most]
        *found, looked_at = self.apply(Transition("overlooked", [self.keys.open], arguments))
        return [chain_id.decode() for chain_id in found], int(looked_at)

    def restore(
        self, chain_id: str, fields: dict[str, Any], array: list[dict[str, Any]], ended: bool
    ) -> None:
        """Write back a chain that the board has forgotten; ``fields`` are the live hash's.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        # One line for each stage, as the scripts have it.
        text = "[" + ",\n".join(map(encode, array)) + "]"
        arguments: list[Any] = [chain_id, self.status_ttl, FINAL_STATE_TTL if ended else 0, text, now()]
        for field, value in fields.items():
            arguments += [field, value]
        self.apply(Transition("restore", self._chain_keys(chain_id), arguments))

    def array(self, chain_id: str) -> list[dict[str, Any]] | None:
        """The status array of a chain, or None where the board does not know it.

        A single object (the old form) is read as an array of one. When it has expired while its chain
        waited, the live state still has it.
        """
        client = self.clients.get()
        text: Any = client.get(self.keys.array(chain_id))
        if text is None:
            text = client.hget(self.keys.live(chain_id), "array")
            if text is None:
                return None
        found = json.loads(text)
        return found if isinstance(found, list) else [found]

    def chain(self, chain_id: str) -> LiveChain | None:
        """The live state of a chain, or None where the board does not know it."""
        names = ["facts", "state", "plan", "final"]
        found: Any = self.clients.get().hmget(self.keys.live(chain_id), names)
        if found[0] is None:
            return None
        facts, state, plan = (json.loads(text) for text in found[:3])
        return LiveChain(facts, state, plan, json.loads(found[3]) if found[3] else None)

    def publish(self, chain_id: str, message: str) -> None:
        """Send a progress message (JSON) by hand, on the chain's channel and into its stream.

        On the common channel, and kept for an hour, for a chain that is not on the board.

        Raises:
            redis.RedisError: the server does not answer or refuses.
        """
        arguments = [message, self.keys.progress, FINAL_STATE_TTL]
        self.apply(Transition("publish", self._chain_keys(chain_id), arguments))

    def known(self, chain_ids: Sequence[str]) -> list[bool]:
        """Whether the board has each of these chains. One round trip for all.

        Raises:
            redis.RedisError: the server does not answer.
        """
        pipe = self.clients.get().pipeline(transaction=False)
        for chain_id in chain_ids:
            pipe.exists(self.keys.live(chain_id))
        return [bool(there) for there in pipe.execute()] if chain_ids else []

    def oldest_event(self) -> float | None:
        """When the oldest event that waits for the ledger was written (epoch seconds); None if none waits.

        Raises:
            redis.RedisError: the server does not answer.
        """
        oldest: Any = self.clients.get().xrange(self.keys.events, count=1)
        return int(oldest[0][0].partition(b"-")[0]) / 1000 if oldest else None

    def task(self, chain_id: str, stage: int, member: int = 0) -> dict[str, Any] | None:
        """The live state of a task (fields in ``includes/transition.lua``); None before its first begin."""
        text: Any = self.clients.get().hget(self.keys.live(chain_id), f"{stage}.{member}")
        return json.loads(text) if text else None

    def result(self, chain_id: str, stage: int, member: int = 0) -> str | None:
        """What a task has returned, as JSON; None where it has not succeeded."""
        text: Any = self.clients.get().hget(self.keys.live(chain_id), f"{stage}.{member}:result")
        return text.decode() if text else None
