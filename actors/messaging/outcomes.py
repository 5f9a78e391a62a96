"""What becomes of one message, and what delivers it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from db.deliveries import DEFERRED, FAILED

from .messages import Message

#: Characters of an answer that are kept.
REPLY_LENGTH = 200


@dataclass(frozen=True)
class Outcome:
    """What became of one message.

    Attributes:
        status: ``sent``, ``failed`` (for good), ``deferred`` (another try may help), or ``uncertain``: it was
            handed over, and the connection broke before the answer.
        reply: what the other side said.
    """

    status: str
    reply: str


class Transport(AbstractContextManager[Any], Protocol):
    """Delivers one message after another; leaving it closes its connection."""

    def send(self, message: Message) -> Outcome:
        """Deliver one message.

        Raises:
            TransportUnavailable: nothing was sent, and nothing can be just now.
            TransportRefused: nothing was sent, and nothing will be with these settings.
        """


def judged(code: int, reply: bytes | str) -> Outcome:
    """The outcome that a negative answer stands for: 5xx is for good, anything else may be tried again."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    words = " ".join(f"{code} {text}".split())[:REPLY_LENGTH]
    return Outcome(FAILED if 500 <= code < 600 else DEFERRED, words)
