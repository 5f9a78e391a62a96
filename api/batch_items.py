"""``GET /pipeline/batch/{batch_id}/items``: each image of a batch, as JSON by page or as CSV whole."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import falcon
from falcon.asgi import Request, Response

from actors.batches.files import MOST_IMAGES
from actors.batches.items import PAGE, ItemListing, list_items
from db.batches import items_csv
from db.batches.items import STATES, BatchItem

from . import schemas
from .batches import known_batch_id
from .errors import Refusal
from .house import House
from .messages import text
from .operations import operation
from .status import LARGEST_PAGE, moment, paging

CSV = "text/csv"


class BatchItems:
    """The images of a batch."""

    def __init__(self, house: House) -> None:
        self._house = house

    @operation(
        "The images of a batch, in order: where each stands, and why it failed",
        query={
            "status": {"type": "string", "enum": list(STATES)},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_IMAGES,
                "description": f"a number from 1; in JSON up to {LARGEST_PAGE}, and 100 unless given",
            },
            "offset": paging()["offset"],
            "format": {"type": "string", "enum": ["json", "csv"]},
        },
        answers={200: schemas.BATCH_ITEMS, 404: schemas.ERROR},
        other_media=CSV,
    )
    async def on_get(self, req: Request, resp: Response, batch_id: str) -> None:
        """By page as JSON, with `total`, the number of all that match; as CSV all of them unless limited.

        `Accept: text/csv` asks for CSV, too, where `format` is not given. There a cell that a spreadsheet
        would take for a formula has an apostrophe in front.
        """
        query, house = req.context.query, self._house
        as_csv = (query["format"] or _preferred(req)) == "csv"
        limit, offset = query["limit"], query["offset"]
        if not as_csv and limit is not None and limit > LARGEST_PAGE:
            raise Refusal(422, "query_invalid", f"limit: read {limit}, expected up to {LARGEST_PAGE} in JSON")
        listing = await house.off_loop.read(
            list_items, known_batch_id(batch_id), query["status"], application=house.application
        )
        if as_csv:
            end = len(listing) if limit is None else min(len(listing), offset + limit)
            first = await house.off_loop.read(listing.page, offset, min(PAGE, max(0, end - offset)))
            resp.content_type = f"{CSV}; charset=utf-8"
            resp.downloadable_as = f"batch-{_plain(batch_id)}{_suffix(query['status'])}.csv"
            resp.stream = self._lines(listing, first, offset, end)
            return
        items = await house.off_loop.read(listing.page, offset, limit or 100)
        message = text(req.context.language, "batch_items_read", batch_id=batch_id, count=len(items))
        data = [_facts(item) for item in items]
        resp.media = {"success": True, "data": data, "message": message, "total": len(listing)}

    async def _lines(
        self, listing: ItemListing, first: list[BatchItem], offset: int, end: int
    ) -> AsyncIterator[bytes]:
        """Page by page: of a batch of any size no more than one is held."""
        yield (items_csv.header() + items_csv.rows(first)).encode()
        for start in range(offset + PAGE, end, PAGE):
            yield (await self._house.off_loop.read(_page, listing, start, min(PAGE, end - start))).encode()


def _page(listing: ItemListing, offset: int, limit: int) -> str:
    return items_csv.rows(listing.page(offset, limit))


def _preferred(req: Request) -> str:
    return "csv" if req.client_prefers((falcon.MEDIA_JSON, CSV)) == CSV else "json"


def _plain(batch_id: str) -> str:
    return re.sub(r"[^\w.-]", "_", batch_id, flags=re.ASCII)[:80]


def _suffix(status: str | None) -> str:
    return f"-{status}" if status else ""


def _facts(item: BatchItem) -> dict[str, Any]:
    return {
        name: moment(value) if isinstance(value, datetime) else value for name, value in asdict(item).items()
    }
