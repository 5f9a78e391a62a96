"""The broker: which kind, and its middleware in one visible list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dramatiq import Middleware
from dramatiq.middleware import (
    AgeLimit,
    Callbacks,
    Retries,
    ShutdownNotifications,
    TimeLimit,
)

from callboard.errors import SettingsError
from callboard.settings import Settings, without_password
from db.board import Board
from db.ledger import Ledger
from db.workers import Workers
from middleware.lease import Lease
from middleware.pipelines import UntrackedPipelines
from middleware.recorder import RecorderThread
from middleware.results import Results
from middleware.revocation import Revocation
from middleware.run import Run
from middleware.tracking import Tracking

from .redis_broker import RedisBroker
from .storage import Storage

if TYPE_CHECKING:
    from .rabbitmq_broker import RabbitmqBroker

    TrackedBroker = RedisBroker | RabbitmqBroker


def build_broker(
    settings: Settings,
    board: Board,
    ledger: Ledger,
    storage: Storage,
    *,
    restore: Callable[[str], bool],
    lacking: Callable[[], dict[str, list[str]]],
) -> TrackedBroker:
    """The broker that ``settings.broker_url`` names. Opens no connection.

    Raises:
        SettingsError: the board's Redis and the broker's are not the same server and database.
    """

    def write_result(run: Run, data: bytes) -> str:
        # With its token: a run that has lost its task must not touch what the next one has written.
        name = f"results/{run.place.stage}.{run.place.member}.{run.token}.json"
        return storage.folder(run.place.chain_id or run.place.task_id).write_bytes(name, data)

    results = Results(settings.result_limit, write_result, storage.read_json)
    lease = Lease(Workers(board.clients, board.keys), settings.lease_ttl, lacking)
    revocation = Revocation(board)
    middleware: list[Middleware] = [
        # First: its before hook begins a task ahead of all others, its after hook knows what Retries decided.
        Tracking(board, restore=restore, results=results, lease=lease, revocation=revocation),
        # Behind one another: what a worker gives back at its end goes before its proof of life does.
        lease,
        revocation,
        AgeLimit(),
        TimeLimit(),
        ShutdownNotifications(),
        Callbacks(),
        UntrackedPipelines(),
        Retries(),
        RecorderThread(board.clients.url, board.keys, ledger, lease),
    ]
    url = settings.broker_url or board.clients.url
    if not url.startswith("amqp") and url != board.clients.url:
        raise SettingsError(
            "BROKER_URL",
            without_password(url),
            "amqp://… or the same URL as REDIS_URL, as board and queues change in one step",
        )
    if url.startswith("amqp"):
        from .rabbitmq_broker import RabbitmqBroker  # noqa: PLC0415 (needs the rabbitmq extra)

        return RabbitmqBroker(url, board, middleware=middleware)
    return RedisBroker(board.clients, middleware=middleware, namespace=f"{settings.namespace}:dramatiq")
