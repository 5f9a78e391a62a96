"""Plots by a language model: a real HTTP server that speaks the protocol, asked by the stage itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from chains import ended
from dramatiq import Worker
from shorts_runs import Shorts, path_of

SCENES = [
    {
        "title": "Departure 🚀",
        "narration": "  The cat\nleaves. ",
        "visual": "a cat and a rocket",
        "mood": "wonder",
    },
    {"title": "Arrival", "narration": "It lands on the moon.", "visual": "planet, stars", "mood": "triumph"},
]


class Endpoint(ThreadingHTTPServer):
    """Answers with ``SCENES``.

    Attributes:
        asked: the bodies of the requests.
        short: how many answers, from the first on, lack a scene.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.short = 0
        self.asked: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        scenes = SCENES[:1] if len(self.server.asked) <= self.server.short else SCENES
        message = {"content": json.dumps({"scenes": scenes})}
        content = json.dumps({"choices": [{"message": message}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("LLM_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}/v1")
        monkeypatch.setenv("LLM_MODEL", "gpt-4o-mini")
        yield server
        server.shutdown()
        thread.join()


def test_the_model_writes_the_plot(shorts: Shorts, work: Callable[..., Worker], endpoint: Endpoint) -> None:
    work(shorts.application)
    run_id = shorts.start("a cat on the moon", scenes=2)
    chain = ended(shorts.application, run_id, 120)
    assert chain.status == "SUCCESS", chain.error
    result: Any = chain.final_result
    assert result["engine"] == "llm"
    layout = json.loads(path_of(result["artifacts"]["layout"]).read_text())
    assert [scene["narration"] for scene in layout["scenes"]] == ["The cat leaves.", "It lands on the moon."]
    assert "시나리오 생성 중 (gpt-4o-mini)..." in [message.get("log") for message in shorts.messages()]
    body = endpoint.asked[0]
    assert [message["content"] for message in body["messages"]][1] == "a cat on the moon"
    assert body["response_format"]["json_schema"]["schema"]["properties"]["scenes"]["minItems"] == 2


def test_templates_where_they_are_asked_for(
    shorts: Shorts, work: Callable[..., Worker], endpoint: Endpoint
) -> None:
    work(shorts.application)
    chain = ended(shorts.application, shorts.start("a cat", scenes=1, engine="templates"), 120)
    assert (chain.status, chain.final_result["engine"], endpoint.asked) == ("SUCCESS", "templates", [])


def test_a_plot_that_does_not_fit_is_tried_again(
    shorts: Shorts, work: Callable[..., Worker], endpoint: Endpoint
) -> None:
    """Once in the same attempt, then by the stage's own retry."""
    endpoint.short = 2
    work(shorts.application)
    run_id = shorts.start("a cat", scenes=2)
    assert ended(shorts.application, run_id, 120).status == "SUCCESS"
    assert len(endpoint.asked) == 3
    assert (shorts.application.board.task(run_id, 1) or {})["attempt"] == 2
