"""callboard workflows: what can be started, and what cannot for want of an extra."""

from __future__ import annotations

from shell import Shell

#: A module that is not installed anywhere.
ABSENT = "callboard_absent_module"
INSTALL = "pip install 'callboard[ai]'"


def test_by_the_command_line(shell: Shell) -> None:
    (shell.folder / "needy.py").write_text(
        "from callboard import Workflow, stage\n"
        "Workflow('needy', [stage(name='First', actor_name='first')(print)], "
        f"needs=['{ABSENT}'], extra='ai', title='Needs much')\n"
    )
    listed = shell.json_lines("workflows")
    assert all(each["available"] for each in listed)
    shell.environment["WORKFLOWS"] = "plays,needy"
    by_name = {each["name"]: each for each in shell.json_lines("workflows")}
    assert by_name["play"]["stages"] == ["Rehearsal", "Premiere"]
    assert by_name["needy"] == {
        "name": "needy",
        "title": "Needs much",
        "stages": ["First"],
        "available": False,
        "missing": [ABSENT],
        "install": INSTALL,
    }
    lines = shell.call("workflows").stdout.splitlines()
    assert f"needy: unavailable; needy cannot run here without {ABSENT}: {INSTALL}" in lines
    assert "play: Rehearsal → Premiere" in lines
    refused = shell.call("start", "needy")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"callboard: needy cannot run here without {ABSENT}: {INSTALL}\n"
