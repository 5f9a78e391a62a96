"""``callboard run``: one chain from nothing to nothing, as ``bin/demo`` uses it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from shell import Shell
from waiting import wait_until


def test_it_runs_a_chain_and_leaves_only_the_ledger(embedded_shell: Shell) -> None:
    shell = embedded_shell
    lines = shell.json_lines("run", "play", "--input", '{"act": 1}')
    chain_id = lines[0]["chain_id"]
    assert lines[-1]["final_result"] == {"applause": 3, "document": {"act": 1}}
    assert shell.is_empty()
    # Redis' data and the ledger are still there for the next command.
    assert shell.call("status", chain_id).returncode == 0
    wait_until(shell.is_empty)


def test_a_chain_that_fails(embedded_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "illness").touch()
    data = json.dumps({"illness": str(tmp_path / "illness")})
    ran = embedded_shell.call("run", "play", "--input", data)
    assert ran.returncode == 1
    assert "Task premiere failed: the lead is ill" in ran.stdout
    assert "RuntimeError: the lead is ill" in ran.stderr
    assert embedded_shell.is_empty()


def test_an_interrupt_revokes_the_chain(embedded_shell: Shell, tmp_path: Path) -> None:
    shell = embedded_shell
    process = shell.spawn("run", "play", "--input", json.dumps({"gate": str(tmp_path / "never")}))
    wait_until(lambda: "running" in shell.stdout())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    chain_id = shell.stdout().splitlines()[0]
    assert f"callboard: interrupted: chain {chain_id} was revoked; " in shell.stderr()
    assert "Traceback" not in shell.stderr()
    assert shell.is_empty()
    assert shell.json_lines("status", chain_id)[0]["status"] == "REVOKED"
    wait_until(shell.is_empty)


def test_a_worker_that_cannot_start_says_why(shell: Shell) -> None:
    with (shell.folder / "plays.py").open("a") as plays:
        plays.write("\nimport sys\nassert 'dramatiq' not in sys.argv[0], 'no stage to play on'\n")
    ran = shell.call("run", "play")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "AssertionError: no stage to play on" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("callboard: the worker cannot start (exit status ")
    assert shell.is_empty()


def test_a_module_that_does_not_import_starts_nothing(embedded_shell: Shell) -> None:
    shell = embedded_shell
    for module, reason in (("operas", "No module named 'operas'"), ("broken", "the score is lost")):
        (shell.folder / "broken.py").write_text("raise ValueError('the score is lost')\n")
        ran = shell.call("run", "play", WORKFLOWS=module)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
        assert ran.stderr.startswith(f"callboard: WORKFLOWS: read '{module}', expected a module that can be")
        assert reason in ran.stderr
    assert not shell.home.exists()
