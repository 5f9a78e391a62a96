"""``POST /pipeline`` and ``POST /pipeline/{chain_id}/resume`` and ``/revoke``: what changes chains."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from falcon.asgi import Request, Response

from actors import control, starting
from actors.workflow import Workflow
from callboard.errors import CallboardError, UnknownWorkflow
from db.values import clean_text

from . import schemas
from .auth import Role
from .bodies import check, parse_json, read_json
from .errors import Refusal
from .house import House, known_id
from .ledger import Unanswered
from .messages import text
from .operations import operation
from .places import Places
from .uploads import Limits, Received, check_kind, is_form, receive

INITIATED_BY = "api_server"
_KEY_LENGTH = 255
_ERRORS = dict.fromkeys((400, 409, 413, 415, 422), schemas.ERROR)


class Pipeline:
    """Starts chains.

    Parameters:
        places: which files an input may name.
        limits: of an upload.
        body_limit: bytes of a JSON body.
    """

    def __init__(self, house: House, places: Places, limits: Limits, body_limit: int) -> None:
        self._house = house
        self._places = places
        self._limits = limits
        self._body_limit = body_limit

    @operation(
        "Start a chain of a named workflow, with JSON or with a file",
        role=Role.START,
        body={"application/json": schemas.START_BODY, "multipart/form-data": schemas.START_FORM},
        answers={202: schemas.STARTED, **_ERRORS},
        headers={"Idempotency-Key": "the same key gives the same chain and starts nothing twice"},
    )
    async def on_post(self, req: Request, resp: Response) -> None:
        """The chain has been accepted when this answers."""
        key = idempotency_key(req)
        if is_form(req.content_type):
            workflow, chain_id = await self._start_with_file(req, key)
        else:
            body = await read_json(req, self._body_limit, schemas.START_BODY)
            workflow = self._workflow(body["workflow"])
            data = await self._house.off_loop.write(self._places.check_input, body.get("input", {}))
            chain_id = await self._start(workflow, data, body.get("chain_id"), key)
        resp.status = 202
        resp.set_header("Location", _location(req, chain_id))
        resp.media = {
            "success": True,
            "chain_id": chain_id,
            "data": {"chain_id": chain_id, "workflow": workflow.name},
            "message": text(req.context.language, "chain_started", workflow=workflow.name),
        }

    async def _start_with_file(self, req: Request, key: str | None) -> tuple[Workflow, str]:
        chain_id = str(uuid4())
        folder = self._house.application.storage.folder(chain_id)
        keep = None
        try:
            received = await receive(req, folder, self._limits, self._house.off_loop)
            workflow = self._workflow(received.fields.get("workflow", ""))
            data = _input_of(received)
            check_kind(received.files[0][1], workflow.files, workflow.name)
            data = await self._house.off_loop.write(self._places.check_input, data)
            data["file_path"] = received.files[0][1]
            started = keep = await self._start(workflow, data, chain_id, key)
        except Unanswered:
            keep = chain_id
            raise
        finally:
            # Refused, or the key had its chain already: what was uploaded belongs to nothing.
            if keep != chain_id:
                with contextlib.suppress(OSError, CallboardError):
                    await self._house.off_loop.write(folder.remove)
        return workflow, started

    async def _start(self, workflow: Workflow, data: Any, chain_id: str | None, key: str | None) -> str:
        if workflow.accepts is not None:
            check(data, workflow.accepts, "input_invalid")
        return await self._house.change(
            starting.start,
            workflow,
            data,
            chain_id=chain_id,
            idempotency_key=key,
            initiated_by=INITIATED_BY,
        )

    def _workflow(self, name: str) -> Workflow:
        try:
            return self._house.application.workflow(name)
        except UnknownWorkflow as error:
            known = ", ".join(sorted(error.known)) or "none"
            raise Refusal(422, "unknown_workflow", f"workflow: read {name[:80]!r}, known: {known}") from None


class Resume:
    """Lets an ended chain go on."""

    def __init__(self, house: House, body_limit: int) -> None:
        self._house = house
        self._body_limit = body_limit

    @operation(
        "Let a failed or revoked chain go on",
        role=Role.OPERATE,
        body={"application/json": schemas.RESUME_BODY},
        answers={202: schemas.RESUMED, 404: schemas.ERROR, **_ERRORS},
    )
    async def on_post(self, req: Request, resp: Response, chain_id: str) -> None:
        """From the first stage that has not succeeded, or from ``from_stage``."""
        body = await read_json(req, self._body_limit, schemas.RESUME_BODY)
        stage = await self._house.change(
            control.resume,
            known_id(chain_id),
            from_stage=body.get("from_stage"),
            application=self._house.application,
        )
        resp.status = 202
        resp.set_header("Location", _location(req, chain_id))
        resp.media = {
            "success": True,
            "data": {"chain_id": chain_id, "resumed_from": stage},
            "message": text(req.context.language, "chain_resumed", chain_id=chain_id, stage=stage),
        }


class Revoke:
    """Calls a chain off."""

    def __init__(self, house: House, body_limit: int) -> None:
        self._house = house
        self._body_limit = body_limit

    @operation(
        "Call a chain off",
        role=Role.OPERATE,
        body={"application/json": schemas.REVOKE_BODY},
        answers={202: schemas.REVOKED, 404: schemas.ERROR, **_ERRORS},
    )
    async def on_post(self, req: Request, resp: Response, chain_id: str) -> None:
        """Nothing of it starts any more; a running stage stops at its next report."""
        body = await read_json(req, self._body_limit, schemas.REVOKE_BODY)
        receipts = await self._house.change(
            control.revoke,
            known_id(chain_id),
            clean_text(body.get("reason", "revoked")),
            application=self._house.application,
        )
        resp.status = 202
        resp.set_header("Location", _location(req, chain_id))
        resp.media = {
            "success": True,
            "data": {
                "chain_id": chain_id,
                "revoked": [
                    {
                        "stage": receipt.stage,
                        "member": receipt.member,
                        "was": receipt.was,
                        "outcome": receipt.outcome,
                    }
                    for receipt in receipts
                ],
            },
            "message": text(req.context.language, "chain_revoked", chain_id=chain_id),
        }


def _location(req: Request, chain_id: str) -> str:
    return f"{req.prefix}/pipeline/status/{quote(chain_id)}"


def idempotency_key(req: Request) -> str | None:
    """The request's ``Idempotency-Key``; None without one.

    Raises:
        Refusal: 400.
    """
    key = req.get_header("Idempotency-Key")
    if key is None:
        return None
    key = key.strip().removeprefix('"').removesuffix('"')
    if not key or len(key) > _KEY_LENGTH or not key.isprintable():
        raise Refusal(
            400, "bad_request", f"Idempotency-Key: expected 1 to {_KEY_LENGTH} printable characters"
        )
    return key


def _input_of(received: Received) -> dict[str, Any]:
    fields = {**received.fields, **dict.fromkeys((name for name, _ in received.files), "")}
    check(fields, schemas.START_FORM, "body_invalid")
    if len(received.files) != 1 or received.files[0][0] != "file":
        raise Refusal(422, "body_invalid", f"expected one file named 'file', not {len(received.files)} files")
    data = parse_json(received.fields.get("input") or "{}")
    if not isinstance(data, dict):
        raise Refusal(422, "body_invalid", "input: expected a JSON object, as file_path is added to it")
    return data
