"""The page that describes the API, and the documents' JavaScript, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import Api, serving
from chromium import Page, browsing
from dramatiq import Worker
from servers import Unavailable
from waiting import wait_until

# Document 5's client, without React; document 1's, as it stands there.
FOLLOW = """
new Promise((resolve) => {
  const runId = %r
  const seen = []
  const protocol = window.location.protocol === 'https:' ? 'wss:' : 'ws:'
  const wsUrl = `${protocol}//${window.location.host}/ws/${runId}`
  const websocket = new WebSocket(wsUrl)
  websocket.onopen = () => { websocket.send(JSON.stringify({ type: 'ping' })) }
  websocket.onmessage = (event) => {
    const data = JSON.parse(event.data)
    seen.push(data)
    window.seen = seen
    if (data.state === 'END' || data.state === 'FAILED') { websocket.close(); resolve(seen) }
  }
  websocket.onclose = () => { resolve(seen) }
})
"""
COUNT = """
(async () => {
const response = await fetch('/api/v1/tasks/ai-pipeline/%s/tasks');
const { data: pipelineTasks } = await response.json();

// 완료된 단계 수 계산
const completedStages = pipelineTasks.filter(task =>
  task.status === 'SUCCESS'
).length;

return `완료된 단계: ${completedStages}/4`;
})()
"""


@pytest.fixture
def api(build_application: Callable[..., Any]) -> Iterator[Api]:
    with serving(build_application()) as served:
        yield served


@pytest.fixture
def page(api: Api, tmp_path: Path) -> Iterator[Page]:
    try:
        with browsing(tmp_path, f"{api.url}/docs") as opened:
            yield opened
    except Unavailable as error:
        pytest.skip(str(error))


def test_the_description_lists_every_operation_without_a_warning(page: Page, api: Api) -> None:
    count = "document.querySelectorAll('.opblock').length"
    described = sum(len(methods) for methods in api.get("/openapi.json").json()["paths"].values())
    wait_until(lambda: page.evaluate(count) == described, 60, "the operations are not shown")
    assert page.evaluate("document.querySelector('.title').textContent").startswith("Callboard")
    assert page.evaluate("document.querySelectorAll('.errors-wrapper, .version-pragma__message').length") == 0
    assert page.evaluate(
        "performance.getEntriesByType('resource').every(r => r.name.startsWith(location.origin))"
    )


def test_the_documents_javascript_follows_a_chain(page: Page, api: Api, work: Callable[..., Worker]) -> None:
    workflow = api.play()
    chain_id = workflow.start({})
    api.gate.set()
    wait_until(lambda: page.evaluate("location.pathname") == "/docs")
    page.command("Runtime.evaluate", expression=f"window.done = {FOLLOW % chain_id}")
    wait_until(lambda: page.evaluate("(window.seen || []).length") >= 1)
    work(api.application)
    seen = page.evaluate("window.done")
    assert seen[0] == {"type": "initial_state", "state": "PENDING", "progress": 0.0, "logs": []}
    assert {"type": "pong"} in seen
    assert seen[-1]["type"] == "progress"
    assert (seen[-1]["state"], seen[-1]["progress"]) == ("END", 1)
    assert page.evaluate(COUNT % chain_id) == "완료된 단계: 4/4"
