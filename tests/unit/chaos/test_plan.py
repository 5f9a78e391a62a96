"""A seed decides everything; what is asked for is read strictly."""

from __future__ import annotations

import pytest

from callboard.chaos.plan import Kind, Wanted, make, parse_faults, parse_seeds
from callboard.errors import CallboardError


def wanted(faults: str, **more: object) -> Wanted:
    return Wanted(**{"chains": 30, "seconds": 10.0, "faults": parse_faults(faults), **more})  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_plan_and_another_another() -> None:
    asked = wanted("kill_worker:3,flush_redis,redeliver")
    assert make(5, asked) == make(5, asked)
    assert make(5, asked) != make(6, asked)


def test_numbers_are_kept_and_moments_lie_within_the_run() -> None:
    plan = make(1, wanted("kill:4,pause_redis:1@2.5"))
    assert [fault.fault for fault in plan.faults].count("kill_worker") == 4
    assert [fault.seconds for fault in plan.faults if fault.fault == "pause_redis"] == [2.5]
    assert all(0 < fault.moment < 10 for fault in plan.faults)
    assert plan.faults == sorted(plan.faults, key=lambda fault: fault.moment)
    assert len(plan.chains) == 30


def test_without_numbers_the_seed_chooses_some_of_those_named() -> None:
    chosen = {fault.fault for seed in range(20) for fault in make(seed, wanted("redeliver,cut_redis")).faults}
    assert chosen == {"redeliver", "cut_redis"}


def test_no_chain_of_a_users_own_workflow_is_called_off() -> None:
    plan = make(1, wanted("none", workflow="shop", data={"order": 1}))
    assert {(chain.workflow, chain.revoked_after) for chain in plan.chains} == {("shop", None)}
    assert not plan.faults


def test_faults_are_read_by_name_number_and_seconds() -> None:
    assert parse_faults("kill-worker:10, stall-redis@3") == {
        "kill_worker": Kind(10),
        "stall_redis": Kind(None, 3.0),
    }


@pytest.mark.parametrize("text", ["fire", "kill_worker:many", "kill_worker@3:1"])
def test_an_unknown_fault_is_refused_with_all_that_there_are(text: str) -> None:
    with pytest.raises(CallboardError, match="flush_redis"):
        parse_faults(text)


def test_seeds_are_one_or_a_range() -> None:
    assert list(parse_seeds("7")) == [7]
    assert list(parse_seeds("7..9")) == [7, 8, 9]
    with pytest.raises(CallboardError):
        parse_seeds("7-9")
