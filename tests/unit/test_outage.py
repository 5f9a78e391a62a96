"""An outage is told of once, and so is its end."""

from __future__ import annotations

import logging

import pytest

from middleware.outage import Outage


def test_one_line_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(logging.getLogger("loop"), "The loop")
    outage.end()
    for _ in range(2):
        for reason in ("no answer", "still none"):
            outage.note(OSError(reason))
        outage.end()
        outage.end()
    assert caplog.messages == ["The loop waits: no answer", "The loop goes on."] * 2
