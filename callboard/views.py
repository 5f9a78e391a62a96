"""The stages of a chain as a person or a program sees them: bars, plain lines, or JSON lines."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

if TYPE_CHECKING:
    from db.board import Board
    from db.status import ChainSummary

STYLES = {"SUCCESS": "green", "FAILURE": "red", "REVOKED": "yellow", "RETRY": "yellow", "RUNNING": "cyan"}
AT_WORK = ("STARTED", "RUNNING")

Stages = list[dict[str, Any]]


class View(Protocol):
    """Shows the stages each time something has changed, and what they say."""

    def update(self, chain: ChainSummary, stages: Stages) -> None: ...

    def log(self, chain: ChainSummary, line: str) -> None: ...


class Bars:
    """A bar for each stage; ``progress`` is what to draw."""

    def __init__(self, console: Console, board: Board) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[elapsed]:>8}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, ratio=1)),
            console=console,
            expand=True,
        )
        self._board = board
        self._tasks: list[TaskID] = []
        self._begun: dict[int, float] = {}
        self._watched: set[int] = set()

    def update(self, chain: ChainSummary, stages: Stages) -> None:
        for number, stage in enumerate(stages):
            style = STYLES.get(stage["process_status"], "dim")
            shown: dict[str, Any] = {
                "description": f"[{style}]{stage['stage']}. {escape(stage['metadata']['stage_name'])}[/]",
                "completed": stage["progress"],
                "elapsed": self._elapsed(number, stage),
                "words": f"[{style}]{escape(words(stage))}[/]",
            }
            if number == len(self._tasks):
                self._tasks.append(self.progress.add_task(**shown, total=100))
            else:
                self.progress.update(self._tasks[number], **shown)

    def log(self, chain: ChainSummary, line: str) -> None:
        self.progress.console.print(line, style="dim", markup=False, highlight=False)

    def _elapsed(self, number: int, stage: dict[str, Any]) -> str:
        if stage["process_status"] not in AT_WORK:
            self._watched.add(number)
            self._begun.pop(number, None)
            seconds = stage["metadata"].get("execution_time")
            return "" if seconds is None else f"{seconds:.1f} s"
        if number not in self._begun:
            # A stage that was at work before we looked has begun when the board says so.
            begun = None if number in self._watched else self._begun_on_board(stage)
            self._begun[number] = begun or time.time()
        return f"{max(0.0, time.time() - self._begun[number]):.1f} s"

    def _begun_on_board(self, stage: dict[str, Any]) -> float | None:
        members = range(1, len(stage["metadata"]["members"]) + 1) if "members" in stage["metadata"] else (0,)
        tasks = [self._board.task(stage["chain_id"], stage["stage"], member) for member in members]
        return min((float(task["started"]) for task in tasks if task and task.get("started")), default=None)


class PlainLines:
    """A line for each stage that has moved."""

    def __init__(self) -> None:
        self._last: dict[int, str] = {}

    def update(self, chain: ChainSummary, stages: Stages) -> None:
        for stage in stages:
            seconds = stage["metadata"].get("execution_time")
            elapsed = "" if seconds is None or stage["process_status"] in AT_WORK else f" ({seconds:.1f} s)"
            line = (
                f"{stage['stage']}. {stage['metadata']['stage_name']} {stage['progress']} % "
                f"{words(stage)}{elapsed}"
            )
            if self._last.get(stage["stage"]) != line:
                self._last[stage["stage"]] = line
                print(line, flush=True)

    def log(self, chain: ChainSummary, line: str) -> None:
        print(f"   {line}", flush=True)


class JsonLines:
    """One JSON object a line: the chain with all its stages, or what one of them says."""

    def __init__(self) -> None:
        self._last = ""

    def update(self, chain: ChainSummary, stages: Stages) -> None:
        facts = {"chain_id": chain.chain_id, "status": chain.status, "source": chain.source, "stages": stages}
        line = json.dumps(facts, ensure_ascii=False)
        if line != self._last:
            self._last = line
            print(line, flush=True)

    def log(self, chain: ChainSummary, line: str) -> None:
        print(json.dumps({"chain_id": chain.chain_id, "log": line}, ensure_ascii=False), flush=True)


def words(stage: dict[str, Any]) -> str:
    """What a stage is doing, in one line: status, substep, error."""
    metadata, status = stage["metadata"], stage["process_status"].lower()
    if status == "retry" and metadata.get("retries"):
        status = f"retry {metadata['retries']}"
    parts = [status, metadata.get("substep", ""), metadata.get("error", "")]
    return " · ".join(in_one_line(str(part)) for part in parts if part)


def in_one_line(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())
