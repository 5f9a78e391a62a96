"""``GET /pipeline/status/{chain_id}`` and ``GET /pipeline/history``: chains as the tables show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from falcon.asgi import Request, Response

from db.chains import LiveChain
from db.history import Filters, page
from db.status_rows import ChainRecord
from db.values import from_epoch

from . import schemas
from .errors import Refusal
from .house import House, known_id, unknown_chain
from .operations import operation

#: Chains of one page at most, and how many may be skipped: deeper pages are asked by cursor.
LARGEST_PAGE, DEEPEST_OFFSET = 1000, 1_000_000
MOMENT = {"type": "string", "format": "date-time", "description": "a moment, ISO 8601; UTC without offset"}
_TEXT = {"type": "string", "maxLength": 255}


def paging() -> dict[str, schemas.Schema]:
    """The query parameters ``limit`` and ``offset``."""
    return {
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": LARGEST_PAGE,
            "default": 100,
            "description": f"a number from 1 to {LARGEST_PAGE}",
        },
        "offset": {
            "type": "integer",
            "minimum": 0,
            "maximum": DEEPEST_OFFSET,
            "default": 0,
            "description": f"a number from 0 to {DEEPEST_OFFSET}",
        },
    }


class Status:
    """One chain with its tasks."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation("A chain and its tasks", answers={200: schemas.STATUS, 404: schemas.ERROR})
    async def on_get(self, req: Request, resp: Response, chain_id: str) -> None:
        """From Redis while the chain is on the board, else from the ledger."""
        house = self._house
        live = await house.board.chain(known_id(chain_id))
        if live is not None:
            resp.media = _of_board(chain_id, live, await house.board.tasks(chain_id, live))
            return
        record = await house.record(chain_id)
        if record is None:
            raise unknown_chain()
        resp.media = _of_ledger(record)


class History:
    """Pages of chains."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "Chains, newest first; the header X-Next-Cursor leads to the page after",
        query={
            **paging(),
            "cursor": {"type": "string", "maxLength": 100, "description": "X-Next-Cursor of the page before"},
            "status": {"type": "string", "enum": schemas.CHAIN_STATUSES},
            "workflow": _TEXT,
            "batch": _TEXT,
            "since": MOMENT,
            "until": MOMENT,
            "error": {"type": "string", "maxLength": 200, "description": "a part of the error message"},
        },
        answers={200: schemas.HISTORY},
    )
    async def on_get(self, req: Request, resp: Response) -> None:
        """One page."""
        query = dict(req.context.query)
        paging = {name: query.pop(name) for name in ("limit", "offset", "cursor")}
        database = self._house.application.database
        try:
            found = await self._house.off_loop.read(page, database, Filters(**query), **paging)
        except ValueError as error:
            raise Refusal(422, "query_invalid", f"cursor: {error}") from None
        if found.cursor is not None:
            # The page after is asked by cursor alone: an offset would skip once more.
            same = {name: value for name, value in req.params.items() if name not in ("cursor", "offset")}
            resp.set_header("X-Next-Cursor", found.cursor)
            resp.append_link(f"{req.path}?{urlencode({**same, 'cursor': found.cursor})}", "next")
        resp.media = [
            {
                "chain_id": chain.chain_id,
                "chain_name": chain.chain_name,
                "status": chain.status,
                "completed_tasks": chain.completed_tasks,
                "total_tasks": chain.total_tasks,
                "started_at": moment(chain.started_at),
                "finished_at": moment(chain.finished_at),
            }
            for chain in found.chains
        ]


def moment(value: datetime | str | None) -> str | None:
    """A moment as the documents have it: ISO 8601 in UTC, without an offset. Texts are epoch seconds."""
    if value is None:
        return None
    return (from_epoch(float(value)) if isinstance(value, str) else value).isoformat()


def _of_board(chain_id: str, live: LiveChain, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    facts, state = live.facts, live.state
    total = int(facts["total"])
    return {
        "chain_id": chain_id,
        "chain_name": facts["name"],
        "status": state["status"],
        "progress": state["completed"] / total if total else 0,
        "total_tasks": total,
        "completed_tasks": state["completed"],
        "failed_tasks": state["failed"],
        "started_at": moment(state.get("started")),
        "finished_at": moment(state.get("finished")),
        "error_message": state.get("error") or None,
        "tasks": [
            {
                "task_id": task["task_id"],
                "task_name": task["task_name"],
                "status": task["status"],
                "retries": int(task.get("retries") or 0),
                "error": task.get("error") or None,
                "started_at": moment(task.get("started")),
                "finished_at": moment(task.get("finished")),
            }
            for task in tasks
        ],
    }


def _of_ledger(record: ChainRecord) -> dict[str, Any]:
    chain = record.chain
    return {
        "chain_id": chain.chain_id,
        "chain_name": chain.chain_name,
        "status": chain.status,
        "progress": chain.completed_tasks / chain.total_tasks if chain.total_tasks else 0,
        "total_tasks": chain.total_tasks,
        "completed_tasks": chain.completed_tasks,
        "failed_tasks": chain.failed_tasks,
        "started_at": moment(chain.started_at),
        "finished_at": moment(chain.finished_at),
        "error_message": chain.error_message,
        "tasks": [
            {
                "task_id": task.task_id,
                "task_name": task.task_name,
                "status": task.status,
                "retries": task.retries or 0,
                "error": task.error,
                "started_at": moment(task.started_at),
                "finished_at": moment(task.finished_at),
            }
            for task in record.tasks
        ],
    }
