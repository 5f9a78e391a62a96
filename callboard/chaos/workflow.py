"""The workflows that ``callboard chaos`` runs unless it is given another: each body leaves lines on the disk.

A chain's input is ``{"plan": {"effects": path, "seconds": [for each stage], "raises": [stages that raise
once], "fails": [stages that fail for good]}}``; what a stage returns names its run, and the next one writes
down whose results it was given.
"""

from __future__ import annotations

import time
from typing import Any

import dramatiq

from actors.progress import current_stage, progress
from actors.workflow import Workflow, parallel, stage

from .effects import body
from .samples import MANY, MEMBERS, RETRIES, WEAK_MEMBER, GiveUp, Stumble

Given = dict[str, Any]


def _work(given: Given | list[Given], reports: int) -> Given:
    """A body: lines before and after, a few reports between, and one exception where the input says so."""
    first = given[0] if isinstance(given, list) else given
    sources = given if isinstance(given, list) else [given]
    plan = first["plan"]
    runs = [source["run"] for source in sources if source.get("run")]
    here = current_stage()
    with body(plan["effects"], runs) as own:
        seconds = plan["seconds"][(here.stage - 1) % len(plan["seconds"])]
        for step in range(reports):
            time.sleep(seconds / (reports + 1))
            progress(100 * (step + 1) / (reports + 1), substep=f"step {step + 1}")
        if here.stage in plan["raises"] and here.attempt == 1:
            raise Stumble(f"stage {here.stage} was told to stumble once")
        if here.stage in plan.get("fails", []) and own.member in (0, WEAK_MEMBER):
            raise GiveUp(f"stage {here.stage} was told to fail")
        time.sleep(seconds / (reports + 1))
    return {"plan": plan, "run": own.run}


@stage(name="begin", **RETRIES)
def chaos_begin(given: Given) -> Given:
    """The first stage of both workflows."""
    return _work(given, 0)


@stage(name="report", **RETRIES)
def chaos_report(given: Given) -> Given:
    """A stage that reports its progress."""
    return _work(given, 3)


@stage(name="member", **RETRIES)
def chaos_member(given: Given) -> Given:
    """One member of the parallel stage."""
    return _work(given, 1)


@stage(name="join", **RETRIES)
def chaos_join(given: Given | list[Given]) -> Given:
    """A fan-in, or the third stage of four."""
    return _work(given, 0)


@stage(name="end", **RETRIES)
def chaos_end(given: Given) -> Given:
    """The last stage of both workflows."""
    return _work(given, 1)


chaos_chain = Workflow("chaos_chain", [chaos_begin, chaos_report, chaos_join, chaos_end])
chaos_fan = Workflow(
    "chaos_fan",
    [chaos_begin, parallel(*[chaos_member] * MEMBERS, name="members"), chaos_join, chaos_end],
)
chaos_wide = Workflow(
    "chaos_wide",
    [chaos_begin, parallel(*[chaos_member] * MANY, name="members"), chaos_join, chaos_end],
)


@dramatiq.actor(max_retries=5, min_backoff=100)
def chaos_plain(effects: str, name: str) -> None:
    """An actor that belongs to no workflow."""
    with body(effects, [], plain=name):
        time.sleep(0.01)
