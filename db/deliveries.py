"""What was delivered of a chain's messages: a field of a hash for each, written before and after it goes out.

A worker that dies leaves the one message that it was sending as ``sending``; the next one knows that all
others are sent or not begun. A run that has lost its task begins no delivery any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from .board import Board
from .chains import Place
from .keys import DELIVERIES_TTL, FINAL_STATE_TTL
from .scripts import script

#: Deliveries that one call writes.
BULK = 500
SENDING, SENT, DEFERRED, FAILED, UNCERTAIN = "sending", "sent", "deferred", "failed", "uncertain"
#: Those of which nothing more will come.
SETTLED = frozenset({SENT, FAILED, UNCERTAIN})


@dataclass(frozen=True)
class Delivery:
    """What is known of one message.

    Attributes:
        status: ``sending`` while it is under way, ``sent``, ``deferred`` (to be tried again), ``failed``, or
            ``uncertain``: handed over without an answer, and not to be sent again.
        attempts: how often it was begun, since the list was last gone through afresh.
        repeats: how often it was sent again though it may have arrived before.
        reply: what the other side said last.
        at: epoch seconds of that.
    """

    status: str
    attempts: int = 0
    repeats: int = 0
    reply: str = ""
    at: float = 0.0

    def changed(self, **facts: Any) -> Delivery:
        """A copy with other facts."""
        return replace(self, **facts)

    def as_json(self) -> dict[str, Any]:
        """The form that is stored."""
        return asdict(self)


class Deliveries:
    """The record of one chain. Every method may raise ``redis.RedisError``."""

    def __init__(self, board: Board, chain_id: str) -> None:
        self._board = board
        self._live = board.keys.live(chain_id)
        self._key = board.keys.deliveries(chain_id)

    def read(self) -> dict[str, Delivery]:
        """All that is known, by message id."""
        found: Any = self._board.clients.get().hgetall(self._key)
        return {field.decode(): Delivery(**json.loads(text)) for field, text in found.items()}

    def begin(self, place: Place, token: str, message_id: str, delivery: Delivery) -> str:
        """Note that a message is about to be sent.

        Returns:
            ``go``; ``sent`` when it is known to be; ``stale`` when the run has lost its task.
        """
        answer: bytes = script("delivery_begin")(
            self._board.clients.get(),
            [self._live, self._key],
            [f"{place.stage}.{place.member}", token, message_id, _encode(delivery), DELIVERIES_TTL],
        )
        return answer.decode()

    def end(self, deliveries: Mapping[str, Delivery], *, finished: bool = False) -> None:
        """Note what became of messages, by their ids.

        Parameters:
            finished: nothing more will come, and the record is kept elsewhere: it goes in an hour.
        """
        for bulk in _bulks(deliveries, BULK):
            arguments: list[Any] = [FINAL_STATE_TTL if finished else DELIVERIES_TTL]
            for message_id, delivery in bulk:
                arguments += [message_id, _encode(delivery)]
            script("delivery_end")(self._board.clients.get(), [self._key], arguments)

    def forget(self) -> None:
        """Drop the record."""
        self._board.clients.get().unlink(self._key)


def _encode(delivery: Delivery) -> str:
    return json.dumps(delivery.as_json(), ensure_ascii=False)


def _bulks(deliveries: Mapping[str, Delivery], size: int) -> Iterator[list[tuple[str, Delivery]]]:
    iterator = iter(deliveries.items())
    while bulk := list(islice(iterator, size)):
        yield bulk
