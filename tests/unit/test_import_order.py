"""Imports run one way: settings and errors ← db ← middleware ← actors ← api ← cli (docs/internals.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("callboard", "db", "middleware", "actors", "api")
ALONE = ("callboard.client", "callboard.embedded", "callboard.embedded_binary")
GROUND = ("callboard", "callboard.settings", "callboard.errors", *ALONE)
FLOORS = ["ground", "db", "middleware", "actors", "api", "door"]  # each may import those before it


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(module: str, path: Path, known: set[str]) -> Iterator[str]:
    """The modules of ours that this one imports, anywhere in it; not those under TYPE_CHECKING."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        waiting.extend(ast.iter_child_nodes(node))
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = [
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in known else source
                for alias in node.names
            ]
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def graph() -> dict[str, set[str]]:
    found = modules()
    return {module: set(imported(module, path, set(found))) - {module} for module, path in found.items()}


def floor(module: str) -> int:
    """What is in ``callboard`` and not the ground is the door: the command line and its parts."""
    package = module.partition(".")[0]
    if package == "callboard":
        package = "ground" if module in GROUND else "door"
    return FLOORS.index(package)


GRAPH = graph()


@pytest.mark.parametrize("module", GRAPH)
def test_a_module_imports_only_from_below(module: str) -> None:
    above = sorted(name for name in GRAPH[module] if floor(name) > floor(module))
    assert not above, f"{module} may not import {', '.join(above)}"


@pytest.mark.parametrize("module", [module for module in GRAPH if module in ALONE])
def test_what_stands_alone_imports_no_other_package_of_ours(module: str) -> None:
    assert {name.split(".")[0] for name in GRAPH[module]} <= {"callboard"}


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' → '.join(reversed(error.args[1]))}", pytrace=False)


def test_the_check_sees_what_is_there() -> None:
    assert {"callboard.settings", "callboard.errors"} <= set(GRAPH)
    assert "callboard.errors" in GRAPH["callboard.settings"]
    assert "callboard.embedded_binary" in GRAPH["callboard.embedded"]
