"""Each invariant of ``callboard chaos`` sees what breaks it, and allows what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from callboard.chaos.effects import Body
from callboard.chaos.invariants import allowed_doubles, judge
from callboard.chaos.observation import LiveChain, Observation, Seen, Strike
from db.models import ChainExecution, TaskLog
from db.status_rows import ChainRecord

PLAN: list[dict[str, Any]] = [
    {"stage_name": "one", "parallel": False, "tasks": [{}]},
    {"stage_name": "two", "parallel": True, "tasks": [{}, {}]},
    {"stage_name": "three", "parallel": False, "tasks": [{}]},
]
PLACES = [(1, 0), (2, 1), (2, 2), (3, 0)]
GIVEN = {1: [], 2: ["1.0"], 3: ["2.1", "2.2"]}


def body(stage: int, member: int, line: int, **more: Any) -> Body:
    """A body that completed; its run is named by its place."""
    known: dict[str, Any] = {
        "run": f"{stage}.{member}",
        "chain": "c",
        "stage": stage,
        "member": member,
        "attempt": 1,
        "token": "1",
        "pid": 7,
        "given": GIVEN[stage],
        "begun": line,
        "ended": line + 1,
        "began_at": float(line),
        "ended_at": line + 0.5,
    }
    return Body(**{**known, **more})


def event(number: int, place: tuple[int, int], status: str, token: int = 1, chain_status: str = "") -> Seen:
    return Seen(float(number), number, "c", number, place, {"status": status, "token": token}, chain_status)


def good() -> Observation:
    """A chain of a stage, two members and a fan-in, as it should be."""
    tasks = {place: {"status": "SUCCESS", "token": 1} for place in PLACES}
    row = ChainExecution(
        chain_id="c", status="SUCCESS", total_tasks=4, completed_tasks=4, failed_tasks=0, revoked_tasks=0
    )
    row.stages = PLAN
    logs = [
        TaskLog(task_id=f"{stage}.{member}", status="SUCCESS", stage=stage, member=member, attempt=1)
        for stage, member in PLACES
    ]
    state = {"status": "SUCCESS", "completed": 4, "failed": 0, "revoked": 0, "current": 3}
    events = []
    for number, place in enumerate(PLACES):
        events += [event(10 * number, place, "STARTED"), event(10 * number + 5, place, "SUCCESS")]
    return Observation(
        chains={"c": "chaos_fan"},
        boards={"c": LiveChain(state, PLAN, tasks)},
        rows={"c": ChainRecord(row, logs)},
        results={("c", stage, member): {"run": f"{stage}.{member}"} for stage, member in PLACES},
        events=events,
        bodies=[body(stage, member, 10 * number) for number, (stage, member) in enumerate(PLACES)],
        messages=[(1.0, "c", 0.3, "one"), (2.0, "c", 0.6, "two"), (3.0, "c", 1.0, "END")],
        lease=30,
    )


def broken(seen: Observation) -> set[int]:
    return {verdict.number for verdict in judge(seen) if not verdict.holds}


def test_a_good_run_breaks_nothing() -> None:
    assert not broken(good())
    assert not allowed_doubles(good())


def miscount(seen: Observation) -> None:
    live = seen.boards["c"]
    assert live is not None
    live.state["completed"] = 3


def run_again_after_success(seen: Observation) -> None:
    seen.bodies.append(body(1, 0, 50, run="again", pid=8, token="2"))


def hand_on_another_result(seen: Observation) -> None:
    seen.bodies[3].given = ["2.1", "another"]


def finish_twice(seen: Observation) -> None:
    seen.events.append(event(90, (1, 0), "SUCCESS", token=2))


def begin_before_the_finish(seen: Observation) -> None:
    seen.bodies[0].ended = 99


def fan_in_early(seen: Observation) -> None:
    seen.bodies[2].begun, seen.bodies[2].ended = 60, 61


def fan_in_twice(seen: Observation) -> None:
    seen.bodies.append(body(3, 0, 60, run="again", pid=8, token="2"))


def never_end(seen: Observation) -> None:
    live, record = seen.boards["c"], seen.rows["c"]
    assert live is not None
    assert record is not None
    live.state["status"] = record.chain.status = "STARTED"


def go_on_after_a_revoke(seen: Observation) -> None:
    seen.revoked["c"] = 1.0
    seen.events.append(event(90, (3, 0), "REVOKED", chain_status="REVOKED"))
    seen.events.append(event(91, (3, 0), "STARTED", token=2))


def lose_an_event(seen: Observation) -> None:
    record = seen.rows["c"]
    assert record is not None
    record.tasks[0].status = "STARTED"


def leave_events(seen: Observation) -> None:
    seen.left_in_stream = 3


def go_back(seen: Observation) -> None:
    seen.messages.append((4.0, "c", 0.5, "two"))


def track_what_is_not_ours(seen: Observation) -> None:
    seen.strangers.append("an event of a task that belongs to no chain")


def lose_a_plain_message(seen: Observation) -> None:
    seen.plain.append("plain-1")


@pytest.mark.parametrize(
    ("break_it", "number"),
    [
        (miscount, 1),
        (run_again_after_success, 2),
        (hand_on_another_result, 2),
        (finish_twice, 3),
        (begin_before_the_finish, 4),
        (fan_in_early, 5),
        (fan_in_twice, 5),
        (never_end, 6),
        (go_on_after_a_revoke, 7),
        (lose_an_event, 8),
        (leave_events, 8),
        (go_back, 9),
        (track_what_is_not_ours, 10),
        (lose_a_plain_message, 10),
    ],
)
def test_what_breaks_an_invariant_is_seen(break_it: Callable[[Observation], None], number: int) -> None:
    seen = good()
    break_it(seen)
    assert number in broken(seen)


def lost_run() -> Observation:
    """The body of stage 1 ran twice, and the board heard of the second run only."""
    seen = good()
    lost = body(1, 0, -10, run="lost", pid=6, token="0")
    seen.bodies.insert(0, lost)
    return seen


def test_a_body_may_run_again_when_its_worker_died_between_effect_and_finish() -> None:
    seen = lost_run()
    assert 3 in broken(seen)
    seen.deaths[6] = -5.0
    assert not broken(seen)
    [double] = allowed_doubles(seen)
    assert "process 6 was killed between its effect and its finish" in double


def test_a_body_may_run_again_when_its_worker_was_stopped_or_redis_was_emptied() -> None:
    for strike in (
        Strike("pause_worker", -9.0, -1.0, (6,)),
        Strike("flush_redis", -8.0, -8.0),
        Strike("stall_redis", -20.0, -1.0),
    ):
        seen = lost_run()
        seen.strikes.append(strike)
        assert 3 not in broken(seen), strike
        assert len(allowed_doubles(seen)) == 1


def test_a_worker_that_died_before_does_not_excuse_a_double() -> None:
    seen = lost_run()
    seen.deaths[6] = -100.0
    assert 3 in broken(seen)


def test_a_worker_that_was_stopped_right_after_its_begin_goes_on_after_the_finish_of_another() -> None:
    seen = good()
    seen.bodies.append(body(3, 0, 60, run="late", pid=6, token="0", began_at=40.2, ended_at=40.4))
    assert 3 in broken(seen)
    seen.strikes.append(Strike("pause_worker", 29.0, 40.0, (6,)))
    assert not broken(seen)
