"""Fixtures: a small workflow, and files for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from batch_shop import Shop

from actors.application import Application


@pytest.fixture
def shop(build_application: Callable[..., Application], tmp_path: Path) -> Shop:
    return Shop(build_application(), tmp_path)


@pytest.fixture(params=["redis", "rabbitmq"])
def postgres_shop(
    request: pytest.FixtureRequest,
    build_application: Callable[..., Application],
    tmp_path: Path,
    postgres_url: str,
) -> Shop:
    """With its ledger in PostgreSQL, on each broker in turn."""
    environment = {"DATABASE_URL": postgres_url}
    if request.param == "rabbitmq":
        environment["BROKER_URL"] = request.getfixturevalue("rabbit_url")
    return Shop(build_application(**environment), tmp_path)
