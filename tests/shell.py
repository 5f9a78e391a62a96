"""The command line as its users have it: in processes of its own, with workflows of their own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from servers import free_port
from waiting import wait_until

from actors.cr_extract import cr_extract

#: What ships, and the queues of it.
_shipped = cr_extract.application
SHIPPED = sorted(_shipped.workflows)
#: With those of the module below.
DECLARED = sorted([*SHIPPED, "play", "scan"])
QUEUES = sorted(_shipped.broker.get_declared_queues())

#: A module outside of the repository, found from the folder where the command runs.
PLAYS = """
import time
from pathlib import Path

from callboard import Workflow, progress, stage


@stage(name="Rehearsal")
def rehearsal(document):
    progress(40, substep="page [1/2] of [/script]", log="the curtain rises")
    if "diary" in document:
        with open(document["diary"], "a") as diary:
            diary.write("rehearsed\\n")
    waited = 0
    while "gate" in document and not Path(document["gate"]).exists():
        time.sleep(0.02)
        waited += 1
        progress(waited=waited)
    return document


@stage(name="Premiere", max_retries=0)
def premiere(document):
    if "illness" in document and Path(document["illness"]).exists():
        raise RuntimeError("the lead is ill: [/fever]")
    return {"applause": 3, "document": document}


Workflow("play", [rehearsal, premiere])


@stage(name="Open", max_retries=0)
def open_file(document):
    gate = document["options"].get("gate")
    while gate and not Path(gate).exists():
        time.sleep(0.02)
        progress(50)
    return document


@stage(name="Scan", max_retries=0)
def scan(document):
    if Path(document["file_path"]).read_text() == "torn":
        raise ValueError("the page is torn: [/corner]\\nlower left")
    return document


Workflow("scan", [open_file, scan])
"""


class Shell:
    """A folder, an environment, and the command to run there.

    Parameters:
        folder: where commands run; ``plays.py`` is written into it.
        environment: variables beside those of the tests' process.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {
            **os.environ,
            "CALLBOARD_HOME": str(self.home),
            "WORKFLOWS": "plays",
            "COLUMNS": "120",
            "PORT": str(free_port()),
            **environment,
        }
        self._spawned: list[subprocess.Popen[str]] = []
        (folder / "plays.py").write_text(PLAYS)

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python there to its end."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``callboard`` to its end."""
        return self.python("-m", "callboard", *arguments, **environment)

    def on_a_terminal(self, *arguments: str) -> tuple[int, str]:
        """Run ``callboard`` to its end on a terminal; its exit status, and what was drawn."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "callboard", *arguments],
            cwd=self.folder,
            env={**self.environment, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        drawn = b""
        try:
            while piece := os.read(ours, 65536):
                drawn += piece
        except OSError:  # Linux: the other side has closed
            pass
        finally:
            os.close(ours)
        return process.wait(60), drawn.decode()

    def json_lines(self, *arguments: str) -> list[dict[str, Any]]:
        """What ``callboard … --json`` prints, each line an object."""
        return [json.loads(line) for line in self.call(*arguments, "--json").stdout.splitlines()]

    def spawn(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``callboard``; what it prints goes to ``stdout`` and ``stderr`` in the folder."""
        with (self.folder / "stdout").open("w") as stdout, (self.folder / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "callboard", *arguments],
                # Tests that run in the background may have been started deaf to Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
                **{
                    "cwd": self.folder,
                    "env": self.environment,
                    "stdout": stdout,
                    "stderr": stderr,
                    **options,
                },
            )
        self._spawned.append(process)
        return process

    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def up(self, *arguments: str) -> subprocess.Popen[str]:
        """``callboard up``, once all of it is at work."""
        process = self.spawn("up", *arguments)

        def is_up() -> bool:
            assert process.poll() is None, self.stderr()
            return "up; Ctrl-C ends it" in self.stderr()

        wait_until(is_up, 120, "callboard up does not come up")
        return process

    def start(self, **document: object) -> str:
        """Start a play; returns the chain's id."""
        started = self.call("start", "play", "--input", json.dumps({k: str(v) for k, v in document.items()}))
        assert started.returncode == 0, started.stderr
        return started.stdout.strip()

    def entries(self, chain_id: str) -> list[dict[str, Any]]:
        """The chain's stages."""
        stages: list[dict[str, Any]] = self.json_lines("status", chain_id)[0]["stages"]
        return stages

    def processes(self) -> list[psutil.Process]:
        """Every process that was started for this home, whoever its parent is now."""
        return [
            process
            for process in psutil.process_iter()
            if _environment(process).get("CALLBOARD_HOME") == str(self.home)
        ]

    def is_empty(self) -> bool:
        assert not self.processes()
        return True

    def clear(self) -> None:
        """End what a failed test has left."""
        for process in self._spawned:
            process.kill()
            process.wait()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()


def command_of(process: psutil.Process) -> str:
    """What a process runs; empty once it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return {}
        environment: dict[str, str] = process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return {}
    return environment
