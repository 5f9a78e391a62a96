"""Workers, Redis and PostgreSQL are killed, stopped and cut off while chains run."""

from __future__ import annotations

import pytest
from chaos_runs import a_seed, faults_of, run_chaos

SHORT = ("--chains", "30", "--seconds", "6")


def test_workers_die_and_are_stopped_for_longer_than_their_lease() -> None:
    report = run_chaos(*SHORT, "--faults", "kill_worker:2,kill_tree:1,pause_worker:1", seed=a_seed())
    assert faults_of(report) == ["kill_tree", "kill_worker", "kill_worker", "pause_worker"]


def test_redis_restarts_and_is_emptied_and_cut_off() -> None:
    report = run_chaos(
        *SHORT, "--faults", "restart_redis:1,flush_redis:1,cut_redis:1,stall_redis:1@2", seed=a_seed()
    )
    assert faults_of(report) == ["cut_redis", "flush_redis", "restart_redis", "stall_redis"]


def test_everything_is_delivered_again_twice_while_a_worker_dies() -> None:
    run_chaos(*SHORT, "--faults", "redeliver:3,kill_worker:1", seed=a_seed())


@pytest.mark.long
@pytest.mark.parametrize(
    "faults",
    [
        "kill_worker:5",
        "kill_tree:3",
        "pause_worker:3",
        "kill_clock:3,kill_worker:2",
        "redeliver:5",
        "restart_redis:3",
        "lose_redis:1",
        "flush_redis:2",
        "pause_redis:1@10",
        "cut_redis:5",
        "stall_redis:1@10",
        "restart_database:1@60",
        "pause_database:1@60",
        "cut_database:5",
        "flush_redis:1,restart_database:1@10",
    ],
)
def test_a_fault_by_itself(faults: str) -> None:
    run_chaos("--chains", "60", "--seconds", "15", "--faults", faults, seed=a_seed(), timeout=400)


def test_a_fan_in_of_a_hundred_members_fires_once_whatever_is_delivered_again() -> None:
    report = run_chaos(
        "chaos_wide",
        *("--chains", "3", "--seconds", "5", "--no-revokes"),
        *("--faults", "redeliver:3,kill_worker:1"),
        seed=a_seed(),
    )
    assert report["chains"] == {"SUCCESS": 3}


@pytest.mark.long
def test_five_hundred_chains_and_ten_kills() -> None:
    """All succeed, counters exact, no body twice but those killed between effect and finish."""
    report = run_chaos(
        "chaos_chain",
        *("--chains", "500", "--seconds", "60", "--no-revokes", "--processes", "2"),
        *("--faults", "kill_worker:10"),
        seed=a_seed(),
        timeout=600,
        LEASE_TTL="30",
    )
    assert report["chains"] == {"SUCCESS": 500}
    assert faults_of(report) == ["kill_worker"] * 10
    assert report["seconds_after_last_fault"] <= 60
    assert all("killed between its effect and its finish" in double for double in report["doubles"])


@pytest.mark.long
def test_a_thousand_chains_and_a_rolling_restart() -> None:
    """Workers are told to go three times: nothing is lost, and no finished stage runs again."""
    report = run_chaos(
        "chaos_chain",
        *("--chains", "1000", "--seconds", "40", "--no-revokes", "--processes", "2"),
        *("--faults", "restart_workers:3"),
        seed=a_seed(),
        timeout=600,
        LEASE_TTL="30",
    )
    assert report["chains"] == {"SUCCESS": 1000}
    assert faults_of(report) == ["restart_workers"] * 3
    assert report["doubles"] == []


@pytest.mark.long
def test_redis_is_emptied_in_the_middle_of_two_hundred_chains() -> None:
    report = run_chaos(
        *("--chains", "200", "--seconds", "20", "--no-revokes", "--faults", "flush_redis:1"),
        seed=a_seed(),
        timeout=400,
        LEASE_TTL="30",
    )
    assert report["chains"] == {"SUCCESS": 200}
