"""``pip install callboard`` brings nothing heavy, and all of it can be imported without what is."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest

HEAVY = {"numpy", "cv2", "PIL", "sklearn", "onnxruntime", "rapidocr", "pypdfium2", "openpyxl", "xlsxwriter"}

#: Refuses to import what the base install does not bring, as if it were not there.
BLOCKED = """
import sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuses())
"""


def base_install() -> set[str]:
    """The distributions that ``pip install callboard`` brings, by normalised name."""
    found: set[str] = set()
    waiting = ["callboard"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # for another platform or Python
            continue
        # An extra that a requirement asks for by name (redis[hiredis]) may come along, which forbids less.
        waiting += [
            re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0].lower().replace("_", "-")
            for one in needed
            if "extra ==" not in one or "hiredis" in one
        ]
    return found


def not_in_base() -> set[str]:
    """Top-level modules that are installed here and that the base install would not bring."""
    base = base_install()
    return {
        module
        for module, distributions in packages_distributions().items()
        if not base & {name.lower().replace("_", "-") for name in distributions}
    } | HEAVY


def test_the_base_install_has_nothing_heavy() -> None:
    assert {"dramatiq", "redis", "peewee", "falcon"} <= base_install()
    assert not_in_base() >= HEAVY


@pytest.mark.parametrize(
    "module", ["actors", "actors.clock", "api.main", "callboard.cli", "callboard.client"]
)
def test_it_is_enough_to_import(module: str) -> None:
    script = f"FORBIDDEN = {not_in_base()!r}\n{BLOCKED}\nimport {module}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {name.partition(".")[0] for name in done.stdout.split()} & HEAVY


def test_without_the_extras_the_list_says_what_to_install() -> None:
    script = f"FORBIDDEN = {not_in_base()!r}\n{BLOCKED}\nfrom callboard.cli import main\n"
    command = [sys.executable, "-c", f"{script}\nsys.argv = ['callboard', 'workflows']\nmain()"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cr_extract_workflow: unavailable" in done.stdout
    assert "pip install 'callboard[cr-extract]'" in done.stdout
