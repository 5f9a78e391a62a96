"""One pass over the messages that are left: each is noted before and after it goes out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from callboard.errors import TransportRefused, TransportUnavailable
from db.deliveries import DEFERRED, FAILED, SENDING, SETTLED, UNCERTAIN, Delivery
from middleware.run import Run

from .messages import Message
from .options import Options
from .outcomes import Outcome, Transport
from .record import Record

#: Seconds between two reports, and the longest sleep in which nobody can stop the stage.
REPORT_SECONDS, NAP = 1.0, 0.1
#: Told of a message that was under way when its worker died.
LEFT_OPEN = "the worker ended before the answer"

#: Is told how many messages are settled, and the count of each status.
Tell = Callable[[int, Counter[str]], None]


class Pass:
    """Goes over a list once.

    Parameters:
        run: by whose right messages go out.
        record: what is known of each.
        tell: is told now and then how far it is.
    """

    def __init__(self, run: Run, record: Record, transport: Transport, options: Options, tell: Tell) -> None:
        self._run = run
        self._record = record
        self._transport = transport
        self._options = options
        self._tell = tell
        self._counts: Counter[str] = Counter()
        self._next_slot = 0.0
        self._next_report = 0.0
        self._last_reply = ""

    def go(self, messages: Iterable[Message]) -> Counter[str]:
        """Send what is left.

        Returns:
            How many messages have which status; all are settled.

        Raises:
            TransportUnavailable: some are left, for another pass.
            TransportRefused: nothing can be sent with these settings.
            RunLost: the run has lost its task.
        """
        try:
            with self._transport:
                for message in messages:
                    self._one(message)
        except BaseException:
            self._record.save()
            raise
        left = sum(count for status, count in self._counts.items() if status not in SETTLED)
        if left:
            self._record.save()
            total = sum(self._counts.values())
            raise TransportUnavailable(
                f"{left} of {total} messages are to be tried again; the last answer: {self._last_reply}"
            )
        return self._counts

    def _one(self, message: Message) -> None:
        known = self._record.of(message.id)
        if known.status == SENDING and not self._options.repeat_uncertain:
            known = known.changed(status=UNCERTAIN, reply=known.reply or LEFT_OPEN)
            self._record.end(message.id, known)
        elif known.status not in SETTLED:
            known = self._send(message, known)
        self._counts[known.status] += 1
        self._report()

    def _send(self, message: Message, known: Delivery) -> Delivery:
        self._pace()
        repeats = known.repeats + (known.status == SENDING)
        begun = known.changed(status=SENDING, repeats=repeats, attempts=known.attempts + 1, at=_now())
        if not self._record.begin(self._run, message.id, begun):
            return self._record.of(message.id)
        try:
            outcome = self._transport.send(message)
        except (TransportUnavailable, TransportRefused):
            # It was not tried: it keeps what was known of it.
            self._record.end(message.id, known)
            raise
        told = self._judged(begun, outcome)
        self._record.end(message.id, told)
        return told

    def _judged(self, begun: Delivery, outcome: Outcome) -> Delivery:
        is_last = begun.attempts >= self._options.max_attempts
        status = outcome.status
        if status == UNCERTAIN and self._options.repeat_uncertain and not is_last:
            status = SENDING
        elif status == DEFERRED and is_last:
            status = FAILED
        if status not in SETTLED:
            self._last_reply = outcome.reply
        return begun.changed(status=status, reply=outcome.reply, at=_now())

    def _pace(self) -> None:
        """Wait for this message's turn."""
        if not self._options.per_second:
            return
        now = time.monotonic()
        self._next_slot = max(self._next_slot, now)
        while (left := self._next_slot - time.monotonic()) > 0:
            time.sleep(min(left, NAP))
        self._next_slot += 1 / self._options.per_second

    def _report(self) -> None:
        if time.monotonic() < self._next_report:
            return
        self._next_report = time.monotonic() + REPORT_SECONDS
        self._tell(sum(count for status, count in self._counts.items() if status in SETTLED), self._counts)


def _now() -> float:
    return round(time.time(), 3)
