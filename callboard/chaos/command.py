"""What ``callboard chaos`` does: runs seeds, shows how it goes, and tells what came of it."""

from __future__ import annotations

import json
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from callboard.errors import CallboardError

from .faults import FAULTS
from .installation import Installation, install
from .plan import Wanted, choices, parse_faults, parse_seeds
from .report import Report
from .run import Run, Say
from .servers import Unavailable

#: Violations of one invariant that a table shows.
SHOWN = 5


def run_seeds(
    seed: int | None,
    seeds: str | None,
    asked: Wanted,
    *,
    processes: int,
    threads: int,
    broker_url: str | None,
    as_json: bool,
) -> bool:
    """Run each seed and print its outcome. Returns whether every invariant held in every one.

    Parameters:
        seed, seeds: one, or a range such as ``1..200``; one by chance where neither is given.

    Raises:
        CallboardError: there is no Redis to start, or no such workflow.
    """
    console = Console(soft_wrap=not sys.stdout.isatty())
    chosen = _seeds(seed, seeds)
    # Asked to end, it takes its servers and workers with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    broken: list[int] = []
    try:
        with install(broker_url=broker_url) as installation:
            if asked.workflow is not None:
                installation.application.workflow(asked.workflow)
            here = _fit(asked, installation, console, as_json)
            for number in chosen:
                with _progress(number, as_json) as say:
                    run = Run(installation, number, here, processes=processes, threads=threads, say=say)
                    report = run.carry_out()
                _show(console, report, as_json, brief=len(chosen) > 1)
                if not report.holds:
                    broken.append(number)
    except Unavailable as error:
        raise CallboardError(f"{error}; pip install 'callboard[chaos]' brings servers") from None
    if len(chosen) > 1 and not as_json:
        words = f"broken in {len(broken)}: seeds {', '.join(map(str, broken))}" if broken else "all held"
        console.print(f"{len(chosen)} seeds: {words}")
    return not broken


def _fit(asked: Wanted, installation: Installation, console: Console, as_json: bool) -> Wanted:
    """The same, without what this machine cannot do; that is said by name."""
    if installation.database is not None:
        return asked
    faults = choices(asked.faults, with_database=False)
    left_out = ", ".join(name for name in asked.faults if name not in faults)
    if left_out and not as_json:
        console.print(f"The ledger is in SQLite ({installation.missing}). Left out: {left_out}")
    return Wanted(**{**vars(asked), "faults": faults})


@contextmanager
def _progress(seed: int, as_json: bool) -> Iterator[Say]:
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield lambda words: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"seed {seed}", total=None)
        yield lambda words: progress.update(task, description=f"seed {seed}: {words}")


def _show(console: Console, report: Report, as_json: bool, *, brief: bool) -> None:
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False), flush=True)
        return
    console.print(_summary(report))
    if brief and report.holds:
        return
    table = Table(title=f"seed {report.seed}")
    for title in ("", "invariant", "", "violations"):
        table.add_column(title, overflow="fold")
    for verdict in report.verdicts:
        shown = verdict.violations[:SHOWN]
        if len(verdict.violations) > SHOWN:
            shown.append(f"and {len(verdict.violations) - SHOWN} more")
        held = "[green]pass[/green]" if verdict.holds else "[red]fail[/red]"
        table.add_row(str(verdict.number), verdict.title, held, "\n".join(shown))
    console.print(table)
    for strike in sorted(report.seen.strikes, key=lambda strike: strike.began):
        console.print(f"  {strike.name}: {strike.words}")
    for double in report.doubles:
        console.print(f"  completed twice: {double}")
    if not report.holds:
        console.print(f"  again: callboard chaos --seed {report.seed}; log: {_kept_log(report)}")


def _summary(report: Report) -> str:
    chains = ", ".join(f"{number} {status}" for status, number in sorted(report.counts.items()))
    faults: dict[str, int] = {}
    for strike in report.seen.strikes:
        faults[strike.name] = faults.get(strike.name, 0) + 1
    struck = ", ".join(f"{number} × {name}" for name, number in sorted(faults.items()))
    verdict = "pass" if report.holds else "FAIL"
    return (
        f"seed {report.seed}: {verdict}; {chains}; {len(report.seen.bodies)} bodies, "
        f"{len(report.doubles)} twice; ended {report.tail:.1f} s after the last fault; "
        f"{report.seconds:.0f} s; {struck or 'no faults'}"
    )


def _kept_log(report: Report) -> str:
    """The log outlives the temporary folder."""
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    kept = f"{tempfile.gettempdir()}/callboard-chaos-seed-{report.seed}.log"
    shutil.copyfile(report.log, kept)
    return kept


def _seeds(seed: int | None, seeds: str | None) -> Sequence[int]:
    if seeds is not None:
        return parse_seeds(seeds)
    return [secrets.randbelow(1 << 31) if seed is None else seed]


def fault_list() -> str:
    """A line for each fault."""
    return "\n".join(f"{name:18}{(fault.__doc__ or '').splitlines()[0]}" for name, fault in FAULTS.items())


def wanted(
    *, chains: int, seconds: float, faults: str, workflow: str | None, data: Any, revokes: bool
) -> Wanted:
    """What the command line asks for.

    Raises:
        CallboardError: a fault's name is unknown.
    """
    chosen = ",".join(FAULTS) if faults == "all" else faults
    return Wanted(chains, seconds, parse_faults(chosen), workflow, data, revokes=revokes)
