"""A batch as one reading of the board has it: a hash, and a string with one letter for each item (image).

    NUL  not started yet        S  its chain has succeeded    R  its chain was revoked
    p    its chain is open      F  its chain has failed       r  revoked before it had a chain
                                                              f  its chunk failed before it had a chain
    of what is to be retried:
    q    its chain has failed, its chunk is to be released    n  likewise, its chunk has been released:
    w    it has no chain, its chunk is to be released            its chain is about to be resumed

A chain writes its letter in the transition in which it starts or ends (``tell_batch`` in
``lua/includes/transition.lua``). All counts are counts of letters.

Fields of the hash: ``facts`` and ``segments`` (JSON, see :class:`~db.batches.facts.BatchFacts`), ``released``
(chunks that have been let go, in order), ``turn`` (how many releases there have been), ``revoked`` (why it
was called off), ``look``, ``resend`` and ``resize`` (milliseconds at which open chains and chunks are looked
for that have been lost, and at which chunks may get another size), ``started``, ``ending`` and
``finished`` (epoch seconds), ``let_go`` and ``before`` (epoch seconds of the newest release, and how many
images had been let go before it), ``seq``, ``pace`` (``db/batches/pace.py``).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from db.models import ProcessStatus

from .facts import BatchFacts
from .pace import NO_PACE, Estimate, Pace, estimate

NEW, OPEN, SUCCEEDED = b"\0", b"p", b"S"
FAILED, REVOKED = b"Ff", b"Rr"
#: What is to be retried, before its chunk has been released and after.
RETRY_WAITS, UNSTARTED_WAITS, RETRY_RELEASED = b"q", b"w", b"n"
#: A chunk's letters for an item that has no chain, and for one that could not be retried.
FAILED_UNSTARTED, FAILED_AGAIN = "f", "F"
_NOT_ENDED, _IN_FLIGHT, _WAITS = re.compile(b"[\0pqwn]"), re.compile(b"[\0pn]"), re.compile(b"[qw]")
_NOT_SENT, _FAILED_UNSTARTED, _REVOKED = re.compile(b"[\0n]"), re.compile(b"f"), re.compile(b"[Rr]")
#: The letter for a chain of which only the ledger knows, by its status there.
LETTERS = {"SUCCESS": "S", "FAILURE": "F", "REVOKED": "R"}
#: Seconds that images take at least, from their release on, when they tell a rate: clocks differ.
SHORTEST_LIFE = 0.05


@dataclass(frozen=True)
class Counts:
    """How many items are in which state.

    ``open``: their chain runs or waits, for a retry too; ``new``: they have none yet.
    """

    succeeded: int
    failed: int
    revoked: int
    open: int
    new: int

    @classmethod
    def of(cls, letters: bytes) -> Counts:
        counts = {letter: letters.count(letter) for letter in b"SFfRrp\0qwn"}
        return cls(
            succeeded=counts[SUCCEEDED[0]],
            failed=sum(counts[letter] for letter in FAILED),
            revoked=sum(counts[letter] for letter in REVOKED),
            open=sum(counts[letter] for letter in OPEN + RETRY_WAITS + RETRY_RELEASED),
            new=sum(counts[letter] for letter in NEW + UNSTARTED_WAITS),
        )

    @property
    def left(self) -> int:
        """How many have not ended."""
        return self.open + self.new

    @property
    def ended(self) -> bool:
        return not self.left


@dataclass(frozen=True)
class LiveBatch:
    """A batch as one reading of the board has it. ``seq``: higher with each reading.

    Attributes:
        letters: one for each item.
        released: how many chunks have been let go.
        turn: how many releases there have been.
        revoked: why it was called off; None where it was not.
        look, resend, resize: milliseconds at which lost chains, and lost chunks, are looked for, and at which
            chunks may get another size.
        started, finished: epoch seconds, None before.
        ending: when it was first found that all of it had ended; the end is noted as of then.
        let_go: when chunks were released last, epoch seconds; None before.
        before: how many images had been let go before that.
        pace: samples of its counts.
    """

    seq: int
    facts: BatchFacts
    letters: bytes
    released: int
    turn: int
    revoked: str | None
    look: int
    resend: int
    resize: int
    started: float | None
    finished: float | None
    ending: float | None = None
    let_go: float | None = None
    before: int = 0
    pace: Pace = NO_PACE

    @cached_property
    def counts(self) -> Counts:
        return Counts.of(self.letters)

    def letters_of(self, chunk: int) -> bytes:
        own = self.facts.range_of(chunk)
        return self.letters[own.start : own.stop]

    def _chunks_with(self, letters: re.Pattern[bytes], chunks: int) -> set[int]:
        """Which of the first so many chunks hold one of the letters."""
        end = self.facts.range_of(chunks).start
        return {self.facts.chunk_of(found.start()) for found in letters.finditer(self.letters, 0, end)}

    def in_flight(self) -> list[int]:
        """The chunks that have been released and of which an item has not ended, nor waits to be retried."""
        return sorted(self._chunks_with(_IN_FLIGHT, self.released))

    def images_in_flight(self) -> int:
        """The items of released chunks that have not ended and do not wait to be retried."""
        return len(_IN_FLIGHT.findall(self.letters, 0, self.facts.range_of(self.released).start))

    def images_let_go(self) -> int:
        """The items that have ended or are in flight."""
        return self.facts.images - self.counts.left + self.images_in_flight()

    def newest_rate(self, moment: float) -> float:
        """Images a second of late, at a moment (epoch seconds); 0 while that is not known.

        Where more have ended since the newest release than were in flight then, the others have had their
        whole life since. That tells of the images; the samples tell of the room, too, where that was small.
        """
        if self.let_go is None:
            return self.pace.newest_rate
        ended = self.facts.images - self.counts.left - self.before
        return max(self.pace.newest_rate, ended / max(SHORTEST_LIFE, moment - self.let_go))

    @property
    def images_of_newest_release(self) -> int:
        return max(0, self.images_let_go() - self.before)

    def ran_dry_within(self, seconds: float, moment: float) -> bool:
        """Whether nothing is in flight, so soon after the newest release: more could have been let go."""
        soon = self.let_go is not None and moment - self.let_go < seconds
        return soon and not self.images_in_flight()

    def to_release_again(self) -> dict[int, int]:
        """The released chunks with items that wait to be retried, and how many of them, in order."""
        end = self.facts.range_of(self.released).start
        chunks = (self.facts.chunk_of(found.start()) for found in _WAITS.finditer(self.letters, 0, end))
        return dict(Counter(chunks))

    def not_sent(self) -> list[int]:
        """The released chunks with items that their message has not started, or resumed, yet."""
        return sorted(self._chunks_with(_NOT_SENT, self.released))

    def chunk_counts(self) -> tuple[int, int, int]:
        """Chunks that are complete, that have failed (an item never got its chain), and that were revoked."""
        # What has not been released has ended only in a batch that was revoked.
        chunks = self.released if self.revoked is None else self.facts.chunks
        not_ended = self._chunks_with(_NOT_ENDED, chunks)
        failed = self._chunks_with(_FAILED_UNSTARTED, chunks) - not_ended
        revoked = self._chunks_with(_REVOKED, chunks) - not_ended - failed
        return chunks - len(not_ended) - len(failed) - len(revoked), len(failed), len(revoked)

    def failed_chunks(self) -> list[int]:
        """The chunks with an item that never got its chain."""
        return sorted(self._chunks_with(_FAILED_UNSTARTED, self.facts.chunks))

    @property
    def ended_share(self) -> float:
        """The share of the images that have ended, 0.0 to 1.0."""
        return round(1 - self.counts.left / self.facts.images, 4)

    @property
    def status(self) -> ProcessStatus:
        """SUCCESS needs the share of the images that the facts ask for."""
        counts = self.counts
        if self.revoked is not None:
            return ProcessStatus.REVOKED
        if not counts.ended:
            return ProcessStatus.PENDING if self.started is None else ProcessStatus.STARTED
        if counts.succeeded >= self.facts.success_threshold * self.facts.images:
            return ProcessStatus.SUCCESS
        return ProcessStatus.FAILURE if counts.failed else ProcessStatus.REVOKED

    def estimate(self, moment: float) -> Estimate | None:
        """How long it will take from a moment (epoch seconds) on; None while that is not known."""
        left = self.counts.left
        return estimate(self.pace, moment, self.facts.images - left, left)


def read_answer(answer: Any) -> LiveBatch | None:
    """What ``batch_read.lua`` has returned."""
    if not answer:
        return None
    seq, listed, letters = answer
    flat = listed if isinstance(listed, list) else [one for pair in listed.items() for one in pair]
    found = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
    told = json.loads(found["facts"])
    if "segments" in found:
        told["segments"] = json.loads(found["segments"])
    facts = BatchFacts(**told)
    return LiveBatch(
        seq=seq,
        facts=facts,
        letters=letters[: facts.images].ljust(facts.images, NEW),
        released=int(found["released"]),
        turn=int(found.get("turn", 0)),
        revoked=found.get("revoked"),
        look=int(found.get("look", 0)),
        resend=int(found.get("resend", 0)),
        resize=int(found.get("resize", 0)),
        started=float(found["started"]) if "started" in found else None,
        finished=float(found["finished"]) if "finished" in found else None,
        ending=float(found["ending"]) if "ending" in found else None,
        let_go=float(found["let_go"]) if "let_go" in found else None,
        before=int(found.get("before", 0)),
        pace=Pace.from_json(found.get("pace")),
    )
