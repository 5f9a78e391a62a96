"""``callboard chaos`` as the fault tests use it: in a process of its own, its report read from JSON."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Modules that worker processes import.
WORKERS = Path(__file__).parent / "faults" / "workers"


def a_seed() -> int:
    """A new one each time; ``FAULT_SEED`` repeats what a failed test has printed."""
    return int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1 << 31))


def run_chaos(*arguments: str, seed: int, timeout: float = 240, **environment: str) -> dict[str, Any]:
    """Run it to its end and return its report, once every invariant has held."""
    command = [sys.executable, "-m", "callboard", "chaos", "--json", "--seed", str(seed), *arguments]
    done = subprocess.run(
        command,
        cwd=WORKERS,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    again = f"FAULT_SEED={seed} repeats it: {' '.join(command[1:])} {environment}"
    assert done.returncode in (0, 1), f"{done.stderr[-3000:]}\n{again}"
    report: dict[str, Any] = json.loads(done.stdout)
    broken = [
        f"{invariant['number']} {invariant['title']}: {words}"
        for invariant in report["invariants"]
        for words in invariant["violations"]
    ]
    assert report["holds"], "\n".join([*broken[:20], again])
    return report


def faults_of(report: dict[str, Any]) -> list[str]:
    """The names of the faults that happened."""
    return sorted(fault["name"] for fault in report["faults"])
