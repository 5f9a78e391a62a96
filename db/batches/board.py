"""Batches on the board: what is read and changed of them. What is kept there: ``db/batches/live.py``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from db.chains import Transition, encode, now
from db.keys import CALLED_TTL, FINAL_STATE_TTL, Keys
from db.redis_client import ThreadClients
from db.scripts import script
from db.status_rows import AT_END

from .facts import BatchFacts
from .live import LiveBatch, read_answer

PRIORITIES = ("high", "default", "low")
#: Seconds that its messages are kept after the last one, while it runs.
_STREAM_TTL = 7 * 86_400


@dataclass(frozen=True)
class Line:
    """Who has chunks to release: whether one of a higher priority, and how many of one's own, oneself too."""

    outranked: bool
    sharers: int


class BatchBoard:
    """Reads and changes batches on the board. Every method may raise ``redis.RedisError``."""

    def __init__(self, clients: ThreadClients, keys: Keys) -> None:
        self.clients = clients
        self.keys = keys

    def _run(self, name: str, keys: list[str], *arguments: Any) -> Any:
        return script(name)(self.clients.get(), keys, list(arguments))

    def _keys(self, batch_id: str) -> list[str]:
        return [self.keys.batch(batch_id), self.keys.batch_items(batch_id), self.keys.batches]

    def post(self, batch_id: str, facts: BatchFacts, letters: bytes, fields: dict[str, Any]) -> bool:
        """Put a batch onto the board, unless it is there. Returns whether it was not.

        Parameters:
            letters: one for each item; what a chain has told before stays.
            fields: of the hash, beside the facts.
        """
        arguments: list[Any] = ["facts", encode(asdict(facts))]
        for name, value in fields.items():
            arguments += [name, value]
        return bool(self._run("batch_post", self._keys(batch_id), batch_id, letters, *arguments))

    def read(self, batch_id: str) -> LiveBatch | None:
        """The batch as it is now; None when it is not on the board."""
        return read_answer(self._run("batch_read", self._keys(batch_id)[:2], now()))

    def release(self, batch_id: str, live: LiveBatch, onwards: int, again: Sequence[int] = ()) -> list[int]:
        """Let chunks go, up to a number of them, and others once more.

        Parameters:
            live: the reading by which this was decided; the segments of its facts apply from now on.

        Returns:
            The chunks that the caller is to send; none where somebody else was faster.
        """
        facts = live.facts
        bounds = [bound for chunk in again for bound in _bounds(facts.range_of(chunk))]
        segments = encode(facts.segments) if facts.segments else ""
        answer = self._run(
            "batch_release",
            self._keys(batch_id)[:2],
            *(live.turn, live.released, onwards, segments, now(), live.images_let_go()),
            *bounds,
        )
        if not answer:
            return []
        return [*(again[int(index) - 1] for index in answer[1:]), *range(live.released, onwards)]

    def mark(
        self,
        batch_id: str,
        letter: str,
        items: Iterable[range],
        state: Literal["new", "open", "again"] = "new",
    ) -> int:
        """Give those of the items a letter that have none.

        Parameters:
            state: ``open``: those, too, whose chain is open; ``again``: instead, those that have failed and
                whose chunk has been released again.
        """
        bounds = [bound for own in items for bound in _bounds(own)]
        return int(self._run("batch_mark", self._keys(batch_id), batch_id, letter, state, *bounds))

    def retry(self, batch_id: str) -> tuple[str, int]:
        """Ask that what has failed be retried.

        Returns:
            ``recorded``, ``revoked`` or ``unknown``; and how many items there are.
        """
        said, count = self._run("batch_retry", self._keys(batch_id), batch_id)
        return said.decode(), int(count)

    def revoke(self, batch_id: str, reason: str, images: int) -> tuple[str, int, int]:
        """Call a batch off.

        Returns:
            ``recorded``, ``closed`` (it has ended) or ``unknown``; how many of its items will not be started,
            and of how many the retry is called off.
        """
        said, *counts = self._run("batch_revoke", self._keys(batch_id), batch_id, reason, images)
        new, retries = map(int, counts or (0, 0))
        return said.decode(), new, retries

    def close(self, batch_id: str, finished: float, called: Sequence[str] = ()) -> Transition:
        """The transition that notes a batch's end at that moment, unless a chain of it was resumed meanwhile.

        Parameters:
            called: ids of messages that go out with it, where that is one step.
        """
        keys = [*self._keys(batch_id), self.keys.batches_waiting, self.keys.called("")]
        return Transition(
            "batch_close", keys, [batch_id, repr(finished), FINAL_STATE_TTL, CALLED_TTL, *called]
        )

    def was_called(self, message_ids: Sequence[str]) -> list[bool]:
        """Whether the message of a callback was sent of late."""
        pipe = self.clients.get().pipeline(transaction=False)
        for message_id in message_ids:
            pipe.exists(self.keys.called(message_id))
        return [bool(found) for found in pipe.execute()] if message_ids else []

    def note_called(self, message_ids: Sequence[str]) -> None:
        """Note that messages of callbacks were sent."""
        for message_id in message_ids:
            self.clients.get().set(self.keys.called(message_id), 1, ex=CALLED_TTL)

    def forget(self, batch_id: str) -> None:
        """Take a batch off the board."""
        client = self.clients.get()
        client.unlink(
            self.keys.batch(batch_id), self.keys.batch_items(batch_id), self.keys.messages(batch_id)
        )
        client.zrem(self.keys.batches, batch_id)
        client.hdel(self.keys.batches_waiting, batch_id)

    def due(self, *, next_look: float, most: int) -> tuple[list[str], float]:
        """The batches to look at now, put off for so many seconds, and the seconds until the next one."""
        left, *found = self._run("batch_due", [self.keys.batches], int(next_look * 1000), most)
        return [batch_id.decode() for batch_id in found], left / 1000

    def look_again(self, batch_id: str, seconds: float) -> None:
        """Make an open batch due so many seconds from now, unless it is sooner."""
        self._run("batch_look", [self.keys.batches], batch_id, int(seconds * 1000))

    def set_moment(self, batch_id: str, field: str, seconds: float) -> None:
        """Set ``look``, ``resend`` or ``resize`` to so many seconds from now."""
        self.note(batch_id, field, milliseconds(seconds))

    def note(self, batch_id: str, field: str, value: Any) -> None:
        """Set a field of a batch that is on the board."""
        self._run("batch_note", [self.keys.batch(batch_id)], field, value)

    def is_open(self, batch_ids: Sequence[str]) -> list[bool]:
        """Whether each of these batches is on the board, and has not ended there."""
        pipe = self.clients.get().pipeline(transaction=False)
        for batch_id in batch_ids:
            pipe.hmget(self.keys.batch(batch_id), "released", "finished")
        return [released is not None and ended is None for released, ended in pipe.execute()]

    def is_known(self, batch_ids: Sequence[str]) -> list[bool]:
        """Whether each of these batches is on the board."""
        pipe = self.clients.get().pipeline(transaction=False)
        for batch_id in batch_ids:
            pipe.exists(self.keys.batch(batch_id))
        return [bool(found) for found in pipe.execute()] if batch_ids else []

    def tell(self, batch_id: str, live: LiveBatch) -> bool:
        """Tell those who follow the batch live how far it is, unless they have been told. Returns whether."""
        counts, share = live.counts, live.ended_share
        message: dict[str, Any] = {"run_id": batch_id, "progress": share}
        if counts.ended:
            message["state"] = AT_END[live.status.value]
            message["log"] = f"{counts.succeeded} completed, {counts.failed} failed, {counts.revoked} revoked"
        else:
            message["state"] = "PENDING" if live.started is None else "STARTED"
        keys = [self.keys.batch(batch_id), self.keys.messages(batch_id)]
        mark = f"{message['state']} {int(share * 100)}"
        kept = FINAL_STATE_TTL if counts.ended else _STREAM_TTL
        return bool(self._run("batch_tell", keys, live.seq, mark, encode(message), self.keys.progress, kept))

    def wait_in_line(self, batch_id: str, priority: str, *, waits: bool) -> Line:
        """Note whether a batch has chunks to release, and look who else has."""
        client, key = self.clients.get(), self.keys.batches_waiting
        rank = PRIORITIES.index(priority)
        if not waits:
            if client.hdel(key, batch_id):
                # Those behind it may go now.
                others: Any = client.hkeys(key)
                if others:
                    client.zadd(self.keys.batches, dict.fromkeys(others, 0), lt=True, xx=True)
            return Line(outranked=False, sharers=1)
        client.hset(key, batch_id, rank)
        values: Any = client.hvals(key)
        ranks = [int(value) for value in values]
        return Line(outranked=min(ranks) < rank, sharers=ranks.count(rank))


def _bounds(items: range) -> tuple[int, int]:
    return items.start, items.stop - 1


def milliseconds(seconds: float) -> int:
    """The millisecond of the epoch so many seconds from now."""
    return int((time.time() + seconds) * 1000)
