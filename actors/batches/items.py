"""``batch_items``: each image of a batch, where it stands, and why it failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from actors.application import Application, current
from callboard.errors import BatchError, UnknownBatch
from db.batches import ledger
from db.batches.items import STATES, BatchItem, indexes, read_items

#: Images that are read at a time.
PAGE = 1000


def batch_items(
    batch_id: str,
    status: str | None = None,
    *,
    limit: int | None = None,
    offset: int = 0,
    application: Application | None = None,
) -> Iterator[BatchItem]:
    """The images of a batch, in order, read as they are asked for, a thousand at a time.

    Parameters:
        status: only those that are ``completed``, ``failed``, ``revoked``, ``open`` (their chain runs or
            waits) or ``pending`` (they have none yet).
        limit: so many at most.
        offset: of those, skip so many.

    Raises:
        BatchError: there is no such status.
        UnknownBatch: there is no such batch.
        LedgerUnavailable: the database does not answer.
    """
    listing = list_items(batch_id, status, application=application)
    end = len(listing) if limit is None else min(len(listing), offset + limit)
    return (
        item for start in range(offset, end, PAGE) for item in listing.page(start, min(PAGE, end - start))
    )


@dataclass(frozen=True)
class ItemListing:
    """Which images were in a state at one moment; a page of them tells how they are when it is read."""

    application: Application
    batch_id: str
    letters: bytes
    wanted: Sequence[int]

    def __len__(self) -> int:
        return len(self.wanted)

    def page(self, offset: int, limit: int) -> list[BatchItem]:
        """Some of them.

        Raises:
            LedgerUnavailable: the database does not answer.
        """
        return read_items(
            self.application.database,
            self.batch_id,
            self.letters,
            self.wanted[offset : offset + limit],
            ask_board=self._live_states,
        )

    def _live_states(self, chain_ids: list[str]) -> Mapping[str, Mapping[str, Any]]:
        board = self.application.board
        try:
            pipe = board.clients.get().pipeline(transaction=False)
            for chain_id in chain_ids:
                pipe.hget(board.keys.live(chain_id), "state")
            texts = pipe.execute() if chain_ids else []
        except redis.RedisError:
            return {}
        return {chain_id: json.loads(text) for chain_id, text in zip(chain_ids, texts, strict=True) if text}


def list_items(
    batch_id: str, status: str | None = None, *, application: Application | None = None
) -> ItemListing:
    """The images of a batch that are in a state now, as the board has them, else the ledger.

    Raises:
        As :func:`batch_items`.
    """
    if status is not None and status not in STATES:
        raise BatchError(f"status: read {status!r}, expected one of {', '.join(STATES)}")
    house = application or current()
    row = ledger.read(house.database, batch_id)
    if row is None:
        raise UnknownBatch(batch_id)
    live = None
    with suppress(redis.RedisError):
        live = house.batches.read(batch_id)
    if live is not None:
        return ItemListing(house, batch_id, live.letters, indexes(live.letters, status))
    facts = ledger.facts_of(row)
    if facts is None:
        raise BatchError(f"batch {batch_id} was not started here: of its images nothing is known")
    letters = ledger.letters_of(house.database, row, facts)
    return ItemListing(house, batch_id, letters, indexes(letters, status))
