"""The ten invariants, each judged over what was observed. What each returns are its violations, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from db.status_rows import ENDED

from .causes import UNRECORDED, Causes, by_place, doubles
from .effects import Body
from .observation import EMPTIED, Observation


def counters(seen: Observation) -> list[str]:
    """1: completed + failed + revoked + open = total, for every chain, at every moment, in both stores."""
    found, causes = [], Causes(seen)
    for chain_id, live in seen.boards.items():
        if live is not None and not causes.is_half_recorded(chain_id):
            told = (live.state["completed"], live.state["failed"], live.state["revoked"])
            found += _miscounted(chain_id, "board", told, live.count, live.total, live.state["status"])
    for chain_id, record in seen.rows.items():
        if record is None:
            found.append(f"chain {chain_id} is not in the ledger")
            continue
        if causes.is_half_recorded(chain_id):
            continue
        row, statuses = record.chain, [task.status for task in record.tasks]
        told = (row.completed_tasks, row.failed_tasks, row.revoked_tasks)
        found += _miscounted(chain_id, "ledger", told, statuses.count, row.total_tasks, row.status)
    return found


def _miscounted(
    chain_id: str,
    store: str,
    told: tuple[int, int, int],
    count: Callable[[str], int],
    total: int,
    status: str,
) -> list[str]:
    tasks = tuple(count(name) for name in ("SUCCESS", "FAILURE", "REVOKED"))
    found = []
    if told != tasks:
        found.append(f"chain {chain_id}: the {store} counts {told}, its tasks are {tasks}")
    if sum(told) > total or (status == "SUCCESS" and sum(told) != total):
        found.append(f"chain {chain_id}: {told} of {total} tasks in the {store}, and it is {status}")
    return found


def success_is_final(seen: Observation) -> list[str]:
    """2: a SUCCESS stage never runs its body again; its stored result is what the next stage gets."""
    causes, found = Causes(seen), []
    for (chain, stage, member), runs in by_place(seen).items():
        for body, later in pairwise(runs):
            if not causes.again(body, later) and causes.finish_of(body) is not None:
                found.append(f"chain {chain} stage {stage}.{member} ran again after its SUCCESS was recorded")
    for body in seen.bodies:
        if body.stage > 1 and body.completed and _is_kept(seen, body):
            stored = _stored_runs(seen, body.chain, body.stage - 1)
            if stored and stored != body.given:
                found.append(
                    f"chain {body.chain} stage {body.stage} was given {body.given}, stored is {stored}"
                )
    return found


def _is_kept(seen: Observation, body: Body) -> bool:
    """Whether this run's result is the one that is stored."""
    result = seen.results.get(body.place)
    return isinstance(result, dict) and result.get("run") == body.run


def _stored_runs(seen: Observation, chain: str, stage: int) -> list[str]:
    stored = sorted(
        (place[2], result)
        for place, result in seen.results.items()
        if place[:2] == (chain, stage) and isinstance(result, dict)
    )
    return [result["run"] for _, result in stored]


def one_finish(seen: Observation) -> list[str]:
    """3: of two live runs of one stage at most one can finish it; a stale finish changes nothing."""
    found, causes = [], Causes(seen)
    flushes = [strike.began for strike in seen.struck(*EMPTIED, "restart_redis")]
    finishes: dict[tuple[str, tuple[int, int]], tuple[str, float]] = {}
    for event in seen.events:
        if event.place is None or event.task.get("status") != "SUCCESS":
            continue
        key, token = (event.chain, event.place), str(event.task.get("token"))
        earlier = finishes.get(key)
        if earlier is not None and earlier[0] != token:
            lost = any(
                earlier[1] >= flush - causes.unrecorded(flush) and event.at >= flush for flush in flushes
            )
            if not lost:
                found.append(f"chain {event.chain} stage {event.place}: two runs finished it")
        finishes[key] = (token, event.at)
    for runs in by_place(seen).values():
        for body, later in pairwise(runs):
            if not causes.again(body, later) and causes.finish_of(body) is None:
                found.append(
                    f"chain {body.chain} stage {body.stage}.{body.member}: process {later.pid} began it "
                    f"while the run of process {body.pid} had not been lost"
                )
    completed = {body.run for body in seen.bodies if body.completed}
    if seen.has_effects:
        for (chain, stage, member), result in seen.results.items():
            if isinstance(result, dict) and result.get("run") not in completed:
                found.append(f"chain {chain} stage {stage}.{member}: its result is of no run that completed")
    return found


def finish_before_successor(seen: Observation) -> list[str]:
    """4: a stage's finish is recorded before its successor can begin."""
    found = []
    places = by_place(seen)
    ends: dict[tuple[str, int], list[int]] = {}
    for (chain, stage, _), runs in places.items():
        first = [body.ended for body in runs if body.completed and body.ended is not None]
        ends.setdefault((chain, stage), []).append(min(first, default=1 << 60))
    for (chain, stage, _), runs in places.items():
        if stage > 1 and max(ends.get((chain, stage - 1), [1 << 60])) > min(body.begun for body in runs):
            found.append(f"chain {chain}: stage {stage} began before stage {stage - 1} was done")
    finished: dict[tuple[str, int], int] = {}
    for event in seen.events:
        if event.place is None:
            continue
        stage = event.place[0]
        if event.task.get("status") == "SUCCESS":
            finished.setdefault((event.chain, stage), event.seq)
        elif event.task.get("status") == "STARTED" and event.seq < finished.get((event.chain, stage - 1), 0):
            found.append(f"chain {event.chain}: stage {stage} began before the finish before it")
    return found


def fan_in_once(seen: Observation) -> list[str]:
    """5: a fan-in fires once, after the last member, never early."""
    found, causes = [], Causes(seen)
    places = by_place(seen)
    for chain_id, record in seen.rows.items():
        plan = record.chain.stages if record is not None else None
        for number, stage in enumerate(plan or [], start=1):
            if not stage["parallel"]:
                continue
            members = range(1, len(stage["tasks"]) + 1)
            joins = places.get((chain_id, number + 1, 0), [])
            for join in joins:
                late = [
                    member
                    for member in members
                    if not any(
                        body.completed and body.ended is not None and body.ended < join.begun
                        for body in places.get((chain_id, number, member), [])
                    )
                ]
                if late:
                    found.append(f"chain {chain_id}: stage {number + 1} began without members {late}")
                if len(join.given) != len(members):
                    found.append(f"chain {chain_id}: stage {number + 1} was given {len(join.given)} results")
            for body, later in pairwise(joins):
                if not causes.again(body, later):
                    found.append(f"chain {chain_id}: the fan-in to stage {number + 1} fired twice")
    return found


def everyone_has_an_owner(seen: Observation) -> list[str]:
    """6: a chain that is not terminal has an owner, a due time or a message: so each comes to its end."""
    found = []
    for chain_id, name in seen.chains.items():
        live, record = seen.boards.get(chain_id), seen.rows.get(chain_id)
        status = live.state["status"] if live else record.chain.status if record else "unknown"
        if status not in ENDED or chain_id in seen.stuck:
            found.append(f"chain {chain_id} of {name} is {status}: {seen.stuck.get(chain_id, 'unknown why')}")
        elif seen.has_effects and status == "FAILURE":
            found.append(f"chain {chain_id} of {name} has failed: {_reason(seen, chain_id)}")
        elif seen.has_effects and status == "REVOKED" and chain_id not in seen.revoked:
            found.append(f"chain {chain_id} of {name} is REVOKED, and nobody has called it off")
    return found


def _reason(seen: Observation, chain_id: str) -> str:
    record = seen.rows.get(chain_id)
    return str(record.chain.error_message if record else "not in the ledger")


def revoked_is_final(seen: Observation) -> list[str]:
    """7: a revoked chain starts nothing more."""
    found = []
    ended: dict[str, int] = {}
    flushes = seen.struck(*EMPTIED)
    for event in seen.events:
        # What Redis had not passed on to the ledger when it was emptied is forgotten, a revoke too.
        forgotten = any(
            strike.began - UNRECORDED * 4 <= seen.revoked.get(event.chain, 0.0) <= strike.ended
            for strike in flushes
        )
        if event.chain in ended and event.task.get("status") == "STARTED" and not forgotten:
            found.append(f"chain {event.chain} began stage {event.place} after it was revoked")
        if event.status == "REVOKED":
            ended[event.chain] = event.seq
    for chain_id, moment in seen.revoked.items():
        forgotten = any(strike.began - UNRECORDED * 4 <= moment <= strike.ended for strike in flushes)
        live = seen.boards.get(chain_id)
        if live is not None and live.state["status"] != "REVOKED" and not forgotten:
            found.append(f"chain {chain_id} was revoked, and is {live.state['status']}")
    return found


def no_event_lost(seen: Observation) -> list[str]:
    """8: no event is lost between board and ledger; twice or out of order changes nothing."""
    causes = Causes(seen)
    found = [f"{seen.left_in_stream} events are left in the stream"] if seen.left_in_stream else []
    for chain_id, live in seen.boards.items():
        record = seen.rows.get(chain_id)
        if live is None or record is None or causes.is_half_recorded(chain_id):
            continue
        row = record.chain
        told = (row.status, row.completed_tasks, row.failed_tasks, row.revoked_tasks)
        state = live.state
        true = (state["status"], state["completed"], state["failed"], state["revoked"])
        if told != true:
            found.append(f"chain {chain_id}: the ledger says {told}, the board {true}")
        tasks = {(task.stage or 0, task.member or 0): task.status for task in record.tasks}
        for place, task in live.tasks.items():
            if task["status"] != tasks.get(place) and (task["status"] != "PENDING" or place in tasks):
                found.append(
                    f"chain {chain_id} stage {place}: {tasks.get(place)} in the ledger, "
                    f"{task['status']} on the board"
                )
    return found


def progress_never_back(seen: Observation) -> list[str]:
    """9: progress never goes back within one attempt."""
    # A stage that is tried again begins anew, and so does what was forgotten with an emptied Redis.
    first_tries = {
        chain_id
        for chain_id, record in seen.rows.items()
        if record is not None and record.tasks and all(task.attempt <= 1 for task in record.tasks)
    }
    emptied = seen.struck(*EMPTIED, "restart_redis")
    found, last = [], dict[str, tuple[float, float]]()
    for moment, chain, share, state in seen.messages:
        before = last.get(chain, (0.0, 0.0))
        if any(before[0] <= strike.ended and strike.began <= moment for strike in emptied):
            before = (moment, 0.0)
        if chain in first_tries and share < before[1] and state != "FAILED":
            found.append(f"chain {chain}: progress messages went from {before[1]:.0%} to {share:.0%}")
        last[chain] = (moment, max(share, before[1]))
    return found


def plain_is_plain(seen: Observation) -> list[str]:
    """10: an actor that belongs to no workflow behaves exactly as without us."""
    found = list(seen.strangers)
    done = {body.chain for body in seen.bodies if not body.stage and body.completed}
    if not seen.struck(*EMPTIED):
        missing = [name for name in seen.plain if name not in done]
        if missing:
            found.append(f"{len(missing)} messages of an actor of no workflow were lost: {missing[:5]}")
    return found


INVARIANTS: list[tuple[str, Callable[[Observation], list[str]]]] = [
    ("completed + failed + revoked + open = total", counters),
    ("SUCCESS is final, and its result is what is handed on", success_is_final),
    ("at most one run finishes a stage", one_finish),
    ("a finish is recorded before the next stage begins", finish_before_successor),
    ("a fan-in fires once, after the last member", fan_in_once),
    ("every open chain has an owner, and comes to its end", everyone_has_an_owner),
    ("a revoked chain starts nothing more", revoked_is_final),
    ("no event is lost between board and ledger", no_event_lost),
    ("progress never goes back within an attempt", progress_never_back),
    ("other actors are left alone", plain_is_plain),
]


@dataclass(frozen=True)
class Verdict:
    """What came of one invariant: its number from 1, its title and its violations."""

    number: int
    title: str
    violations: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing has broken it."""
        return not self.violations


def judge(seen: Observation) -> list[Verdict]:
    """All ten, in order."""
    return [
        Verdict(number, title, list(dict.fromkeys([*seen.sampled.get(number, []), *check(seen)])))
        for number, (title, check) in enumerate(INVARIANTS, start=1)
    ]


def allowed_doubles(seen: Observation) -> list[str]:
    """Bodies that completed twice, each with the reason that allows it."""
    return [
        f"chain {body.chain} stage {body.stage}.{body.member} attempt {body.attempt}: {reason}"
        for body, _, reason in doubles(seen)
        if reason
    ]
