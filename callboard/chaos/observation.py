"""What was seen of a run under faults, for the invariants to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from db.status_rows import ChainRecord

from .effects import Body

#: Faults after which Redis holds nothing.
EMPTIED = ("flush_redis", "lose_redis")

Place = tuple[str, int, int]


@dataclass(frozen=True)
class LiveChain:
    """A chain's live hash, parsed. ``tasks``: by (stage, member), those that have begun once."""

    state: dict[str, Any]
    plan: list[dict[str, Any]]
    tasks: dict[tuple[int, int], dict[str, Any]]

    @property
    def total(self) -> int:
        """How many tasks the chain has."""
        return sum(len(stage["tasks"]) for stage in self.plan)

    def count(self, status: str) -> int:
        """How many tasks have a status."""
        return sum(task["status"] == status for task in self.tasks.values())


def parse_live(fields: Mapping[bytes, bytes]) -> LiveChain | None:
    """Read a live hash (``db/lua/includes/transition.lua`` lists its fields); None for an empty one."""
    if b"state" not in fields:
        return None
    tasks = {}
    for name, value in fields.items():
        stage, dot, member = name.decode().partition(".")
        if dot and stage.isdigit() and member.isdigit():
            tasks[int(stage), int(member)] = json.loads(value)
    return LiveChain(json.loads(fields[b"state"]), json.loads(fields.get(b"plan", b"[]")), tasks)


@dataclass(frozen=True)
class Seen:
    """An event of the board's stream, as it was seen going by.

    Attributes:
        at: epoch seconds, by Redis' clock.
        number: its place among all that were seen.
        chain, seq: whose it is, and its number there.
        place: stage and member of the task that moved, or None.
        task: the task's state, empty without a place.
        status: the chain's status, or empty where it has not moved.
    """

    at: float
    number: int
    chain: str
    seq: int
    place: tuple[int, int] | None
    task: dict[str, Any]
    status: str


@dataclass(frozen=True)
class Strike:
    """A fault as it happened: its name, begin and end (epoch seconds), and the processes that it hit."""

    name: str
    began: float
    ended: float
    pids: tuple[int, ...] = ()
    words: str = ""


@dataclass
class Observation:
    """All that was seen.

    Attributes:
        chains: those that were started, each with its workflow's name.
        revoked: those that were called off, with the moment at which the call had returned.
        refused: chain ids whose start raised an error.
        boards, rows: both stores after the end; None for a chain that a store does not know.
        results: what each task returned, as the ledger has it, by place.
        events: of the board's stream; a few may have gone by unseen.
        messages: of the progress channel, in order: moment, chain, progress, state.
        bodies: what stages did (the sample workflow only).
        plain: names of the messages sent to the plain actor.
        strikes: the faults.
        deaths: worker processes that have ended, with the moment.
        sampled: violations noticed while it ran, by invariant.
        samples: how often chains were looked at while they ran.
        left_in_stream: events that the recorder did not settle.
        stuck: chains that had not ended when the waiting was over, and what became of their messages.
        strangers: rows or keys of the plain actor's messages.
        lease: seconds of a worker's proof of life.
        has_effects: whether ``bodies`` tells what stages did.
    """

    chains: dict[str, str] = field(default_factory=dict)
    revoked: dict[str, float] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    boards: dict[str, LiveChain | None] = field(default_factory=dict)
    rows: dict[str, ChainRecord | None] = field(default_factory=dict)
    results: dict[Place, Any] = field(default_factory=dict)
    events: list[Seen] = field(default_factory=list)
    messages: list[tuple[float, str, float, str]] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    deaths: dict[int, float] = field(default_factory=dict)
    sampled: dict[int, list[str]] = field(default_factory=dict)
    samples: int = 0
    left_in_stream: int = 0
    stuck: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    lease: float = 30.0
    has_effects: bool = True

    def struck(self, *names: str) -> list[Strike]:
        """The faults of these names."""
        return [strike for strike in self.strikes if strike.name in names]

    def note(self, invariant: int, words: str) -> None:
        """Keep a violation that was noticed while it ran; the same words once."""
        known = self.sampled.setdefault(invariant, [])
        if words not in known:
            known.append(words)
