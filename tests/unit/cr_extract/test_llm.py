"""The language model's client against a real HTTP server that speaks the protocol."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from actors.cr_extract.llm import MAX_ATTEMPTS, LlmClient, find_fields
from actors.cr_extract.words import Box, PageWords, Word
from callboard.errors import StageError

FIELDS = [{"label": "Total", "value": "1,250.00", "page": 1}, {"label": "Tax", "value": "77.00", "page": 1}]


class Endpoint(ThreadingHTTPServer):
    """Answers with what is planned, one answer a request; the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(
            {"path": self.path, "key": self.headers.get("Authorization"), "body": body}
        )
        planned = self.server.plan.pop(0) if len(self.server.plan) > 1 else self.server.plan[0]
        if planned.get("silent"):
            self.server.released.wait(10)
            return
        content = planned.get("raw", "").encode() or json.dumps(planned.get("body", {})).encode()
        self.send_response(planned.get("status", 200))
        for name, value in planned.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for start in range(0, len(content), planned.get("drip", len(content)) or 1):
            try:
                self.wfile.write(content[start : start + planned.get("drip", len(content))])
            except OSError:
                return
            if "drip" in planned and self.server.released.wait(0.1):
                return

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def answer(content: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content)
    usage = {"prompt_tokens": 120, "completion_tokens": 30}
    return {"body": {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}}


GOOD = answer({"fields": FIELDS})


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(endpoint: Endpoint, pauses: list[float]) -> LlmClient:
    return LlmClient(endpoint.url, "test-model", "secret", timeout=5.0, pause=pauses.append)


def page() -> PageWords:
    words = [
        Word(text, Box(50 + 90 * i, 0, 130 + 90 * i, 18), 0.9) for i, text in enumerate(("Total", "1,250.00"))
    ]
    return PageWords(1, 800, 600, words=words)


def test_an_answer_is_asked_for_and_counted(endpoint: Endpoint, client: LlmClient) -> None:
    endpoint.plan = [GOOD]
    assert client.ask("Total 1,250.00") == FIELDS
    (request,) = endpoint.requests
    assert (request["path"], request["key"]) == ("/v1/chat/completions", "Bearer secret")
    assert request["body"]["model"] == "test-model"
    assert request["body"]["response_format"]["type"] == "json_schema"
    assert request["body"]["messages"][-1] == {"role": "user", "content": "Total 1,250.00"}
    assert vars(client.usage) == {"prompt_tokens": 120, "completion_tokens": 30, "requests": 1}


def test_values_that_are_not_in_the_text_are_for_review(endpoint: Endpoint, client: LlmClient) -> None:
    endpoint.plan = [GOOD]
    findings = find_fields([page()], client)
    assert findings.engine == "llm"
    assert [(field.value, field.review is None) for field in findings.fields] == [
        ("1,250.00", True),
        ("77.00", False),
    ]
    assert findings.usage["requests"] == 1


def test_a_document_without_words_asks_nothing(endpoint: Endpoint, client: LlmClient) -> None:
    assert find_fields([PageWords(1, 10, 10)], client).fields == []
    assert endpoint.requests == []


def test_long_documents_are_asked_in_parts(endpoint: Endpoint, client: LlmClient) -> None:
    endpoint.plan = [answer({"fields": []})]
    words = [Word("word" * 20, Box(0, 30.0 * i, 100, 30.0 * i + 18), 0.9, i) for i in range(400)]
    find_fields([PageWords(1, 800, 12000, words=words)], client)
    assert len(endpoint.requests) == 3


def test_a_busy_endpoint_is_asked_again_when_it_says(
    endpoint: Endpoint, client: LlmClient, pauses: list[float]
) -> None:
    endpoint.plan = [{"status": 429, "headers": {"Retry-After": "7"}}, {"status": 429}, GOOD]
    assert client.ask("x") == FIELDS
    assert pauses == [7.0, 2.0]
    assert client.usage.requests == 3


def test_a_failing_endpoint_is_given_up_after_some_attempts(
    endpoint: Endpoint, client: LlmClient, pauses: list[float]
) -> None:
    endpoint.plan = [{"status": 503}]
    with pytest.raises(StageError, match="HTTP 503"):
        client.ask("x")
    assert len(endpoint.requests) == MAX_ATTEMPTS
    assert pauses == [1.0, 2.0, 4.0]


def test_a_refusal_is_final(endpoint: Endpoint, client: LlmClient) -> None:
    endpoint.plan = [{"status": 401, "body": {"error": "bad key"}}]
    with pytest.raises(StageError, match=r"HTTP 401.*LLM_API_KEY"):
        client.ask("x")
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "bad",
    [
        answer("no JSON at all"),
        answer({"fields": [{"label": 5}]}),
        {"raw": "<html>"},
        {"body": {"choices": []}},
    ],
    ids=["text", "schema", "html", "no choices"],
)
def test_an_answer_that_does_not_fit_gets_one_more_try(
    endpoint: Endpoint, client: LlmClient, bad: dict[str, Any]
) -> None:
    endpoint.plan = [bad, GOOD]
    assert client.ask("x") == FIELDS
    endpoint.plan = [bad]
    with pytest.raises(StageError, match="does not fit the schema"):
        client.ask("x")
    assert len(endpoint.requests) == 4


@pytest.mark.parametrize("slow", [{"silent": True}, {**GOOD, "drip": 1}], ids=["silent", "dripping"])
def test_a_slow_answer_is_cut_off(endpoint: Endpoint, pauses: list[float], slow: dict[str, Any]) -> None:
    endpoint.plan = [slow]
    client = LlmClient(endpoint.url, "m", timeout=0.3, pause=pauses.append)
    started = time.monotonic()
    with pytest.raises(StageError, match=r"no answer within 0\.3 s"):
        client.ask("x")
    assert time.monotonic() - started < 0.3 * MAX_ATTEMPTS + 20
    assert len(pauses) == MAX_ATTEMPTS - 1


def test_an_endpoint_that_is_not_there(pauses: list[float]) -> None:
    client = LlmClient("http://127.0.0.1:9/v1", "m", timeout=1, pause=pauses.append)
    with pytest.raises(StageError, match="did not answer"):
        client.ask("x")
