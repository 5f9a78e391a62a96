"""The same faults against Callboard and against stock Dramatiq: what is lost, doubled, stuck, early.

    python benchmarks/reliability.py [--chains 100] [--seconds 15] [--seed 1] [--wait 60] [--scenarios …]

Both systems run the same chains at the same moments (one plan, made from the seed): half of them pipelines of
four stages, half with a group of three members and what follows it. Stock is ``dramatiq.pipeline`` and
``dramatiq.group`` with GroupCallbacks on a stock RedisBroker with Dramatiq's own settings. Private servers.

    lost      chains that had not ended after ``--wait`` seconds, with no message queued or un-acked
    stuck     chains that had not ended by then, with a message queued or un-acked
    doubled   bodies that came to their end although the same one had done so before
    early     fan-ins that began before every member was done
    told      chains that ended in FAILURE, as whoever asks is told
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import redis
from dramatiq import Message
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from callboard.chaos.causes import doubles  # noqa: E402
from callboard.chaos.effects import Body, read_bodies  # noqa: E402
from callboard.chaos.faults import Target, strike  # noqa: E402
from callboard.chaos.installation import Installation, install  # noqa: E402
from callboard.chaos.observation import Observation  # noqa: E402
from callboard.chaos.plan import Plan, Wanted, make, parse_faults  # noqa: E402
from callboard.chaos.pool import Pool  # noqa: E402
from callboard.chaos.run import Run  # noqa: E402
from callboard.chaos.samples import MEMBERS  # noqa: E402

SCENARIOS = {
    "no faults": ("none", 0.0),
    "5 × SIGKILL of a worker": ("kill_worker:5", 0.0),
    "3 × SIGKILL of all workers": ("kill_tree:3", 0.0),
    "2 × a worker stopped for 70 s": ("pause_worker:2@70", 0.0),
    "3 × everything un-acked is delivered again": ("requeue:3", 0.0),
    "2 × Redis restarted": ("restart_redis:2", 0.0),
    "Redis emptied": ("flush_redis:1", 0.0),
    "a stage fails for good in a fifth": ("none", 0.2),
}


@dataclass
class Outcome:
    """What came of one scenario on one system."""

    ended: int
    told: int
    lost: int
    stuck: int
    doubled: int
    early: int
    seconds: float


def on_callboard(installation: Installation, seed: int, wanted: Wanted) -> Outcome:
    """The scenario with workflows, boards and ledger."""
    report = Run(installation, seed, wanted, processes=2, threads=4).carry_out()
    counts, seen = report.counts, report.seen
    open_ones = sum(number for status, number in counts.items() if status not in ("SUCCESS", "FAILURE"))
    early = sum("began without members" in words for words in report.verdicts[4].violations)
    return Outcome(
        counts.get("SUCCESS", 0),
        counts.get("FAILURE", 0),
        0,
        open_ones,
        len(list(doubles(seen))),
        early,
        report.tail,
    )


def on_stock(installation: Installation, seed: int, wanted: Wanted, wait: float) -> Outcome:
    """The scenario with stock Dramatiq."""
    import reliability_stages as stages  # noqa: PLC0415 (its broker is that of the private server)

    installation.clear()
    folder = installation.folder / f"stock-{uuid4().hex[:6]}"
    folder.mkdir()
    effects = folder / "effects.jsonl"
    plan = make(seed, Wanted(**{**vars(wanted), "effects": str(effects)}))
    environment = {
        **installation.environment,
        "PYTHONPATH": f"{HERE}:{installation.environment['PYTHONPATH']}",
    }
    seen = Observation()
    with Pool(
        environment, folder / "log", processes=2, threads=4, module="reliability_stages", with_clock=False
    ) as pool:
        pool.wait_until_ready()
        stock = SimpleNamespace(broker=SimpleNamespace(namespace="dramatiq"))
        target = Target(
            installation.redis,
            installation.database,
            installation.redis_proxy,
            installation.database_proxy,
            pool,
            stock,
            seen,
            installation.lease,  # type: ignore[arg-type]
        )
        chains = happen(plan, target, stages)
        last_fault = time.monotonic()
        while time.monotonic() - last_fault < wait and len(ended(read_bodies(effects))) < len(chains):
            time.sleep(0.5)
        seconds = time.monotonic() - last_fault
        bodies = read_bodies(effects)
        queued = chains_in_queues(installation)
    missing = set(chains) - ended(bodies)
    completed = Counter(body.place for body in bodies if body.completed)
    return Outcome(
        ended=len(ended(bodies)),
        told=0,
        lost=len(missing - queued),
        stuck=len(missing & queued),
        doubled=sum(count - 1 for count in completed.values()),
        early=early_fan_ins(bodies, chains),
        seconds=seconds,
    )


def happen(plan: Plan, target: Target, stages: Any) -> dict[str, str]:
    """Start the chains and let the faults happen, each at its moment. Returns chain → workflow."""
    began = time.monotonic()
    started: dict[str, str] = {}

    def wait_until(moment: float) -> None:
        time.sleep(max(0.0, began + moment - time.monotonic()))

    def start_all() -> None:
        for number, planned in enumerate(plan.chains):
            wait_until(planned.moment)
            for _ in range(60):
                try:
                    stages.start(f"chain-{number}", planned.workflow, planned.data)
                    started[f"chain-{number}"] = planned.workflow
                    break
                except redis.RedisError:
                    time.sleep(0.5)

    def fault(planned: Any) -> None:
        wait_until(planned.moment)
        strike(planned.fault, target, random.Random(planned.seed), planned.seconds)

    threads = [threading.Thread(target=start_all)]
    threads += [threading.Thread(target=fault, args=(planned,)) for planned in plan.faults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return started


def ended(bodies: list[Body]) -> set[str]:
    """Chains whose last stage is done."""
    return {body.chain for body in bodies if body.stage == 4 and body.completed}


def early_fan_ins(bodies: list[Body], chains: dict[str, str]) -> int:
    """Fan-ins that began before every member was done."""
    count = 0
    for body in bodies:
        if body.stage == 3 and chains.get(body.chain) == "chaos_fan":
            done = {
                other.member
                for other in bodies
                if other.chain == body.chain
                and other.stage == 2
                and other.completed
                and other.ended is not None
                and other.ended < body.begun
            }
            count += len(done) < MEMBERS
    return count


def chains_in_queues(installation: Installation) -> set[str]:
    """Chains of which a message is queued, delayed or un-acked."""
    found = set()
    with redis.Redis.from_url(installation.redis.url) as client:
        for key in client.scan_iter("dramatiq:*.msgs"):
            if key.endswith(b".XQ.msgs"):
                continue
            for data in client.hvals(key):
                message: Message[Any] = Message.decode(data)
                found.add(str(message.args[0]["chain"]))
    return found


def main() -> None:
    """Every scenario on both systems, as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wait", type=float, default=60)
    parser.add_argument("--scenarios", help="numbers from 1, with commas between them")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    chosen = list(SCENARIOS)
    if given.scenarios:
        chosen = [chosen[int(number) - 1] for number in given.scenarios.split(",")]
    table = Table(title=f"{given.chains} chains, seed {given.seed}, {given.wait:g} s of waiting")
    names = ("ended", "told", "lost", "stuck", "doubled", "early", "seconds")
    for title in ("faults", "system", *names):
        table.add_column(title, justify="left" if title in ("faults", "system") else "right")
    with install() as installation:
        for name in chosen:
            faults, failing = SCENARIOS[name]
            wanted = Wanted(given.chains, given.seconds, parse_faults(faults), revokes=False, failing=failing)
            for system, outcome in (
                ("stock", on_stock(installation, given.seed, wanted, given.wait)),
                ("callboard", on_callboard(installation, given.seed, wanted)),
            ):
                facts = vars(outcome)
                if given.json:
                    print(json.dumps({"faults": name, "system": system, **facts}), flush=True)
                table.add_row(name, system, *(f"{facts[one]:.3g}" for one in names))
    if not given.json:
        Console().print(table)


if __name__ == "__main__":
    main()
