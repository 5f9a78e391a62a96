"""What a run does and when, made from its seed alone."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from callboard.errors import CallboardError

from .faults import FAULTS, OF_DATABASE
from .samples import MIX, SAMPLES

_FAULT = re.compile(r"(?P<name>[a-z_-]+)(:(?P<number>\d+))?(@(?P<seconds>\d+(\.\d+)?))?")
#: Faults of a run that was given no numbers.
FEWEST, MOST = 3, 6
#: Share of the run's time in which faults begin, and in which chains are started.
FAULTS_BEGIN, FAULTS_END, STARTS_END = 0.1, 0.85, 0.75
#: Share of the chains that are called off.
REVOKED = 0.06


@dataclass(frozen=True)
class Planned:
    """A fault, its moment (seconds from the begin), the seed of its own choices, and its length if given."""

    moment: float
    fault: str
    seed: int
    seconds: float | None


@dataclass(frozen=True)
class PlannedChain:
    """A chain: when it starts, of which workflow, with which input, and when it is called off, if it is."""

    moment: float
    workflow: str
    data: Any
    revoked_after: float | None


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run."""

    seed: int
    faults: list[Planned]
    chains: list[PlannedChain]


@dataclass(frozen=True)
class Kind:
    """How often a fault is to happen, and for how many seconds; the seed chooses where it is None."""

    number: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Wanted:
    """What a run was asked for.

    Attributes:
        chains: how many.
        seconds: in which chains start and faults happen; the run takes as long as it needs beyond.
        faults: by name.
        workflow, data: one of the user's with its input, or a sample; None for a mix of samples.
        effects: the file that the samples write to.
        revokes: whether some chains are called off.
        failing: share of the chains with a stage that fails for good.
    """

    chains: int
    seconds: float
    faults: dict[str, Kind]
    workflow: str | None = None
    data: Any = None
    effects: str = ""
    revokes: bool = True
    failing: float = 0.0

    @property
    def has_effects(self) -> bool:
        """Whether bodies tell what they do: the samples' do."""
        return self.workflow is None or self.workflow in SAMPLES


def parse_faults(text: str) -> dict[str, Kind]:
    """Read ``kill_worker:10,pause_redis@10``: NAME, :NUMBER and @SECONDS where given; ``none`` for no faults.

    Raises:
        CallboardError: there is no such fault.
    """
    found: dict[str, Kind] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _FAULT.fullmatch(part)
        name = match["name"].replace("-", "_") if match else part
        if name == "none":
            continue
        known = [fault for fault in FAULTS if fault == name or fault.startswith(f"{name}_")]
        if match is None or not known:
            raise CallboardError(
                f"--faults: read {part!r}, expected NAME, NAME:NUMBER or NAME:NUMBER@SECONDS, "
                f"with NAME one of {', '.join(FAULTS)}"
            )
        number, seconds = match["number"], match["seconds"]
        found[known[0]] = Kind(int(number) if number else None, float(seconds) if seconds else None)
    return found


def choices(wanted: dict[str, Kind], *, with_database: bool) -> dict[str, Kind]:
    """The faults that can happen here: without a PostgreSQL server some cannot."""
    return {name: kind for name, kind in wanted.items() if with_database or name not in OF_DATABASE}


def make(seed: int, wanted: Wanted) -> Plan:
    """The plan of a seed: the same for the same arguments, on any machine."""
    dice = random.Random(seed)
    return Plan(seed, _faults(dice, wanted), _chains(dice, wanted))


def _faults(dice: random.Random, wanted: Wanted) -> list[Planned]:
    names = [name for name, kind in wanted.faults.items() for _ in range(kind.number or 0)]
    unnumbered = [name for name, kind in wanted.faults.items() if kind.number is None]
    if unnumbered:
        names += dice.choices(unnumbered, k=dice.randint(FEWEST, MOST))
    planned = [
        Planned(
            wanted.seconds * dice.uniform(FAULTS_BEGIN, FAULTS_END),
            name,
            dice.getrandbits(32),
            wanted.faults[name].seconds,
        )
        for name in names
    ]
    return sorted(planned, key=lambda fault: fault.moment)


def _chains(dice: random.Random, wanted: Wanted) -> list[PlannedChain]:
    chains = []
    for number in range(wanted.chains):
        moment = wanted.seconds * STARTS_END * number / wanted.chains
        if wanted.workflow is not None and not wanted.has_effects:
            chains.append(PlannedChain(moment, wanted.workflow, wanted.data, None))
            continue
        plan: dict[str, Any] = {
            "effects": wanted.effects,
            "seconds": [round(dice.uniform(0.01, 0.4), 3) for _ in range(4)],
            "raises": dice.sample([1, 2, 3, 4], dice.choice([0, 0, 0, 1])),
        }
        if dice.random() < wanted.failing:
            plan["fails"] = [2]
        revoked = wanted.revokes and dice.random() < REVOKED
        chains.append(
            PlannedChain(
                moment,
                wanted.workflow or dice.choice(MIX),
                {"plan": plan},
                dice.uniform(0.05, 2.0) if revoked else None,
            )
        )
    return chains


def parse_seeds(text: str) -> Sequence[int]:
    """Read ``7`` or ``1..200``.

    Raises:
        CallboardError: it is neither.
    """
    first, dots, last = text.partition("..")
    if not first.isdecimal() or (dots and not (last.isdecimal() and int(first) <= int(last))):
        raise CallboardError(f"--seeds: read {text!r}, expected a number or FIRST..LAST, such as 1..200")
    return range(int(first), int(last if dots else first) + 1)
