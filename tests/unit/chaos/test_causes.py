"""What may keep events from the ledger, and for how long."""

from __future__ import annotations

from callboard.chaos.causes import CLAIMED_AFTER, UNRECORDED, Causes
from callboard.chaos.observation import Observation, Strike


def unrecorded(*strikes: Strike, deaths: dict[int, float] | None = None, moment: float = 100.0) -> float:
    return Causes(Observation(strikes=list(strikes), deaths=deaths or {})).unrecorded(moment)


def test_an_undisturbed_recorder_lags_by_little() -> None:
    assert unrecorded() == UNRECORDED
    long_ago = Strike("pause_database", 10.0, 20.0)
    assert unrecorded(long_ago) == UNRECORDED
    assert unrecorded(Strike("kill_clock", 90.0, 100.0)) == UNRECORDED


def test_an_outage_holds_events_up_from_its_begin() -> None:
    assert unrecorded(Strike("pause_database", 80.0, 99.0)) == 20.0 + UNRECORDED


def test_what_one_outage_has_held_up_meets_the_next() -> None:
    apart = [Strike("restart_database", 50.0, 55.0), Strike("pause_redis", 60.0, 70.0)]
    assert unrecorded(*apart, Strike("pause_worker", 75.0, 99.0)) == 50.0 + UNRECORDED
    assert unrecorded(*apart, deaths={7: 76.0}) == 50.0 + UNRECORDED
    assert unrecorded(*apart) == UNRECORDED


def test_a_dead_recorder_s_events_wait_to_be_claimed() -> None:
    assert unrecorded(deaths={7: 90.0}) == 10.0 + UNRECORDED
    assert unrecorded(deaths={7: 99.0 - CLAIMED_AFTER - UNRECORDED}) == UNRECORDED
    assert unrecorded(deaths={7: 101.0}) == UNRECORDED
