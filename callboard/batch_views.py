"""A batch as a person or a program sees it: a bar, a plain line now and then, or JSON lines."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from .views import STYLES, in_one_line
from .why_task import duration

if TYPE_CHECKING:
    from actors.batches.status import BatchStatus
    from db.batches.items import BatchItem

#: Seconds between two plain lines of a batch whose status is the same.
PLAIN_SECONDS = 5.0


class BatchView(Protocol):
    """Shows a batch at each look, and each image that has failed."""

    def update(self, status: BatchStatus) -> None: ...

    def failure(self, item: BatchItem) -> None: ...

    def note(self, text: str) -> None: ...


class BatchBar:
    """One bar; ``progress`` is what to draw."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, ratio=1)),
            console=console,
            expand=True,
        )
        self._task: TaskID | None = None

    def update(self, status: BatchStatus) -> None:
        style = STYLES.get(status.status, "cyan" if status.started_at else "dim")
        shown: dict[str, Any] = {
            "description": f"[{style}]{escape(in_one_line(status.batch_name))}[/]",
            "total": status.total_images,
            "completed": status.ended_images,
            "words": f"[{style}]{escape(' · '.join(counts(status)))}[/]",
        }
        if self._task is None:
            self._task = self.progress.add_task(**shown)
        else:
            self.progress.update(self._task, **shown)

    def failure(self, item: BatchItem) -> None:
        self.progress.console.print(failure_line(item), style="red", markup=False, highlight=False)

    def note(self, text: str) -> None:
        self.progress.console.print(text, style="dim", markup=False, highlight=False)


class BatchLines:
    """A line whenever the status is another, and now and then in between."""

    def __init__(self) -> None:
        self._last = ""
        self._status = ""
        self._next = 0.0

    def update(self, status: BatchStatus) -> None:
        moved = status.status != self._status or status.finished_at is not None
        if not moved and time.monotonic() < self._next:
            return
        line = words(status)
        if line != self._last:
            print(line, flush=True)
        self._last, self._status, self._next = line, status.status, time.monotonic() + PLAIN_SECONDS

    def failure(self, item: BatchItem) -> None:
        print(f"   {failure_line(item)}", flush=True)

    def note(self, text: str) -> None:
        print(f"   {text}", flush=True)


class BatchJson:
    """One JSON object a line: the batch whenever it has moved, or an image that has failed."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def update(self, status: BatchStatus) -> None:
        facts = {name: _plain(value) for name, value in asdict(status).items()}
        if facts != self._last:
            print(json.dumps(facts, ensure_ascii=False), flush=True)
        self._last = facts

    def failure(self, item: BatchItem) -> None:
        facts = {name: _plain(value) for name, value in asdict(item).items()}
        print(json.dumps({"failed": facts}, ensure_ascii=False), flush=True)

    def note(self, text: str) -> None:
        """The counts tell it."""


def words(status: BatchStatus) -> str:
    """A batch in one line."""
    return f"{in_one_line(status.batch_name)}: {status.status} {', '.join(counts(status))}"


def counts(status: BatchStatus) -> list[str]:
    """How many images have ended, how fast that goes, and how long it will go on."""
    parts = [f"{status.ended_images} of {status.total_images} images"]
    parts += [f"{status.failed_images} failed"] if status.failed_images else []
    parts += [f"{status.revoked_images} revoked"] if status.revoked_images else []
    if status.ended_images == status.total_images:
        return parts
    parts += [f"{status.images_per_second:.1f} images/s"] if status.images_per_second else []
    left = status.estimated_time_remaining
    return parts if left is None else [*parts, f"{duration(left)} left"]


def failure_line(item: BatchItem) -> str:
    """File, stage and error of an image."""
    stage = f"stage {item.stage} {item.stage_name or ''}".strip() if item.stage else ""
    return f"{item.file_path}: {' · '.join(filter(None, (stage, in_one_line(item.error or 'failed'))))}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
