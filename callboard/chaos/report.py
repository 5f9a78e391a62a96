"""What came of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .invariants import Verdict
from .observation import Observation
from .plan import Plan


@dataclass
class Report:
    """What came of a run.

    Attributes:
        seed: repeats it.
        plan: what was meant to happen.
        verdicts: of the ten invariants.
        seen: what was observed.
        doubles: bodies that completed twice, each with the reason that allows it.
        tail: seconds from the last fault to the last chain's end.
        seconds: of the whole run.
        log: of the workers and the clock.
    """

    seed: int
    plan: Plan
    verdicts: list[Verdict]
    seen: Observation
    doubles: list[str]
    tail: float
    seconds: float
    log: Path

    @property
    def counts(self) -> dict[str, int]:
        """Chains by their status at the end."""
        return count_statuses(self.seen)

    @property
    def holds(self) -> bool:
        """Whether no invariant was broken."""
        return all(verdict.holds for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seed": self.seed,
            "holds": self.holds,
            "invariants": [
                {
                    "number": verdict.number,
                    "title": verdict.title,
                    "holds": verdict.holds,
                    "violations": verdict.violations,
                }
                for verdict in self.verdicts
            ],
            "chains": self.counts,
            "faults": [
                {"name": strike.name, "began": strike.began, "ended": strike.ended, "words": strike.words}
                for strike in self.seen.strikes
            ],
            "bodies": len(self.seen.bodies),
            "doubles": self.doubles,
            "seconds_after_last_fault": round(self.tail, 1),
            "seconds": round(self.seconds, 1),
        }


def count_statuses(seen: Observation) -> dict[str, int]:
    """Chains by their status at the end: the board's, else the ledger's; ``LOST`` where neither has one."""
    counts: dict[str, int] = {}
    for chain_id in seen.chains:
        live, record = seen.boards.get(chain_id), seen.rows.get(chain_id)
        status = live.state["status"] if live else record.chain.status if record else "LOST"
        counts[status] = counts.get(status, 0) + 1
    return counts
