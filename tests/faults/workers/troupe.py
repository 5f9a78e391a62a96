"""Workflows of the fault tests, for worker processes."""

from __future__ import annotations

import ctypes
import os
import resource
import time
from typing import Any

from actors.progress import current_stage, progress
from actors.workflow import Workflow, stage
from callboard.chaos.effects import body

#: A version that stands for a new release of the workflow.
REDEFINED = os.environ.get("TROUPE") == "new"


@stage(name="hold", max_retries=0)
def hold_the_interpreter(given: dict[str, Any]) -> dict[str, Any]:
    """A call into C that keeps the GIL, as some libraries do for minutes."""
    with body(given["effects"], []):
        ctypes.PyDLL(None).sleep(given["seconds"])
    return given


@stage(name="write", max_retries=0)
def write_too_much(given: dict[str, Any]) -> dict[str, Any]:
    """The disk is full for as long as the marker is there: the kernel refuses what goes beyond."""
    folder = current_stage().folder
    if os.path.exists(given["full"]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (given["room"], resource.RLIM_INFINITY))
    try:
        with body(given["effects"], []):
            folder.write_bytes("score.bin", b"x" * given["size"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return given


@stage(name="file", max_retries=0)
def file_image(document: dict[str, Any]) -> dict[str, Any]:
    """One image of a batch."""
    time.sleep(0.05)
    return document


@stage(name="fail", max_retries=0)
def fail(given: dict[str, Any]) -> dict[str, Any]:
    """Always."""
    with body(given["effects"], []):
        progress(10)
        raise RuntimeError("the lead is ill")


@stage(name="recite", max_retries=3)
def recite(given: dict[str, Any]) -> dict[str, Any]:
    """A plain stage."""
    with body(given["effects"], []):
        progress(50)
    return given


Workflow("held", [recite, hold_the_interpreter])
Workflow("written", [write_too_much])
Workflow("cast", [recite, hold_the_interpreter] if REDEFINED else [recite, fail])
Workflow("filed", [file_image])
