"""``POST /pipeline/batch/{batch_id}/retry-failed`` and ``/revoke``: what changes batches."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import quote

from falcon.asgi import Request, Response

from actors.batches.retry import retry_failed
from actors.batches.revoke import revoke_batch
from db.values import clean_text

from . import schemas
from .auth import Role
from .batches import known_batch_id
from .bodies import read_json
from .house import House
from .messages import text
from .operations import operation

_ERRORS = dict.fromkeys((400, 404, 409, 413, 415, 422), schemas.ERROR)


class RetryFailed:
    """Retries what of a batch has failed."""

    def __init__(self, house: House, body_limit: int) -> None:
        self._house = house
        self._body_limit = body_limit

    @operation(
        "Retry what of a batch has failed",
        role=Role.OPERATE,
        query={"dry_run": {"type": "boolean", "description": "true or false", "default": False}},
        body={"application/json": schemas.RETRY_BODY},
        answers={200: schemas.BATCH_RETRY, 202: schemas.BATCH_RETRY, **_ERRORS},
    )
    async def on_post(self, req: Request, resp: Response, batch_id: str) -> None:
        """Each image from the stage that failed. With ``dry_run`` nothing changes, and it answers 200."""
        body = await read_json(req, self._body_limit, schemas.RETRY_BODY)
        dry_run = body.get("dry_run", False) or bool(req.context.query.get("dry_run"))
        house = self._house
        plan = await house.change(
            retry_failed, known_batch_id(batch_id), dry_run=dry_run, application=house.application
        )
        resp.status = 200 if dry_run else 202
        resp.set_header("Location", _location(req, batch_id))
        code = "batch_retry_planned" if dry_run else "batch_retried"
        message = text(req.context.language, code, batch_id=batch_id, count=plan.images)
        resp.media = {"success": True, "data": asdict(plan), "message": message}


class RevokeBatch:
    """Calls a batch off."""

    def __init__(self, house: House, body_limit: int) -> None:
        self._house = house
        self._body_limit = body_limit

    @operation(
        "Call a batch off",
        role=Role.OPERATE,
        body={"application/json": schemas.REVOKE_BODY},
        answers={202: schemas.BATCH_REVOKED, **_ERRORS},
    )
    async def on_post(self, req: Request, resp: Response, batch_id: str) -> None:
        """Nothing of it starts any more; running stages stop at their next report or are interrupted."""
        body = await read_json(req, self._body_limit, schemas.REVOKE_BODY)
        house = self._house
        receipt = await house.change(
            revoke_batch,
            known_batch_id(batch_id),
            clean_text(body.get("reason", "revoked")),
            application=house.application,
        )
        resp.status = 202
        resp.set_header("Location", _location(req, batch_id))
        message = text(req.context.language, "batch_revoked", batch_id=batch_id)
        resp.media = {"success": True, "data": asdict(receipt), "message": message}


def _location(req: Request, batch_id: str) -> str:
    return f"{req.prefix}/pipeline/batch/{quote(batch_id)}"
