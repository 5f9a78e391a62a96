"""Fixtures: an application on servers of the test's own, and a worker for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq import Worker

from actors.application import Application, configure
from callboard.settings import Settings
from db.migrate import migrate

BuildApplication = Callable[..., Application]


@pytest.fixture
def build_application(redis_url: str, tmp_path: Path) -> Iterator[BuildApplication]:
    """Builds an application on the test's Redis, with a migrated SQLite ledger unless told otherwise."""
    built: list[Application] = []

    def build(**environment: str) -> Application:
        application = configure(
            Settings.from_environment(
                {
                    "REDIS_URL": redis_url,
                    "CALLBOARD_HOME": str(tmp_path / "home"),
                    "STORAGE_URL": f"file://{tmp_path}/storage",
                    **environment,
                }
            )
        )
        migrate(application.database)
        built.append(application)
        return application

    previous = dramatiq.get_broker()
    yield build
    for application in built:
        application.broker.close()
    dramatiq.set_broker(previous)


@pytest.fixture(params=["redis", "rabbitmq"])
def application(request: pytest.FixtureRequest, build_application: BuildApplication) -> Application:
    """An application on each broker in turn."""
    if request.param == "rabbitmq":
        return build_application(BROKER_URL=request.getfixturevalue("rabbit_url"))
    return build_application()


@pytest.fixture
def work() -> Iterator[Callable[..., Worker]]:
    """Starts workers that are stopped at the end of the test."""
    running: list[Worker] = []

    def start(application: Application, **options: Any) -> Worker:
        worker = Worker(application.broker, worker_timeout=100, **{"worker_threads": 4, **options})
        worker.start()
        running.append(worker)
        return worker

    yield start
    for worker in running:
        worker.stop()
