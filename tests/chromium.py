"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import Unavailable, free_port
from waiting import wait_until
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-allow-origins=*",
)


class Page:
    """A page of the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = 0

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A DevTools command; returns its result."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
        raise AssertionError(f"the browser does not answer {method}")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")


@contextmanager
def browsing(folder: Path, url: str) -> Iterator[Page]:
    """A page that shows ``url``, in a browser that ends with the block.

    Raises:
        Unavailable: this machine has no Chromium.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise Unavailable("Chromium", "not on PATH (Debian: apt install chromium)")
    port = free_port()
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                *OPTIONS,
                f"--user-data-dir={folder}/profile",
                f"--remote-debugging-port={port}",
                "about:blank",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        target = wait_until(lambda: _open(port, url), 60, "Chromium does not start")
        with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


def _open(port: int, url: str) -> dict[str, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?{url}", method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))
    except OSError:
        return {}
