"""A worker dies at each boundary of a stage: before and after begin, effect, finish, enqueue, ledger."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from chaos_runs import a_seed, run_chaos

#: On the Redis broker a finish, what follows and the ack are one step.
ON_REDIS = (
    "before_begin",
    "after_begin",
    "in_body",
    "after_effect",
    "before_finish",
    "after_finish",
    "before_retry",
    "after_retry",
    "before_ledger",
    "in_ledger",
    "after_ledger",
    "after_settle",
)
ON_RABBITMQ = (
    "before_begin",
    "after_begin",
    "after_effect",
    "before_finish",
    "before_enqueue",
    "after_enqueue",
    "before_ack_of_finish",
    "after_ack",
    "before_retry",
    "before_ack_of_retry",
)


def crash_everywhere(
    points: tuple[str, ...], folder: Path, *arguments: str, most: int = 3, timeout: float = 240
) -> tuple[int, list[str]]:
    """One run in which a worker dies at each of the points; returns its seed and the points passed."""
    seed = a_seed()
    dice = random.Random(seed)
    run_chaos(
        "--faults",
        "none",
        "--chains",
        "40",
        "--seconds",
        "10",
        *arguments,
        seed=seed,
        timeout=timeout,
        WORKFLOWS="crash_points",
        CRASH_AT=",".join(f"{point}:{dice.randint(1, 1 if 'retry' in point else most)}" for point in points),
        CRASH_MARKS=str(folder),
    )
    return seed, sorted(mark.name for mark in folder.iterdir())


def test_a_worker_that_dies_at_any_boundary_loses_and_doubles_nothing(tmp_path: Path) -> None:
    seed, passed = crash_everywhere(ON_REDIS, tmp_path)
    missing = set(ON_REDIS) - set(passed) - {"before_retry", "after_retry"}
    assert not missing, f"no worker died at {missing}; FAULT_SEED={seed}"


@pytest.mark.long
@pytest.mark.parametrize("point", ON_REDIS)
def test_a_boundary_by_itself(point: str, tmp_path: Path) -> None:
    seed, passed = crash_everywhere((point,), tmp_path, most=20)
    assert passed == [point], f"FAULT_SEED={seed}"


@pytest.mark.long
@pytest.mark.parametrize("point", ON_RABBITMQ)
def test_a_boundary_on_rabbitmq(point: str, tmp_path: Path, rabbit_url: str) -> None:
    seed, passed = crash_everywhere((point,), tmp_path, "--broker-url", rabbit_url, most=10, timeout=420)
    assert passed == [point], f"FAULT_SEED={seed}"
