"""The median and the 95th percentile of some seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHARES = (0.5, 0.95)


@dataclass(frozen=True)
class Percentiles:
    """Seconds; None where there is nothing to take them from."""

    p50: float | None = None
    p95: float | None = None


NO_PERCENTILES = Percentiles()


def percentiles(values: Sequence[float]) -> Percentiles:
    """As ``percentile_cont`` has them: between two values in proportion."""
    if not values:
        return NO_PERCENTILES
    ordered, found = sorted(values), []
    for share in SHARES:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        found.append(round(ordered[low] + (place - low) * (ordered[high] - ordered[low]), 3))
    return Percentiles(*found)
