"""What the resources work with, and how each finds a chain: on the board first, in the ledger else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from actors.application import Application
from actors.starting import CHAIN_ID
from db.chains import percent_done
from db.status_rows import ENDED, ChainRecord, status_array

from .board import AsyncBoard
from .errors import Refusal
from .ledger import OffLoop

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class ChainView:
    """A chain as jobs and videos show it.

    Attributes:
        percent: of the whole chain, 0 to 100.
        error: why it failed, or empty.
        result: what the last stage returned, once the chain has succeeded.
    """

    status: str
    percent: int
    error: str
    result: Any


@dataclass(frozen=True)
class House:
    """The collaborators of all resources."""

    application: Application
    board: AsyncBoard
    off_loop: OffLoop

    async def change(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call what changes chains, off the event loop; nothing is begun when Redis is silent.

        Raises:
            redis.RedisError: it is.
            LedgerUnavailable, BoardUnavailable: a store does not answer.
        """
        await self.board.client.ping()
        return await self.off_loop.write(function, *args, **kwargs)

    async def record(self, chain_id: str) -> ChainRecord | None:
        """A chain's rows, from the ledger."""
        return await self.off_loop.read(self.application.ledger.read_chain, chain_id)

    async def view(self, chain_id: str) -> ChainView | None:
        """A chain in short; None for one that neither board nor ledger knows."""
        if not is_chain_id(chain_id):
            return None
        live = await self.board.chain(chain_id)
        if live is not None:
            state = live.state
            percent = int(percent_done(state, live.plan))
            return _view(state["status"], percent, state.get("error"), live.final)
        record = await self.record(chain_id)
        if record is None:
            return None
        chain = record.chain
        percents = [entry["progress"] for entry in status_array(record)]
        percent = 100 if chain.status == "SUCCESS" else sum(percents) // max(1, len(percents))
        return _view(chain.status, percent, chain.error_message, chain.final_result)


def is_chain_id(text: str) -> bool:
    """Whether it can be a chain's id. What cannot, is looked up nowhere: ids are Redis keys as they stand."""
    return CHAIN_ID.fullmatch(text) is not None


def known_id(chain_id: str) -> str:
    """The id, where it can be one.

    Raises:
        Refusal: 404.
    """
    if not is_chain_id(chain_id):
        raise unknown_chain()
    return chain_id


def unknown_chain() -> Refusal:
    """The refusal for a chain that nobody knows."""
    return Refusal(404, "chain_not_found", "Chain not found")


def _view(status: str, percent: int, error: str | None, result: Any) -> ChainView:
    return ChainView(status, percent, (error or "") if status in ENDED else "", result)
