"""The server as the Procfile has it: where it listens, and how it ends."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import requests
from servers import free_port
from shell import Shell
from waiting import wait_until

from db.connection import open_database
from db.migrate import migrate

ROOT = Path(__file__).resolve().parents[3]
KEY = "operator-operator-op"


class Gunicorn:
    """``gunicorn`` with the Procfile's arguments, in the project's folder."""

    def __init__(self, tmp_path: Path, redis_url: str, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tmp_path / "log"
        (line,) = [line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("web: ")]
        words = line.removeprefix("web: gunicorn ").replace("$PORT", str(self.port)).split()
        variables = {
            **os.environ,
            "REDIS_URL": redis_url,
            "CALLBOARD_HOME": str(tmp_path / "home"),
            "PORT": str(self.port),
            **environment,
        }
        migrate(open_database(f"sqlite:///{tmp_path}/home/ledger.sqlite3"))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *words], cwd=ROOT, env=variables, stdout=log, stderr=log
            )
        wait_until(lambda: "startup complete" in self.log(), 60, "gunicorn does not start")

    def log(self) -> str:
        return self._log.read_text()

    def addresses(self) -> set[str]:
        """Where it listens."""
        process = psutil.Process(self.process.pid)
        found = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        return set(found)

    def stop(self) -> float:
        """SIGTERM; returns how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.monotonic() - began


Start = Callable[..., Gunicorn]


@pytest.fixture
def gunicorn(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    started: list[Gunicorn] = []

    def start(**environment: str) -> Gunicorn:
        server = Gunicorn(tmp_path, redis_url, **environment)
        started.append(server)
        return server

    yield start
    for server in started:
        # Killed, the master would leave its workers behind.
        if server.process.poll() is None:
            server.stop()


def test_without_keys_it_keeps_to_loopback_and_says_so(gunicorn: Start) -> None:
    server = gunicorn()
    assert server.addresses() == {"127.0.0.1"}
    assert "API_KEYS is not set: listening on 127.0.0.1" in server.log()
    assert requests.get(f"{server.url}/workflows", timeout=60).status_code == 200
    assert server.stop() < 25
    assert "Application shutdown complete" in server.log()


@pytest.mark.parametrize("variables", [{"API_KEYS": f"{KEY}:operate"}, {"ALLOW_OPEN": "1"}])
def test_with_keys_or_leave_it_listens_everywhere(gunicorn: Start, variables: dict[str, str]) -> None:
    server = gunicorn(**variables)
    assert server.addresses() == {"0.0.0.0"}
    status = requests.get(f"{server.url}/workflows", timeout=60).status_code
    assert status == (401 if "API_KEYS" in variables else 200)
    known = requests.get(f"{server.url}/workflows", headers={"X-API-Key": KEY}, timeout=60)
    assert known.status_code == 200
    assert KEY not in server.log()


def test_sigterm_with_open_streams(gunicorn: Start, redis_url: str) -> None:
    from live_server import Story  # noqa: PLC0415

    server = gunicorn()
    story = Story(redis_url).post().begin()
    connections = []
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", f"/api/runs/{story.chain_id}/events")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline()
        connections.append((connection, answer))
    assert server.stop() < 25
    assert "Application shutdown complete" in server.log()
    assert "Traceback" not in server.log()
    for connection, answer in connections:
        answer.read()
        connection.close()


def test_callboard_up_brings_the_api(tmp_path: Path, redis_url: str) -> None:
    shell = Shell(tmp_path, REDIS_URL=redis_url, API_KEYS=f"{KEY}:operate")
    up = shell.up()
    try:
        url = f"http://127.0.0.1:{shell.environment['PORT']}"
        assert f"web       | {url}, documents at /docs" in shell.stderr()
        headers = {"Authorization": f"Bearer {KEY}"}
        body = {"workflow": "play", "input": {}}
        chain_id = requests.post(f"{url}/pipeline", json=body, headers=headers, timeout=60).json()["chain_id"]

        def ended() -> bool:
            status = requests.get(f"{url}/pipeline/status/{chain_id}", headers=headers, timeout=60).json()
            return bool(status["status"] == "SUCCESS")

        wait_until(ended)
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    assert "Application shutdown complete" in shell.stderr()
