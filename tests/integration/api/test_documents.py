"""The client snippets of the documents, as they stand there but for host, port and id."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from api_server import PNG, Api, run_node, run_python
from dramatiq import Worker
from waiting import wait_until

from actors.batches import chunks
from db.connection import session
from db.models import BatchExecution

Work = Callable[..., Worker]

PYTHON = """
import requests

# 전체 파이프라인 상태 조회
response = requests.get("http://localhost:5050/api/v1/tasks/ai-pipeline/example-chain-123/tasks")
pipeline_tasks = response.json()["data"]

# 진행률 계산
total_progress = sum(task["progress"] for task in pipeline_tasks) / len(pipeline_tasks)
print(f"전체 진행률: {total_progress}%")

# 실패한 단계 확인
failed_stages = [task for task in pipeline_tasks if task["status"] == "FAILURE"]
if failed_stages:
    print(f"실패한 단계: {[task['stage'] for task in failed_stages]}")
"""
JAVASCRIPT = """
// 전체 파이프라인 상태 조회
const response = await fetch('/api/v1/tasks/ai-pipeline/example-chain-123/tasks');
const { data: pipelineTasks } = await response.json();

// 현재 실행 중인 단계 찾기
const currentStage = pipelineTasks.find(task => 
  task.status === 'PENDING' && task.progress > 0
);

// 완료된 단계 수 계산
const completedStages = pipelineTasks.filter(task => 
  task.status === 'SUCCESS'
).length;

console.log(`완료된 단계: ${completedStages}/4`);
"""  # noqa: W291 (as it stands in the document)
MIGRATED = """
pipeline_data = status_manager.get_pipeline_status(chain_id)
if pipeline_data:
    # 가장 최근 업데이트된 단계 찾기
    current_task = max(pipeline_data, key=lambda x: x.get("updated_at", 0))
    current_stage = current_task["stage"]
"""
BATCH = """
# 실시간 진행률 체크
import requests
import time

batch_id = "your-batch-id"

while True:
    response = requests.get(f"http://localhost:8000/pipeline/batch/{batch_id}")
    data = response.json()["data"]

    print(f"진행률: {data['progress_percentage']:.1f}%")
    print(f"완료: {data['completed_images']}/{data['total_images']}")
    print(f"실패: {data['failed_images']}")

    if data["status"] in ["SUCCESS", "FAILURE"]:
        break

    time.sleep(5)
"""
POLLING = """
const getRun = runId => fetch(`/api/runs/${runId}`).then(response => response.json())
const setStatus = data => console.log(data.state, data.progress)
const onCompleted = data => console.log('completed', data.run_id)
const runId = 'example-chain-123'
// Polling fallback
const interval = setInterval(() => {
  getRun(runId).then((data) => {
    setStatus(data)
    if (data.state === 'END') {
      clearInterval(interval)
      onCompleted(data)
    } else if (data.state === 'FAILED') {
      clearInterval(interval)
    }
  })
}, 2000)  // 2초마다 폴링
"""


def chain(api: Api) -> None:
    """The documents' chain, in its second stage."""
    body = {"workflow": "play", "chain_id": "example-chain-123", "input": {}}
    assert api.post("/pipeline", json=body).status_code == 202
    stage = "/api/v1/tasks/ai-pipeline/example-chain-123/stage/2"
    wait_until(lambda: api.get(stage).json()["data"]["progress"] == 50)


def here(code: str, api: Api) -> str:
    for host in ("localhost:5050", "localhost:8000"):
        code = code.replace(host, f"localhost:{api.port}")
    # Where a page has its own address, Node needs it spelled.
    return code.replace("fetch('/", f"fetch('{api.url}/").replace("fetch(`/", f"fetch(`{api.url}/")


def test_python_and_javascript_of_the_status_array(api: Api, work: Work, tmp_path: Path) -> None:
    api.play()
    work(api.application)
    chain(api)
    assert run_python(here(PYTHON, api)) == "전체 진행률: 37.5%\n"
    assert run_node(here(JAVASCRIPT, api), tmp_path) == "완료된 단계: 1/4\n"
    names = {"status_manager": api.application.status, "chain_id": "example-chain-123"}
    exec(MIGRATED, names)
    assert names["current_stage"] == 2
    api.gate.set()


def test_redis_cli_of_the_status_array(api: Api) -> None:
    api.play()
    api.post("/pipeline", json={"workflow": "play", "chain_id": "example-chain-123"})
    client = api.application.board.clients.get()
    answer = client.execute_command("GET", "example-chain-123")
    assert [entry["stage"] for entry in json.loads(answer)] == [1, 2, 3, 4]
    assert 3500 < client.execute_command("TTL", "example-chain-123") <= 3600


def test_curl_and_python_of_batches(api: Api) -> None:
    with session(api.application.database) as database:
        BatchExecution.insert(
            batch_id="your-batch-id",
            status="SUCCESS",
            total_images=100,
            completed_images=98,
            failed_images=2,
            started_at=datetime(2025, 1, 15, 10, 30),
            finished_at=datetime(2025, 1, 15, 10, 40),
        ).execute(database)
    assert run_python(here(BATCH, api)) == "진행률: 100.0%\n완료: 98/100\n실패: 2\n"

    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not available")
    for line in (
        'curl "http://localhost:8000/pipeline/batch/your-batch-id"',
        'curl "http://localhost:8000/pipeline/batch?limit=10"',
    ):
        done = subprocess.run(
            ["sh", "-c", here(line, api)], capture_output=True, text=True, timeout=60, check=True
        )
        assert json.loads(done.stdout)["success"] is True


def test_javascript_of_the_polling_fallback(api: Api, work: Work, tmp_path: Path) -> None:
    api.play()
    work(api.application)
    chain(api)
    api.gate.set()
    printed = run_node(here(POLLING, api), tmp_path).splitlines()
    assert printed[-2:] == ["END 1", "completed example-chain-123"]


def test_the_monitoring_loop_of_a_batch(api: Api, work: Work) -> None:
    example = Path(__file__).resolve().parents[3] / "examples" / "batch_monitor.py"
    loop = BATCH[BATCH.index("while True") :].replace("http://localhost:8000", "{server}")
    assert example.read_text("utf-8").endswith(loop.replace("sleep(5)", "sleep(pause)"))

    api.play()
    chunks.declare(api.application.broker)
    work(api.application)
    form = {"batch_name": "test_batch_001", "workflow": "play"}
    files = [("files", (f"image{number}.jpg", PNG)) for number in (1, 2, 3)]
    batch_id = api.post("/pipeline/batch", data=form, files=files).json()["data"]["context_id"]
    watching = subprocess.Popen(
        [sys.executable, "-u", str(example), batch_id, api.url, "0.1"], stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert [watching.stdout.readline() for _ in range(3)] == ["진행률: 0.0%\n", "완료: 0/3\n", "실패: 0\n"]
    api.gate.set()
    told, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert told.splitlines()[-3:] == ["진행률: 100.0%", "완료: 3/3", "실패: 0"]
