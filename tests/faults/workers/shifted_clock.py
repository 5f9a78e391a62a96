"""Named in WORKFLOWS: sets a worker's clock back by an hour, SHIFT_AFTER seconds after its start."""

from __future__ import annotations

import os
import sys
import time

SECONDS_UNTIL = float(os.environ.get("SHIFT_AFTER", "3"))
SHIFT = -3600.0

_true_time = time.time
_started = time.monotonic()


def _shifted() -> float:
    return _true_time() + (SHIFT if time.monotonic() - _started > SECONDS_UNTIL else 0.0)


if "dramatiq" in sys.argv[0]:
    time.time = _shifted
    # Modules that have taken the function itself.
    for module in list(sys.modules.values()):
        if getattr(module, "time", None) is _true_time:
            module.time = _shifted  # type: ignore[attr-defined]
