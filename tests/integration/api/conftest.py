"""Fixtures: the API over an application of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from api_server import Api, serving

Serve = Callable[..., Api]


@pytest.fixture
def serve(build_application: Callable[..., Any]) -> Iterator[Serve]:
    """Serves an application with these variables in its environment."""
    with ExitStack() as stack:

        def start(**environment: str) -> Api:
            return stack.enter_context(serving(build_application(**environment)))

        yield start


@pytest.fixture
def api(serve: Serve) -> Api:
    """The API without keys."""
    return serve()
