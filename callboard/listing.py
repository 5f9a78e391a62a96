"""What ``callboard workflows`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.application import Application


def listed(application: Application) -> Iterator[tuple[dict[str, Any], str]]:
    """Each workflow by name: facts for programs, and a line for people."""
    from actors.availability import shortages  # noqa: PLC0415

    short = shortages(application)
    for name in sorted(application.workflows):
        workflow, lack = application.workflows[name], short.get(name)
        facts = {
            "name": name,
            "title": workflow.title,
            "stages": [stage.name for stage in workflow.stages],
            "available": lack is None,
            "missing": [] if lack is None else lack.missing,
            "install": None if lack is None else lack.install,
        }
        words = f"{name}: {' → '.join(stage.name for stage in workflow.stages)}"
        yield facts, words if lack is None else f"{name}: unavailable; {lack}"
