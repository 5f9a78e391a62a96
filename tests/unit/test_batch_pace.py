"""How long a batch will take: simulated batches, and how many of them end within what was said half-way."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from db.batches.pace import CLOSING, LONGEST, MOST, NO_PACE, Estimate, Pace, Sample, estimate

Service = Callable[[random.Random], float]
LOOK = 0.15


def paced(counts: list[tuple[float, int]], busy: int = 4) -> Pace:
    pace = NO_PACE
    for moment, ended in counts:
        pace = pace.after(Sample(moment, ended, busy))
    return pace


def test_nothing_is_said_before_something_is_known() -> None:
    assert estimate(NO_PACE, 10, 0, 100) is None
    assert estimate(paced([(0, 0)]), 10, 1, 99) is None
    assert estimate(paced([(0, 0)]), 10, 100, 0) == Estimate(0.0, 0.0, 0.0)


def test_a_steady_batch() -> None:
    pace = paced([(second, 2 * second) for second in range(101)])
    found = estimate(pace, 100, 200, 300)
    assert found is not None
    assert found.rate == pytest.approx(2)
    assert found.remaining == pytest.approx(150, abs=2)
    assert found.remaining + 4 / 2 + CLOSING < found.p90 < 1.35 * found.remaining


def test_a_few_ends_close_together_are_no_change_of_pace() -> None:
    pace = paced([(0, 0), (0.2, 3), (0.4, 5)])
    found = estimate(pace, 0.401, 8, 20)
    assert found is not None
    assert found.p90 < 4 * found.remaining + 3


def test_what_was_long_ago_does_not_count() -> None:
    pace = paced([(second, second) for second in range(1000)])
    for second in range(1, 1001):
        pace = pace.after(Sample(1000 + second, 1000 + 10 * second, 4))
    found = estimate(pace, 2000, 11_000, 1000)
    assert found is not None
    assert found.rate == pytest.approx(10, rel=0.05)


def test_a_batch_that_stands_still_gets_slower() -> None:
    pace = paced([(second, second) for second in range(100)])
    remaining = [found.remaining for now in (100, 150, 300) if (found := estimate(pace, now, 99, 100))]
    assert len(remaining) == 3
    assert remaining == sorted(set(remaining))


def test_samples_are_few_and_spread() -> None:
    pace = paced([(tenth / 10, tenth) for tenth in range(100_000)])
    assert len(pace.samples) == MOST
    spaces = [after.moment - before.moment for before, after in pairwise(pace.samples)]
    assert all(LONGEST <= space < LONGEST + 0.2 for space in spaces)
    assert Pace.from_json(pace.as_json()) == pace
    assert len(pace.as_json()) < 1200


def test_a_resumed_chain_leaves_the_rate_as_it_is() -> None:
    pace = paced([(second, second) for second in range(60)])
    before, after = estimate(pace, 60, 60, 40), estimate(pace.after(Sample(59, 58, 4)), 60, 59, 41)
    assert before is not None
    assert after is not None
    assert after.rate == pytest.approx(before.rate)


def ends_of(images: int, slots: int, service: Service, chance: random.Random) -> list[float]:
    """When the images of a batch end that is worked on by so many threads."""
    free, ends = [0.0] * slots, []
    for _ in range(images):
        end = heapq.heappop(free) + service(chance)
        ends.append(end)
        heapq.heappush(free, end)
    return sorted(ends)


@pytest.mark.parametrize("images", [100, 1000])
@pytest.mark.parametrize(
    "service",
    [
        lambda _: 0.05,
        lambda chance: chance.uniform(0.05, 0.5),
        lambda chance: chance.expovariate(5),
        lambda chance: 0.2 * chance.lognormvariate(0, 0.9),
    ],
    ids=["constant", "uniform", "exponential", "a few very long"],
)
def test_nine_of_ten_end_in_time(images: int, service: Service) -> None:
    in_time, near, runs = 0, 0, 40
    for seed in range(runs):
        ends = ends_of(images, 4, service, random.Random(seed))
        pace, moment, ended = NO_PACE.after(Sample(0.0, 0, 4)), 0.0, 0
        while ended < images / 2:
            moment += LOOK
            ended = sum(end <= moment for end in ends)
            pace = pace.after(Sample(moment, ended, min(4, images - ended)))
        found = estimate(pace, moment, ended, images - ended)
        assert found is not None
        in_time += ends[-1] <= moment + found.p90
        near += found.p90 < 2.5 * (ends[-1] - moment + CLOSING)
    assert in_time >= 0.9 * runs
    # Far too long would be no estimate either.
    assert near >= 0.9 * runs
