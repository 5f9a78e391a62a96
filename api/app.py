"""The ASGI application: :func:`create_app` makes it of its collaborators, opening no connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon
import falcon.asgi
from falcon.media import JSONHandler

from actors.application import Application
from db.chains import encode
from db.keys import Keys

from . import openapi
from .auth import Access
from .batch_control import RetryFailed, RevokeBatch
from .batch_items import BatchItems
from .batch_start import Batches
from .batch_statistics import StatisticsOfBatch, StatisticsOfBatches
from .batches import Batch
from .board import AsyncBoard
from .docs import add_docs
from .errors import add_error_handlers
from .files import ChainFile
from .gate import Gate, cors
from .health import Health, Ready
from .house import House
from .jobs import Job, Video
from .ledger import OffLoop
from .live import LiveRuns
from .metrics import Metrics
from .operations import operation_of
from .pipeline import Pipeline, Resume, Revoke
from .places import Places
from .runs import add_routes
from .status import History, Status
from .tasks import Stage, Tasks
from .tidy import Tidy
from .tokens import RunToken
from .uploads import Limits, multipart_handler
from .workflows import Workflows

#: Paths of the documents about the documents: not among the operations.
_HIDDEN = ("/docs", "/openapi.json")


class App(falcon.asgi.App):  # type: ignore[type-arg]
    """Falcon's application, which remembers its routes for the OpenAPI document."""

    def __init__(self, **options: Any) -> None:
        self.routes: list[tuple[str, object]] = []
        super().__init__(**options)

    def add_route(self, uri_template: str, resource: object, **options: Any) -> None:
        """As Falcon's."""
        self.routes.append((uri_template, resource))
        super().add_route(uri_template, resource, **options)


class Lifespan:
    """Starts and stops what lives as long as the process."""

    def __init__(self, application: Application, house: House, live: LiveRuns, tidy: Tidy) -> None:
        self._application = application
        self._house = house
        self._live = live
        self._tidy = tidy

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """The embedded Redis where that is the one, then the live runs."""
        await self._house.off_loop.write(self._application.prepare)
        await self._live.start()
        self._tidy.start()

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """In reverse."""
        self._tidy.stop()
        await self._live.stop()
        await self._house.board.close()
        self._house.off_loop.close()


def create_app(
    application: Application,
    *,
    access: Access | None = None,
    board: AsyncBoard | None = None,
    off_loop: OffLoop | None = None,
    live: LiveRuns | None = None,
) -> App:
    """The API over ``application``.

    Parameters:
        access: who may do what; by the settings unless given. Likewise the others.
    """
    settings = application.settings
    url, keys = application.board.clients.url, application.board.keys
    access = access or Access(
        settings.api_keys,
        signing_secret=settings.signing_secret,
        origins=settings.cors_origins,
        allow_open=settings.allow_open,
    )
    house = House(application, board or AsyncBoard(url, keys), off_loop or OffLoop())
    live = live or LiveRuns(
        url,
        keys,
        channels_of(application, keys),
        max_sockets=settings.max_sockets,
        status=application.status,
    )
    metrics = Metrics(house, lambda: live.open_sockets)
    lifespan = Lifespan(application, house, live, Tidy(house.board, metrics))
    middleware: list[Any] = [lifespan, Gate(access, settings.language)]
    if settings.cors_origins:
        middleware.append(cors(settings.cors_origins))
    app = App(middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    app.req_options.auto_parse_qs_csv = False
    limits = Limits(settings.max_upload_bytes, settings.max_upload_total, settings.max_upload_files)
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=_dumps)
    app.req_options.media_handlers[falcon.MEDIA_MULTIPART] = multipart_handler(limits)
    add_error_handlers(app)
    _add_resources(app, house, live, limits, metrics)
    add_docs(app, _documented(app, access))
    return app


def channels_of(application: Application, keys: Keys) -> list[str]:
    """The channels on which progress messages of the declared workflows travel."""
    own = {workflow.channel for workflow in application.workflows.values() if workflow.channel}
    return sorted({keys.progress, *own})


def _add_resources(app: App, house: House, live: LiveRuns, limits: Limits, metrics: Metrics) -> None:
    settings = house.application.settings
    places = Places([house.application.storage.url, *settings.input_roots])
    body_limit = settings.max_body_bytes
    app.add_route("/api/v1/tasks/ai-pipeline/{chain_id}/tasks", Tasks(house))
    app.add_route("/api/v1/tasks/ai-pipeline/{chain_id}/stage/{stage}", Stage(house))
    app.add_route("/pipeline", Pipeline(house, places, limits, body_limit))
    app.add_route("/pipeline/status/{chain_id}", Status(house))
    app.add_route("/pipeline/history", History(house))
    app.add_route("/pipeline/batch", Batches(house, places, limits))
    app.add_route("/pipeline/batch/statistics", StatisticsOfBatches(house))
    app.add_route("/pipeline/batch/{batch_id}", Batch(house))
    app.add_route("/pipeline/batch/{batch_id}/items", BatchItems(house))
    app.add_route("/pipeline/batch/{batch_id}/retry-failed", RetryFailed(house, body_limit))
    app.add_route("/pipeline/batch/{batch_id}/revoke", RevokeBatch(house, body_limit))
    app.add_route("/pipeline/batch/{batch_id}/statistics", StatisticsOfBatch(house))
    app.add_route("/pipeline/{chain_id}/resume", Resume(house, body_limit))
    app.add_route("/pipeline/{chain_id}/revoke", Revoke(house, body_limit))
    app.add_route("/pipeline/{chain_id}/files/{name:path}", ChainFile(house))
    app.add_route("/api/v1/jobs/{job_id}", Job(house))
    app.add_route("/media/videos/{video_id}", Video(house))
    app.add_route("/workflows", Workflows(house))
    app.add_route("/health", Health())
    app.add_route("/ready", Ready(house))
    app.add_route("/metrics", metrics)
    add_routes(app, live)
    app.add_route("/api/runs/{run_id}/token", RunToken())


def _dumps(value: Any) -> bytes:
    return encode(value).encode()


def _documented(app: App, access: Access) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        shown = [
            (template, resource)
            for template, resource in app.routes
            if not template.startswith(_HIDDEN)
            and any(operation_of(resource, method) for method in openapi.METHODS)
        ]
        return openapi.document(shown, keys_needed=not access.open)

    return make
