"""The public names, and that having them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import callboard

HEAVY = ("actors", "api", "db", "middleware", "dramatiq", "peewee", "redis")


def test_the_public_names_are_these() -> None:
    assert sorted(callboard.__all__) == [
        "StatusFormat",
        "Workflow",
        "batch_status",
        "current_stage",
        "parallel",
        "progress",
        "publish_progress",
        "resume",
        "revoke",
        "revoke_batch",
        "stage",
        "start_batch_pipeline",
        "status_manager",
        "workflow",
    ]


@pytest.mark.parametrize("name", callboard.__all__)
def test_each_is_there(name: str) -> None:
    assert getattr(callboard, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stages'"):
        _ = callboard.stages


@pytest.mark.parametrize(
    "module", ["callboard", "callboard.settings", "callboard.errors", "callboard.embedded"]
)
def test_importing_the_ground_imports_nothing_else(module: str) -> None:
    script = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not set(HEAVY) & set(loaded.split())
