"""callboard prune: what would go, and what has gone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from datetime import timedelta

from shell import Shell

from callboard.settings import Settings
from db.connection import open_database
from db.models import ChainExecution, TaskLog
from db.values import utc_now


def add_old_chains(shell: Shell, count: int) -> str:
    """Returns their day."""
    database = open_database(Settings.from_environment(shell.environment).database_url)
    moment = utc_now().replace(microsecond=0) - timedelta(days=100)
    for number in range(count):
        row = {"chain_id": f"c{number}", "chain_name": "play", "status": "SUCCESS", "created_at": moment}
        key = ChainExecution.insert(row).execute(database)
        task = {"task_id": f"t{number}", "task_name": "x", "status": "SUCCESS", "chain_execution": key}
        TaskLog.insert({**task, "started_at": moment}).execute(database)
    database.close()
    return f"{moment:%Y-%m-%d}"


def test_a_dry_run_and_a_real_one(shell: Shell) -> None:
    moment = add_old_chains(shell, 3)
    dry = shell.call("prune", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    lines = dry.stdout.splitlines()
    assert lines[0] == "storage folders: kept for ever"
    assert lines[1].startswith(f"tasks: 3 would go, the oldest of {moment} ")
    assert lines[2].startswith(f"chains: 3 would go, the oldest of {moment} ")
    assert lines[3] == "batches: 0 would go"
    assert len(lines) == 10
    gone = {line["kind"]: line for line in shell.json_lines("prune")}
    assert (gone["chains"]["count"], gone["chains"]["dry_run"]) == (3, False)
    assert gone["chains"]["oldest"].startswith(f"{moment}T")
    assert gone["chains"]["oldest"].endswith("+00:00")
    assert (gone["workers"]["count"], gone["workers"]["oldest"]) == (0, None)
    assert {line["count"] for line in shell.json_lines("prune")} == {0}


def test_nothing_goes_where_everything_is_kept(shell: Shell) -> None:
    add_old_chains(shell, 1)
    for name in ("RETENTION_DAYS", "IDEMPOTENCY_DAYS", "STALE_DAYS"):
        shell.environment[name] = "0"
    lines = shell.call("prune").stdout.splitlines()
    assert {line.partition(": ")[2] for line in lines} == {"kept for ever"}
    assert shell.json_lines("prune")[2]["count"] == 0


def test_a_bar_on_a_terminal_and_lines_on_stdout(shell: Shell) -> None:
    add_old_chains(shell, 2)
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as reading:
        process = subprocess.Popen(
            [sys.executable, "-m", "callboard", "prune"],
            cwd=shell.folder,
            env={**shell.environment, "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=end,
        )
        os.close(end)
        drawn = b""
        try:
            while part := reading.read(4096):
                drawn += part
        except OSError:  # the other side is closed
            pass
        assert process.communicate(timeout=60)[0].splitlines()[2].startswith(b"chains: 2 gone")
    assert b"/10" in drawn
