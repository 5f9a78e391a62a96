"""A worker's life: proven without its interpreter, withdrawn when it is stopped or dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from chains import lifeline_speaks
from waiting import wait_until

from actors.application import Application
from db.workers import WorkerFacts, Workers
from middleware.lease import Lease

#: A process with a lease of three seconds that holds its GIL for six, says so, and then waits for its end. It
#: begins when its helper has spoken: on a busy machine that takes a while to start.
PROCESS = """
import ctypes, os, sys, time
from db.keys import Keys
from db.redis_client import ThreadClients
from db.workers import WorkerFacts, Workers
from middleware.lease import Lease
workers = Workers(ThreadClients(sys.argv[1]), Keys())
lease = Lease(workers, 3)
lease.start("worker", WorkerFacts("", "host", os.getpid(), ["default"], 1, time.time()))
workers.clients.get().delete(Keys().life("worker"))
while not workers.clients.get().exists(Keys().life("worker")):
    time.sleep(0.02)
print("started", flush=True)
ctypes.PyDLL(None).sleep(6)
print("released", flush=True)
sys.stdin.readline()
lease.stop()
print("stopped", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def application(build_application: Any) -> Application:
    return build_application()  # type: ignore[no-any-return]


@pytest.fixture
def process(application: Application) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).parents[3]
    found = subprocess.Popen(
        [sys.executable, "-c", PROCESS, application.board.clients.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert found.stdout is not None
    assert found.stdout.readline() == "started\n"
    yield found
    found.kill()
    found.communicate()


def _alive(application: Application) -> bool:
    return bool(application.board.clients.get().exists("callboard:life:worker"))


def test_a_worker_whose_interpreter_is_held_counts_as_alive(
    application: Application, process: subprocess.Popen[str]
) -> None:
    seen = []
    end = time.monotonic() + 4.5
    while time.monotonic() < end:
        seen.append(_alive(application))
        time.sleep(0.1)
    assert all(seen)
    assert process.stdout is not None
    assert process.stdout.readline() == "released\n"
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "stopped\n"
    wait_until(lambda: not _alive(application))


def test_a_killed_worker_is_dead_at_once(application: Application, process: subprocess.Popen[str]) -> None:
    lifeline = psutil.Process(process.pid).children()[0]
    wait_until(lambda: application.board.clients.get().hexists("callboard:workers", "worker"))
    process.kill()
    wait_until(lambda: not _alive(application))
    wait_until(lambda: not lifeline.is_running() or lifeline.status() == psutil.STATUS_ZOMBIE)
    # The registry keeps it, so that the sweep finds what it has left.
    assert [
        worker.alive_for for worker in Workers(application.board.clients, application.board.keys).known()
    ] == [0]


def test_a_stopped_worker_is_not_spoken_for(application: Application, process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: not _alive(application))
    os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: _alive(application))


def test_a_lifeline_that_died_is_replaced(application: Application, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    first = psutil.Process(process.pid).children()[0]
    assert process.stdout.readline() == "released\n"
    first.kill()
    wait_until(
        lambda: [child for child in psutil.Process(process.pid).children() if child.pid != first.pid], 10
    )
    lifeline_speaks(application, "worker")


def test_an_emptied_redis_hears_of_the_worker_again(
    application: Application, process: subprocess.Popen[str]
) -> None:
    application.board.clients.get().flushdb()
    wait_until(lambda: _alive(application))
    workers = Workers(application.board.clients, application.board.keys)
    assert [worker.facts for worker in workers.known()] == [
        WorkerFacts("", "host", process.pid, ["default"], 1, workers.known()[0].facts.started)
    ]


def test_a_worker_without_a_lifeline_proves_its_life_itself(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    lease = Lease(Workers(application.board.clients, application.board.keys), 3)
    lease.start("worker", WorkerFacts("", "host", os.getpid(), ["default"], 1, 0.0))
    end = time.monotonic() + 5
    seen = []
    while time.monotonic() < end:
        seen.append(_alive(application))
        time.sleep(0.1)
    lease.stop()
    assert all(seen)
