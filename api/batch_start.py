"""``POST /pipeline/batch``: files in a form, or URLs or a whole prefix in JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from falcon.asgi import Request, Response

from actors.batches.files import Listed, files_under
from actors.batches.start import DEFAULT_WORKFLOW, batch_id_of, start_batch_pipeline
from actors.storage import Folder
from callboard.errors import BatchError, LedgerUnavailable, UnknownWorkflow
from db.batches.ledger import items_of, read

from . import batch_schemas, batches, schemas
from .auth import Role
from .bodies import check, parse_body, parse_json, read_body
from .errors import Refusal
from .house import House
from .ledger import Unanswered
from .messages import text
from .operations import operation
from .pipeline import INITIATED_BY, idempotency_key
from .places import Places
from .uploads import Limits, Received, is_form, receive

_NUMBERS: dict[str, Callable[[str], float]] = {"chunk_size": int, "window": int, "success_threshold": float}

logger = logging.getLogger(__name__)


class Batches(batches.Batches):
    """The batches, and the start of one.

    Parameters:
        places: which files may be named.
        limits: of an upload.
    """

    def __init__(self, house: House, places: Places, limits: Limits) -> None:
        super().__init__(house)
        self._places = places
        self._limits = limits

    @operation(
        "Start a batch: a chain for each of many files",
        role=Role.START,
        body={"multipart/form-data": batch_schemas.FORM, "application/json": batch_schemas.BODY},
        answers={202: batch_schemas.STARTED, **dict.fromkeys((400, 413, 415, 422), schemas.ERROR)},
        headers={"Idempotency-Key": "the same key gives the same batch and starts nothing twice"},
    )
    async def on_post(self, req: Request, resp: Response) -> None:
        """The batch has been accepted when this answers; of a refused one nothing is left."""
        key = idempotency_key(req)
        if is_form(req.content_type):
            batch_id, images = await self._start_with_files(req, key)
        else:
            body = await read_body(req, self._house.application.settings.max_batch_bytes)
            await self._house.board.client.ping()
            batch_id, images = await self._house.off_loop.batch(self._start_with_names, body, key)
        resp.status = 202
        resp.set_header("Location", f"{req.prefix}/pipeline/batch/{batch_id}")
        message = text(req.context.language, "batch_started", count=images)
        resp.media = {"success": True, "data": {"context_id": batch_id, "message": message}}

    async def _start_with_files(self, req: Request, key: str | None) -> tuple[str, int]:
        made_up = key or str(uuid4())
        # Named after the batch, and for this upload alone: two with the same key do not meet.
        name = f"{batch_id_of(made_up)}.upload-{uuid4().hex[:12]}"
        folder = self._house.application.storage.folder(name)
        keep = False
        try:
            asked = _asked(await receive(req, folder, self._limits, self._house.off_loop))
            if "options" in asked:
                asked["options"] = await self._house.off_loop.write(
                    self._places.check_input, asked["options"]
                )
            await self._house.board.client.ping()
            batch_id, images = await self._house.off_loop.batch(self._start, asked, made_up)
            keep = key is None or await self._house.off_loop.batch(self._holds, batch_id, folder)
        except Unanswered:
            keep = True
            raise
        finally:
            # Refused, or the key had its batch already: what was uploaded belongs to nothing.
            if not keep:
                await self._house.off_loop.write(_clear, folder)
        return batch_id, images

    def _start_with_names(self, body: bytes, key: str | None) -> tuple[str, int]:
        asked = parse_body(body, batch_schemas.FIELDS)
        prefix, pattern = asked.pop("prefix", None), asked.pop("pattern", None)
        if ("file_paths" in asked) == (prefix is not None):
            raise Refusal(422, "body_invalid", "expected file_paths or prefix, one of the two")
        if prefix is None:
            if pattern is not None:
                raise Refusal(422, "body_invalid", "pattern: expected with a prefix only")
            return self._start(self._places.check_input(asked), key)
        if "public_file_paths" in asked:
            raise Refusal(422, "body_invalid", "public_file_paths: expected with file_paths only")
        asked = self._places.check_input(asked)
        roots = self._house.application.settings.input_roots
        with _refusing():
            found = files_under(self._places.check_prefix(prefix, roots), pattern)
        if "://" not in found[0]:
            # A link in the folder may lead out of it.
            return self._start(self._places.check_input({**asked, "file_paths": list(found)}), key)
        return self._start({**asked, "file_paths": found}, key)

    def _start(self, asked: dict[str, Any], key: str | None) -> tuple[str, int]:
        application = self._house.application
        name = asked.get("workflow", DEFAULT_WORKFLOW)
        try:
            workflow = application.workflow(name)
        except UnknownWorkflow as error:
            known = ", ".join(sorted(error.known)) or "none"
            raise Refusal(422, "unknown_workflow", f"workflow: read {name[:80]!r}, known: {known}") from None
        if workflow.accepts is not None:
            check(_first_input(asked), workflow.accepts, "input_invalid")
        with _refusing():
            batch_id = start_batch_pipeline(
                **asked,
                idempotency_key=key,
                initiated_by=INITIATED_BY,
                private_webhooks=application.settings.webhook_private,
                application=application,
            )
        if key is None:
            return batch_id, len(asked["file_paths"])
        # The key may have a batch that was asked for in other words.
        row = read(application.database, batch_id)
        return batch_id, len(asked["file_paths"]) if row is None else row.total_images

    def _holds(self, batch_id: str, folder: Folder) -> bool:
        """Whether it is this upload that the batch is made of."""
        with suppress(LedgerUnavailable):
            held = items_of(self._house.application.database, batch_id, 0)
            return bool(held) and held[0][0].startswith(folder.url)
        return True


def _asked(received: Received) -> dict[str, Any]:
    """What a form asks for, as JSON would have it."""
    asked: dict[str, Any] = dict(received.fields)
    for name, number in _NUMBERS.items():
        with suppress(ValueError, KeyError):
            asked[name] = number(asked[name])
    if "options" in asked:
        asked["options"] = parse_json(asked["options"])
    wrong = next((name for name, _ in received.files if name != "files"), None)
    if wrong is not None or not received.files:
        found = "no file" if wrong is None else f"one named {wrong[:80]!r}"
        raise Refusal(422, "body_invalid", f"expected files named 'files', read {found}")
    for name in ("file_paths", "public_file_paths", "prefix", "pattern"):
        if name in asked:
            raise Refusal(422, "body_invalid", f"{name}: expected as JSON, not in a form with files")
    asked["file_paths"] = Listed(url for _, url in received.files)
    check(asked, batch_schemas.FIELDS, "body_invalid")
    return asked


def _first_input(asked: dict[str, Any]) -> dict[str, Any]:
    """The input of the batch's first chain; those of the others differ in their paths alone."""
    first = {"file_path": asked["file_paths"][0], "options": asked.get("options", {})}
    if "public_file_paths" in asked:
        first["public_file_path"] = asked["public_file_paths"][0]
    return first


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except BatchError as error:
        raise Refusal(422, "batch_invalid", str(error)) from None


def _clear(folder: Folder) -> None:
    try:
        folder.remove()
    except Exception as error:
        # Each driver raises errors of its own; what was wrong before is what the client is told.
        logger.warning("The folder %s stays: %s", folder.url, error)
