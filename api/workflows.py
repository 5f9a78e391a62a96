"""``GET /workflows``: what can be started."""

from __future__ import annotations

from typing import Any

from falcon.asgi import Request, Response

from actors.availability import shortages
from actors.workflow import Workflow
from callboard.errors import ExtraMissing

from . import schemas
from .house import House
from .messages import text
from .operations import operation


class Workflows:
    """The workflows that this process knows."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("Workflows, their stages, and what input each takes", answers={200: schemas.WORKFLOWS})
    async def on_get(self, req: Request, resp: Response) -> None:
        """By name. One whose extra is missing where the workers run is told as not available."""
        known = self._house.application.workflows
        short = await self._house.off_loop.write(shortages, self._house.application)
        data = [_facts(known[name], short.get(name)) for name in sorted(known)]
        message = text(req.context.language, "workflows_read", count=len(data))
        resp.media = {"success": True, "data": data, "message": message}


def _facts(workflow: Workflow, short: ExtraMissing | None) -> dict[str, Any]:
    return {
        "name": workflow.name,
        "title": workflow.title,
        "stages": [
            {
                "stage": number,
                "name": stage.name,
                "parallel": stage.parallel,
                "members": [task["name"] for task in stage.tasks],
            }
            for number, stage in enumerate(workflow.plan(""), start=1)
        ],
        "accepts": workflow.accepts,
        "available": short is None,
        "missing": [] if short is None else short.missing,
        "install": None if short is None else short.install,
    }
