"""How fast a batch goes, and how long it will take, from a few samples of its counts.

The driver takes a sample now and then when it writes the batch's row (``actors/batches/pace.py``) and keeps
the newest of them in the batch's hash, as JSON: ``{"since": moment, "samples": [[moment, ended, busy], …]}``.
Moments are epoch seconds; ``ended``: images that had ended; ``busy``: images that were being worked on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

#: Samples that are kept.
MOST = 31
#: Seconds between two samples: this share of the time so far, within these bounds. So the samples reach over
#: the last four tenths of a run, and over no more than ten minutes of a long one that moves.
SHARE, SHORTEST, LONGEST = 1 / 60, 0.2, 20.0
#: Images that must have ended within the samples before anything is said.
FEWEST = 2
#: Seconds in which a batch's end is noticed.
CLOSING = 0.5
#: A rate changes by so much (a share of it) beyond what the samples show.
UNFORESEEN = 0.1
#: The remaining seconds are stretched to no more than four times themselves.
WIDEST = math.log(4)
#: Intervals between samples that make one span: the ends of each are counted.
SPANS = (1, 3, 6)
#: What is believed before anything is known: ends come as by chance, and this weighs as so many intervals.
PRIOR = 3


class Sample(NamedTuple):
    """The counts of one moment."""

    moment: float
    ended: int
    busy: int


@dataclass(frozen=True)
class Pace:
    """The samples of a batch's run, oldest first. ``since``: the moment of the first one, kept or not."""

    since: float = 0.0
    samples: tuple[Sample, ...] = ()

    def after(self, sample: Sample) -> Pace:
        """The pace with one more sample; the same where nothing has ended, or too little time has gone."""
        if not self.samples:
            return Pace(sample.moment, (sample,))
        last = self.samples[-1]
        if sample.ended < last.ended:
            # A chain was resumed: it is only the differences that count.
            return replace(self, samples=_shifted(self.samples, sample.ended - last.ended))
        spacing = min(LONGEST, max(SHORTEST, (sample.moment - self.since) * SHARE))
        if sample.ended == last.ended or sample.moment < last.moment + spacing:
            return self
        return replace(self, samples=(*self.samples, sample)[-MOST:])

    @property
    def newest_rate(self) -> float:
        """Images a second between the two newest samples; 0 before there are two."""
        if len(self.samples) < 2:
            return 0.0
        before, last = self.samples[-2:]
        return max(0, last.ended - before.ended) / max(last.moment - before.moment, SHORTEST)

    def as_json(self) -> str:
        return json.dumps({"since": self.since, "samples": self.samples}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> Pace:
        if not text:
            return cls()
        found = json.loads(text)
        return cls(found["since"], tuple(Sample(*one) for one in found["samples"]))


NO_PACE = Pace()


@dataclass(frozen=True)
class Estimate:
    """Images a second of late, and how many seconds are left: as expected, and nine times of ten at most."""

    rate: float
    remaining: float
    p90: float


def estimate(pace: Pace, now: float, ended: int, left: int) -> Estimate | None:
    """When a batch will have ended, judged by its newest samples; None while they do not tell.

    The rate is what has ended since the oldest sample, by the time since then: a batch that stands still gets
    slower with each moment. ``remaining`` is what is left by the rate, and half of what more the last images
    take if their times are exponential and not all alike. (One image takes s = images at work by the rate,
    and the longest of m exponential times is s (1 + 1/2 + … + 1/m).)

    ``p90`` allows for three kinds of doubt, whose squares add up:

    - The ends come in lumps. How much their numbers in spans of time differ from even ones, compared with
      what chance does (the index of dispersion, D), makes both the rate that was measured (D / ended) and the
      way that is left (D / left) uncertain.
    - The rate changes: by how much it did between the older and the newer half, beyond what D explains.
    - The rate will change (``UNFORESEEN``).

    What is left by the rate is stretched by the ninth decile of a logarithmic normal distribution of that
    width, Student's where the samples are few; to four times itself at most. Then comes the tail, in which
    less is left than could be worked on: s (1 + ln m) for the longest of the last images, and the moment in
    which the end is noticed.

    Parameters:
        now: epoch seconds.
        ended: images that have ended now.
        left: images that have not.
    """
    if left <= 0:
        return Estimate(0.0, 0.0, 0.0)
    if not pace.samples:
        return None
    samples = pace.samples
    if ended < samples[-1].ended:
        samples = _shifted(samples, ended - samples[-1].ended)
    first = samples[0]
    seconds, count = now - first.moment, ended - first.ended
    if seconds <= 0 or count < FEWEST:
        return None
    rate = count / seconds
    busy = sum(sample.busy for sample in samples) / len(samples)
    points = [*samples]
    if now - samples[-1].moment > seconds / (2 * len(samples)):
        # In a shorter interval than the others, one end more or less would look like a change.
        points.append(Sample(now, ended, samples[-1].busy))
    lumps, known = _dispersion(points, rate)
    doubt = lumps / count + lumps / left + _drift(points, rate, lumps / count) + UNFORESEEN**2
    stretch = math.exp(min(WIDEST, _ninth_decile(known) * math.sqrt(doubt)))
    at_work = max(1.0, min(left, busy))
    one_image = busy / rate
    extra = one_image / 2 * (_harmonic(at_work) - at_work / max(1.0, busy)) + CLOSING / 2
    tail = one_image * (1 + math.log(at_work)) + CLOSING
    return Estimate(rate, left / rate + extra, left / rate * stretch + tail)


def _harmonic(number: float) -> float:
    """1 + 1/2 + … + 1/number, to within a hundredth."""
    return math.log(number) + 0.577 + 1 / (2 * number) - 1 / (12 * number**2)


def _shifted(samples: Sequence[Sample], by: int) -> tuple[Sample, ...]:
    return tuple(sample._replace(ended=sample.ended + by) for sample in samples)


def _dispersion(points: Sequence[Sample], rate: float) -> tuple[float, int]:
    """The variance of the ends in an interval by their mean, and how many intervals it is known from.

    That of the spans whose variance is largest: where slow and fast times last longer than an interval, the
    short ones do not show it.
    """
    found = []
    for span in SPANS:
        ends = points[::-span][::-1]
        total = sum(
            (after.ended - before.ended - rate * seconds) ** 2 / (rate * seconds)
            for before, after in pairwise(ends)
            if (seconds := after.moment - before.moment) > 0
        )
        known = PRIOR + max(0, len(ends) - 2)
        found.append(((PRIOR + total) / known, known))
    return max(found)


def _drift(points: Sequence[Sample], rate: float, explained: float) -> float:
    """The square of the relative change of the rate between the two halves, but for what is explained."""
    middle = (points[0].moment + points[-1].moment) / 2
    quarter = max(1e-6, (points[-1].moment - points[0].moment) / 4)
    at = min(points[1:-1], key=lambda point: abs(point.moment - middle), default=None)
    if at is None:
        return 0.0
    if not points[0].moment + quarter <= at.moment <= points[-1].moment - quarter:
        return 0.0
    older = (at.ended - points[0].ended) / (at.moment - points[0].moment)
    newer = (points[-1].ended - at.ended) / (points[-1].moment - at.moment)
    return float(max(0.0, ((newer - older) / (2 * rate)) ** 2 - explained))


def _ninth_decile(known: int) -> float:
    """Of Student's distribution with so many degrees of freedom, to within three hundredths."""
    return 1.2816 + 0.85 / known + 0.95 / known**2
