"""A chain shown to a person: a bar for each stage on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .errors import UnknownChain

if TYPE_CHECKING:
    from db.status import ChainSummary, StatusManager

#: Seconds between two looks at the board.
INTERVAL = 0.1
#: Seconds that the last changes may take to the ledger when the board has forgotten a chain.
STYLES = {"SUCCESS": "green", "FAILURE": "red", "REVOKED": "yellow", "RETRY": "yellow", "RUNNING": "cyan"}


class View(Protocol):
    """Shows the stages each time something has changed."""

    def update(self, chain: ChainSummary, stages: list[dict[str, Any]]) -> None: ...


def follow_chain(
    status: StatusManager,
    chain_id: str,
    *,
    as_json: bool,
    still_running: Callable[[], None] = lambda: None,
) -> bool:
    """Show a chain until it has ended; returns whether it has succeeded.

    Parameters:
        still_running: called at each look; raises when what should run the chain has died.

    Raises:
        UnknownChain: neither board nor ledger knows the chain.
    """
    console = Console(file=sys.stdout)
    bars = None if as_json or not console.is_terminal else _Bars(console)
    view: View = bars or (_JsonLines() if as_json else _PlainLines())
    screen: AbstractContextManager[Any] = nullcontext() if bars is None else bars.progress
    with screen:
        while True:
            chain, stages = _read(status, chain_id)
            view.update(chain, stages)
            if chain.status in ("SUCCESS", "FAILURE", "REVOKED"):
                break
            still_running()
            time.sleep(INTERVAL)
    _print_outcome(chain, stages, as_json)
    return chain.status == "SUCCESS"


def show_chain(status: StatusManager, chain_id: str, *, as_json: bool) -> bool:
    """Show a chain once; returns False when it has failed or was revoked.

    Raises:
        UnknownChain: neither board nor ledger knows the chain.
    """
    chain, stages = _read(status, chain_id)
    if as_json:
        _JsonLines().update(chain, stages)
    else:
        console = Console(file=sys.stdout)
        bars = _Bars(console)
        bars.update(chain, stages)
        if console.is_terminal:
            console.print(bars.progress)
        else:
            _PlainLines().update(chain, stages)
    _print_outcome(chain, stages, as_json)
    return chain.status not in ("FAILURE", "REVOKED")


def _read(status: StatusManager, chain_id: str) -> tuple[ChainSummary, list[dict[str, Any]]]:
    chain = status.find(chain_id)
    stages = status.get_pipeline_status(chain_id)
    if chain is None or stages is None:
        raise UnknownChain(chain_id)
    return chain, stages


class _Bars:
    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[elapsed]:>7}"),
            TextColumn("{task.fields[words]}"),
            console=console,
            auto_refresh=True,
        )
        self._tasks: list[TaskID] = []
        self._begun: dict[int, float] = {}

    def update(self, chain: ChainSummary, stages: list[dict[str, Any]]) -> None:
        for number, stage in enumerate(stages):
            if number == len(self._tasks):
                self._tasks.append(self.progress.add_task("", total=100, elapsed="", words=""))
            state = stage["process_status"]
            style = STYLES.get(state, "dim")
            self.progress.update(
                self._tasks[number],
                description=f"[{style}]{stage['stage']}. {stage['metadata']['stage_name']}[/]",
                completed=stage["progress"],
                elapsed=self._elapsed(number, stage),
                words=f"[{style}]{_words(stage)}[/]",
            )

    def _elapsed(self, number: int, stage: dict[str, Any]) -> str:
        seconds = stage["metadata"].get("execution_time")
        if seconds is None:
            if not stage["progress"]:
                return ""
            seconds = time.monotonic() - self._begun.setdefault(number, time.monotonic())
        return f"{seconds:.1f} s"


class _PlainLines:
    def __init__(self) -> None:
        self._last: dict[int, str] = {}

    def update(self, chain: ChainSummary, stages: list[dict[str, Any]]) -> None:
        for stage in stages:
            line = (
                f"{stage['stage']}. {stage['metadata']['stage_name']} {stage['progress']} % {_words(stage)}"
            )
            if self._last.get(stage["stage"]) != line:
                self._last[stage["stage"]] = line
                print(line, flush=True)


class _JsonLines:
    def __init__(self) -> None:
        self._last = ""

    def update(self, chain: ChainSummary, stages: list[dict[str, Any]]) -> None:
        facts = {"chain_id": chain.chain_id, "status": chain.status, "source": chain.source, "stages": stages}
        line = json.dumps(facts, ensure_ascii=False)
        if line != self._last:
            self._last = line
            print(line, flush=True)


def _words(stage: dict[str, Any]) -> str:
    metadata = stage["metadata"]
    parts = [stage["process_status"].lower(), metadata.get("substep", ""), metadata.get("error", "")]
    return " · ".join(str(part) for part in parts if part)


def _print_outcome(chain: ChainSummary, stages: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        if chain.status in ("SUCCESS", "FAILURE", "REVOKED"):
            outcome = {"final_result": chain.final_result, "error": chain.error or None}
            line = {"chain_id": chain.chain_id, "status": chain.status, **outcome}
            print(json.dumps(line, ensure_ascii=False), flush=True)
        return
    print(f"{chain.chain_name} {chain.chain_id}: {chain.status} (from {chain.source})")
    if chain.error:
        print(chain.error)
    if chain.final_result is not None:
        print(json.dumps(chain.final_result, ensure_ascii=False, indent=2))
