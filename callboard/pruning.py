"""``callboard prune``: a bar while it goes on, and a line for each kind at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from actors.prune import KINDS, steps

if TYPE_CHECKING:
    from actors.application import Application


@dataclass
class Total:
    """What has gone of one kind: how many, and the moment (naive UTC) of the oldest where it is known."""

    kind: str
    count: int = 0
    oldest: datetime | None = None

    def add(self, count: int, oldest: datetime | None) -> None:
        """Some more have gone."""
        self.count += count
        if oldest is not None:
            self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)

    def as_json(self) -> dict[str, Any]:
        """The total as a JSON object; the moment in ISO 8601 with its zone."""
        moment = self.oldest and self.oldest.replace(tzinfo=timezone.utc).isoformat(timespec="seconds")
        return {"kind": self.kind, "count": self.count, "oldest": moment}


def prune(application: Application, *, dry_run: bool, as_json: bool) -> None:
    """Prune, or only count, and print what has come of it.

    Raises:
        LedgerUnavailable: the database does not answer.
        redis.RedisError: Redis does not answer.
    """
    never = set(_never(application))
    for total in _totals(application, dry_run):
        if as_json:
            facts = {**total.as_json(), "dry_run": dry_run}
            print(json.dumps(facts, ensure_ascii=False), flush=True)
        elif total.kind in never:
            print(f"{total.kind}: kept for ever")
        else:
            verb = "would go" if dry_run else "gone"
            oldest = f", the oldest of {total.oldest:%Y-%m-%d %H:%M} UTC" if total.oldest else ""
            print(f"{total.kind}: {total.count:,} {verb}{oldest}")


def _totals(application: Application, dry_run: bool) -> list[Total]:
    totals = {kind: Total(kind) for kind in KINDS}
    with _bar() as bar:
        task = bar.add_task("", total=len(KINDS))
        for removed in steps(application, dry_run=dry_run):
            total = totals[removed.kind]
            total.add(removed.count, removed.oldest)
            place = KINDS.index(removed.kind)
            bar.update(task, completed=place, description=f"{removed.kind}: {total.count:,}")
    return list(totals.values())


def _bar() -> Progress:
    """On stderr, where it is a terminal; it leaves nothing there."""
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _never(application: Application) -> Iterator[str]:
    """The kinds that the settings keep for ever."""
    settings = application.settings
    days = dict.fromkeys(KINDS, settings.stale_days)
    days |= dict.fromkeys(("tasks", "chains", "batches"), settings.retention_days)
    days |= {"storage folders": settings.storage_days, "idempotency keys": settings.idempotency_days}
    return (kind for kind, number in days.items() if not number)
