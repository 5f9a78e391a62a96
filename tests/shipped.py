"""A workflow that ships, declared on the application of a test."""

from __future__ import annotations

from importlib import import_module, reload
from pathlib import Path
from typing import Any

from chains import ended

from actors.application import Application
from actors.workflow import Workflow

SAMPLES = import_module("samples").__path__[0]


def declare(application: Application, package: str, name: str) -> Workflow:
    """The workflow of that name, its stages declared anew on the broker that is Dramatiq's now."""
    for module in (f"{package}.stages", package):
        reload(import_module(module))
    return application.workflows[name]


def final_result(application: Application, chain_id: str) -> dict[str, Any]:
    """What a chain that has succeeded returned."""
    live = application.board.chain(chain_id)
    assert live is not None
    assert live.state["status"] == "SUCCESS", live.state
    found: dict[str, Any] = live.final
    return found


def run(workflow: Workflow, document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Start a chain, wait for its end, and return its id with what it returned."""
    chain_id = workflow.start(document)
    ended(workflow.application, chain_id, 90)
    return chain_id, final_result(workflow.application, chain_id)


def local(url: str) -> Path:
    """Where a file of the test's storage lies."""
    return Path(url.removeprefix("file://"))
