"""What the sample workflows have in common, also with their counterparts on stock Dramatiq."""

from __future__ import annotations

from typing import Any

#: Workflows of ``callboard/chaos/workflow.py``: those that are mixed, and all.
MIX = ("chaos_chain", "chaos_fan")
SAMPLES = (*MIX, "chaos_wide")
#: Members of the parallel stage.
MEMBERS = 3
#: Members of the parallel stage of ``chaos_wide``.
MANY = 100
#: The member that fails for good where a parallel stage is told to.
WEAK_MEMBER = 2


class Stumble(Exception):
    """What a stage raises that was told to raise once."""


class GiveUp(Exception):
    """What a stage raises that was told to fail: it is not tried again."""


#: So many retries that no plan of faults exhausts them: only a fault of ours can make a chain fail.
RETRIES: dict[str, Any] = {"max_retries": 20, "min_backoff": 100, "max_backoff": 1000, "throws": GiveUp}
