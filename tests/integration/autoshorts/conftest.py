"""Fixtures: autoshorts, declared on an application of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from shorts_runs import Shorts, declared

from actors.application import Application


@pytest.fixture
def shorts(build_application: Callable[..., Application]) -> Iterator[Shorts]:
    with declared(build_application()) as shorts:
        yield shorts
