"""What the API's tests share: the application served on a loopback port by uvicorn, in a thread."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from waiting import wait_until

from actors.application import Application
from actors.progress import progress
from actors.workflow import Workflow, stage
from api.app import create_app

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@dataclass
class Api:
    """A server that runs.

    Attributes:
        url: where.
        port: likewise.
        application: what it serves.
        gate: stages of :meth:`play` wait for it.
        seen: what their first stage was given.
    """

    url: str
    port: int
    application: Application
    gate: threading.Event = field(default_factory=threading.Event)
    seen: list[Any] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=60, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", timeout=60, **options)

    def play(self, name: str = "play", **options: Any) -> Workflow:
        """A workflow of four stages; the second waits for the gate."""

        def declare(number: int) -> Any:
            @stage(name=f"{name} {number}", actor_name=f"{name}.stage_{number}", max_retries=0)
            def body(document: Any) -> Any:
                if number == 1:
                    self.seen.append(document)
                if number == 2:
                    progress(50, substep="벡터화")
                    while not self.gate.wait(0.02):
                        progress(50)
                    if isinstance(document, dict) and document.get("fail"):
                        raise RuntimeError("stage 2 fell over")
                return document

            return body

        return Workflow(name, [declare(number) for number in range(1, 5)], **options)

    def start(self, name: str = "play", **document: Any) -> str:
        """Start a chain by HTTP; returns its id."""
        answer = self.post("/pipeline", json={"workflow": name, "input": document})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["chain_id"])

    def reaches(self, chain_id: str, status: str) -> dict[str, Any]:
        """The answer of /pipeline/status once the chain has that status."""

        def look() -> dict[str, Any]:
            found: dict[str, Any] = self.get(f"/pipeline/status/{chain_id}").json()
            return found if found["status"] == status else {}

        return wait_until(look, 60, f"{chain_id} is not {status}")


@contextmanager
def serving(application: Application, **collaborators: Any) -> Iterator[Api]:
    """Serve ``application`` until the block ends."""
    app = create_app(application, **collaborators)
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        app, lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="api", daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), 60, "the API does not start")
    assert server.started
    port = listening.getsockname()[1]
    try:
        yield Api(f"http://127.0.0.1:{port}", port, application)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the API does not end"


def run_python(code: str) -> str:
    """What a snippet prints, in a namespace of its own."""
    import contextlib  # noqa: PLC0415
    import io  # noqa: PLC0415

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "document", "exec"), {"__name__": "document"})
    return output.getvalue()


def run_node(code: str, folder: Path) -> str:
    """What a snippet prints under Node, or skip."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not available")
    script = folder / "snippet.mjs"
    script.write_text(code, "utf-8")
    done = subprocess.run([node, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def error_of(answer: requests.Response) -> dict[str, Any]:
    """The body of a refusal, its shape checked."""
    body: dict[str, Any] = json.loads(answer.content)
    assert set(body) == {"success", "data", "message", "detail", "code", "request_id"}, body
    assert body["success"] is False
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "Traceback" not in answer.text
    return body
