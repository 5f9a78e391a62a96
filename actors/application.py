"""Composition: settings made into a board, a ledger, a storage and a broker that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq import Broker

from callboard import embedded
from callboard.errors import UnknownWorkflow, WorkflowError
from callboard.settings import Settings
from db.batches.board import BatchBoard
from db.board import Board
from db.connection import open_database
from db.keys import Keys
from db.ledger import Ledger
from db.redis_client import ThreadClients
from db.status import StatusManager

from .availability import lacking
from .broker import build_broker
from .storage import Storage

if TYPE_CHECKING:
    from .workflow import Workflow


class Application:
    """What one process works with. Building it opens no connection.

    Attributes:
        settings: what the environment says.
        board, batches, ledger, storage, broker: built from them.
        status: reads chains, Redis first.
        workflows: those declared on this broker, by name.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.board = Board(
            ThreadClients(settings.redis_url or embedded.url(settings.home)),
            Keys(settings.namespace),
            status_ttl=settings.status_ttl,
            max_worker_deaths=settings.max_worker_deaths,
        )
        self.batches = BatchBoard(self.board.clients, self.board.keys)
        self.database = open_database(settings.database_url)
        self.ledger = Ledger(self.database)
        self.storage = Storage(settings.storage_url)
        self.status = StatusManager(self.board, self.ledger, keys_of=self._keys_of)
        self.workflows: dict[str, Workflow] = {}
        self.broker = build_broker(
            settings,
            self.board,
            self.ledger,
            self.storage,
            restore=self.status.restore_open,
            lacking=lambda: lacking(self.workflows.values()),
        )
        _BY_BROKER[id(self.broker)] = self

    def workflow(self, name: str) -> Workflow:
        """The workflow of that name.

        Raises:
            UnknownWorkflow: this process has none.
        """
        try:
            return self.workflows[name]
        except KeyError:
            raise UnknownWorkflow(name, list(self.workflows)) from None

    def _keys_of(self, workflow: str, chain_id: str) -> dict[str, Any]:
        declared = self.workflows.get(workflow)
        return declared.status_keys.of(chain_id) if declared else {}

    def prepare(self) -> None:
        """Start the embedded Redis when it is the one to use and none runs yet.

        Raises:
            EmbeddedError: there is no server to start.
        """
        if self.settings.embedded:
            embedded.ensure(self.settings.home)


_BY_BROKER: dict[int, Application] = {}
_CURRENT: list[Application] = []


def configure(settings: Settings) -> Application:
    """Build the process's application and make its broker Dramatiq's global one."""
    application = Application(settings)
    dramatiq.set_broker(application.broker)
    _CURRENT[:] = [application]
    return application


def current() -> Application:
    """The process's application; importing ``actors`` configures it."""
    return _CURRENT[0]


def workflow(name: str) -> Workflow:
    """The workflow of that name in the process's application.

    Raises:
        UnknownWorkflow: this process has none.
    """
    return current().workflow(name)


def application_of(broker: Broker) -> Application:
    """The application that a broker belongs to.

    Raises:
        WorkflowError: the broker is not one of ours, so it tracks nothing.
    """
    try:
        return _BY_BROKER[id(broker)]
    except KeyError:
        raise WorkflowError(
            f"{type(broker).__name__} tracks nothing: import callboard's actors before declaring the actor, "
            "so that it is declared on the configured broker"
        ) from None


def __getattr__(name: str) -> Any:
    # ``status_manager`` is the name that existing clients know; it follows a later configure().
    if name == "status_manager":
        return current().status
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
