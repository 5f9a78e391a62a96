"""``/api/v1/tasks/ai-pipeline/{chain_id}``: the status array of a chain, and one entry of it."""

from __future__ import annotations

import json
from typing import Any

from falcon.asgi import Request, Response

from . import schemas
from .board import count_entries
from .errors import Refusal
from .house import House, known_id, unknown_chain
from .messages import text
from .operations import operation


async def read_array(house: House, chain_id: str) -> bytes:
    """A chain's status array as JSON text.

    Raises:
        Refusal: 404 for an unknown chain.
    """
    array = await house.board.array(known_id(chain_id))
    if array is None:
        found = await house.off_loop.read(house.application.ledger.status_array, chain_id)
        if found is None:
            raise unknown_chain()
        array = json.dumps(found, ensure_ascii=False).encode()
    return array


class Tasks:
    """All stages of a chain."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("All stages of a chain, in order", answers={200: schemas.TASKS, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, chain_id: str) -> None:
        """The board's text goes out as it is: it is read for its length only."""
        array = await read_array(self._house, chain_id)
        count = count_entries(array)
        message = text(req.context.language, "tasks_read", chain_id=chain_id, count=count)
        resp.data = b'{"success":true,"data":%b,"message":"%b"}' % (array, message.encode())


class Stage:
    """One stage of a chain."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "One stage of a chain",
        path={"stage": {"type": "string", "pattern": "^[0-9]{1,9}$", "description": "from 1"}},
        answers={200: schemas.STAGE, 400: schemas.ERROR, 404: schemas.ERROR},
    )
    async def on_get(self, req: Request, resp: Response, chain_id: str, stage: str) -> None:
        """The entry of that number."""
        if not (stage.isascii() and stage.isdigit() and len(stage) <= 9):
            raise Refusal(400, "stage_invalid", f"stage: read {stage[:80]!r}, expected a number from 1")
        number = int(stage)
        array: list[dict[str, Any]] = json.loads(await read_array(self._house, chain_id))
        found = next((entry for entry in array if entry["stage"] == number), None)
        if found is None:
            raise Refusal(404, "stage_not_found", f"the chain has the stages 1 to {len(array)}, not {number}")
        message = text(req.context.language, "stage_read", chain_id=chain_id, stage=number)
        resp.media = {"success": True, "data": found, "message": message}
