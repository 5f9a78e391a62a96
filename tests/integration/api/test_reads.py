"""What can be read of a chain: live, ended, and long after, in the documented shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from api_server import Api, error_of
from chains import recorded
from dramatiq import Worker
from waiting import wait_until

from actors.batches.driver import post
from db.batches.facts import BatchFacts
from db.batches.ledger import create
from db.connection import session
from db.keys import Keys
from db.models import BatchExecution, ChainExecution
from db.status_keys import VIDEO_STATUS

Work = Callable[..., Worker]
TASKS = "/api/v1/tasks/ai-pipeline"
ENTRY = {
    "chain_id",
    "stage",
    "status",
    "progress",
    "created_at",
    "updated_at",
    "metadata",
    "process_status",
}
STATUS = [
    "chain_id",
    "chain_name",
    "status",
    "progress",
    "total_tasks",
    "completed_tasks",
    "failed_tasks",
    "started_at",
    "finished_at",
    "error_message",
    "tasks",
]
TASK = ["task_id", "task_name", "status", "retries", "error", "started_at", "finished_at"]


def running(api: Api) -> str:
    chain_id = api.start()
    wait_until(lambda: len(api.get(f"/pipeline/status/{chain_id}").json()["tasks"]) == 2)
    wait_until(lambda: api.get(f"{TASKS}/{chain_id}/stage/2").json()["data"]["progress"] == 50)
    return chain_id


def forget(api: Api, chain_id: str) -> None:
    """Let the board's memory of a chain run out."""
    recorded(api.application)
    keys = api.application.board.keys
    api.application.board.clients.get().delete(chain_id, keys.live(chain_id), keys.messages(chain_id))


def test_tasks_live_and_from_the_ledger(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    chain_id = running(api)

    answer = api.get(f"{TASKS}/{chain_id}/tasks")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["success", "data", "message"]
    assert body["success"] is True
    assert body["message"] == f"체인 '{chain_id}'의 태스크 목록 조회 완료 (총 4개 태스크)"
    assert [entry["stage"] for entry in body["data"]] == [1, 2, 3, 4]
    assert all(set(entry) == ENTRY for entry in body["data"])
    assert body["data"] == json.loads(api.application.board.clients.get().get(chain_id))  # type: ignore[arg-type]
    current = next(task for task in body["data"] if task["status"] == "PENDING" and task["progress"] > 0)
    assert current["metadata"]["substep"] == "벡터화"
    assert current["process_status"] == "RUNNING"
    english = api.get(f"{TASKS}/{chain_id}/tasks", headers={"Accept-Language": "en-GB,ko;q=0.5"}).json()
    assert english["message"] == f"Read the tasks of chain '{chain_id}' (4 tasks in all)"

    api.gate.set()
    api.reaches(chain_id, "SUCCESS")
    live = api.get(f"{TASKS}/{chain_id}/tasks").json()
    forget(api, chain_id)
    ledger = api.get(f"{TASKS}/{chain_id}/tasks").json()
    assert ledger["message"] == live["message"]
    assert [{**entry, "updated_at": 0} for entry in ledger["data"]] == [
        {**entry, "updated_at": 0} for entry in live["data"]
    ]


def test_one_stage(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    chain_id = running(api)
    body = api.get(f"{TASKS}/{chain_id}/stage/2").json()
    assert body["message"] == f"체인 '{chain_id}'의 단계 2 태스크 상태 조회 완료"
    assert body["data"] == api.get(f"{TASKS}/{chain_id}/tasks").json()["data"][1]

    for stage, status, code in (
        ("5", 404, "stage_not_found"),
        ("0", 404, "stage_not_found"),
        ("two", 400, "stage_invalid"),
        ("²", 400, "stage_invalid"),
        ("-1", 400, "stage_invalid"),
    ):
        refused = api.get(f"{TASKS}/{chain_id}/stage/{stage}")
        assert (refused.status_code, error_of(refused)["code"]) == (status, code)
    api.gate.set()


@pytest.mark.parametrize(
    "path",
    [
        f"{TASKS}/nobody/tasks",
        f"{TASKS}/nobody/stage/1",
        "/pipeline/status/nobody",
        "/pipeline/status/callboard:events",
        "/pipeline/status/..%2f..%2fetc",
    ],
)
def test_an_unknown_chain(api: Api, path: str) -> None:
    refused = api.get(path)
    assert refused.status_code == 404
    body = error_of(refused)
    if "%2f" not in path:
        assert body["detail"] == "Chain not found"
        assert body["message"] == "체인을 찾을 수 없습니다"


def test_other_keys_of_redis_are_nobody(api: Api) -> None:
    client = api.application.board.clients.get()
    client.rpush("a-list", "x")
    client.set("a-text", "not json")
    client.set("a-number", "5")
    client.set("some-object", '{"password": "s3cret"}')
    for key in ("a-list", "a-text", "a-number", "some-object"):
        refused = api.get(f"{TASKS}/{key}/tasks")
        assert refused.status_code == 404
        assert "s3cret" not in refused.text


def test_the_old_form_is_read_as_an_array_of_one(api: Api) -> None:
    old = '{"chain_id":"old-one","stage":2,"status":"PENDING","progress":50}'
    api.application.board.clients.get().set("old-one", old)
    assert api.get(f"{TASKS}/old-one/tasks").json() == {
        "success": True,
        "data": [json.loads(old)],
        "message": "체인 'old-one'의 태스크 목록 조회 완료 (총 1개 태스크)",
    }
    assert api.get(f"{TASKS}/old-one/stage/2").json()["data"] == json.loads(old)


def test_an_array_that_expired_while_its_chain_waited(api: Api) -> None:
    api.play()
    chain_id = api.start()
    before = api.get(f"{TASKS}/{chain_id}/tasks").json()
    api.application.board.clients.get().delete(chain_id)
    assert api.get(f"{TASKS}/{chain_id}/tasks").json() == before


def test_status_is_the_same_from_both_stores(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    chain_id = running(api)
    live = api.get(f"/pipeline/status/{chain_id}").json()
    assert list(live) == STATUS
    assert (live["status"], live["progress"], live["total_tasks"]) == ("STARTED", 0.25, 4)
    assert [list(task) for task in live["tasks"]] == [TASK, TASK]
    assert [task["task_name"] for task in live["tasks"]] == ["play.stage_1", "play.stage_2"]
    assert [task["status"] for task in live["tasks"]] == ["SUCCESS", "RUNNING"]
    assert datetime.fromisoformat(live["started_at"]).tzinfo is None
    assert live["finished_at"] is None
    assert live["error_message"] is None

    api.gate.set()
    ended = api.reaches(chain_id, "SUCCESS")
    assert ended["progress"] == 1
    forget(api, chain_id)
    assert api.get(f"/pipeline/status/{chain_id}").json() == ended


def test_a_failed_chain(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    api.gate.set()
    chain_id = api.start(fail=True)
    live = api.reaches(chain_id, "FAILURE")
    assert "stage 2 fell over" in live["error_message"]
    assert live["failed_tasks"] == 1
    assert live["tasks"][1]["error"] == "stage 2 fell over"
    job = api.get(f"/api/v1/jobs/{chain_id}/").json()
    assert job["status"] == "FAILED"
    assert "fell over" in job["error_message"]
    video = api.get(f"/media/videos/{chain_id}/").json()
    assert video["status"] == "FAILED"
    assert "fell over" in video["error_reason"]
    forget(api, chain_id)
    assert api.get(f"/pipeline/status/{chain_id}").json() == live
    assert api.get(f"/api/v1/jobs/{chain_id}/").json() == job
    assert api.get(f"/media/videos/{chain_id}/").json() == video


def test_a_job_is_a_chain(api: Api, work: Work) -> None:
    api.play()
    pending = api.start(download_url="/x")
    assert api.get(f"/api/v1/jobs/{pending}/").json() == {
        "job_id": pending,
        "status": "PENDING",
        "progress": 0,
        "result": None,
        "error_message": None,
    }
    work(api.application)
    wait_until(lambda: api.get(f"/api/v1/jobs/{pending}").json()["progress"] == 37)
    assert api.get(f"/api/v1/jobs/{pending}/").json()["status"] == "PROCESSING"
    client, keys = api.application.board.clients.get(), api.application.board.keys
    client.set(keys.job_progress(pending), json.dumps({"progress": 42, "step": "write"}))
    assert api.get(f"/api/v1/jobs/{pending}/").json()["progress"] == 42
    api.gate.set()
    api.reaches(pending, "SUCCESS")
    done = {
        "job_id": pending,
        "status": "DONE",
        "progress": 100,
        "result": {"download_url": "/x"},
        "error_message": None,
    }
    assert api.get(f"/api/v1/jobs/{pending}/").json() == done
    forget(api, pending)
    assert api.get(f"/api/v1/jobs/{pending}/").json() == done
    assert error_of(api.get("/api/v1/jobs/nobody/"))["code"] == "job_not_found"


def test_a_video(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    chain_id = api.start(hls_path="/v/1.m3u8", duration=12.5)
    assert api.get(f"/media/videos/{chain_id}/").json()["status"] == "PROCESSING"
    api.gate.set()
    api.reaches(chain_id, "SUCCESS")
    assert api.get(f"/media/videos/{chain_id}/").json() == {
        "video_id": chain_id,
        "status": "READY",
        "progress": 100,
        "hls_path": "/v/1.m3u8",
        "duration": 12.5,
        "error_reason": None,
    }
    client, keys = api.application.board.clients.get(), api.application.board.keys
    client.set(keys.video_progress("17"), "63")
    assert api.get("/media/videos/17/").json()["progress"] == 63
    final = json.dumps({"status": "READY", "hls_path": "/h", "duration": 3})
    client.set(keys.video_status("17"), final, ex=3600)
    ready = api.get("/media/videos/17/").json()
    assert (ready["status"], ready["hls_path"], ready["duration"], ready["progress"]) == (
        "READY",
        "/h",
        3,
        100,
    )
    assert error_of(api.get("/media/videos/18/"))["code"] == "video_not_found"


@pytest.mark.parametrize("fails", [False, True])
def test_the_keys_of_a_workflow_say_what_its_chain_says(api: Api, work: Work, fails: bool) -> None:
    job = {"progress_key": "job:{chain_id}:progress", "status_key": "job:{chain_id}:status"}
    video = {"progress_key": "job:video:{chain_id}:progress", "status_key": "video:{chain_id}:status"}
    api.play("job", **job)
    api.play("video", **video, status_format=VIDEO_STATUS)
    work(api.application)
    seen: dict[str, Any] = {}
    for name, address in (("job", "/api/v1/jobs"), ("video", "/media/videos")):
        chain_id = api.start(name, fail=fails, hls_path="/v", duration=2.5)
        place = f"{address}/{chain_id}/"
        wait_until(lambda place=place: api.get(place).json()["progress"] == 37)
        assert api.get(place).json()["status"] == "PROCESSING"
        seen[chain_id] = place
    api.gate.set()
    for chain_id, place in seen.items():
        api.reaches(chain_id, "FAILURE" if fails else "SUCCESS")
        client, keys = api.application.board.clients.get(), api.application.board.keys
        by_keys = api.get(place).json()
        client.delete(*keys_of_readers(keys, chain_id))
        assert api.get(place).json() == by_keys
        forget(api, chain_id)
        assert api.get(place).json() == {**by_keys, "progress": api.get(place).json()["progress"]}
        assert by_keys["status"] == ("FAILED" if fails else "READY" if "video" in place else "DONE")


def keys_of_readers(keys: Keys, chain_id: str) -> list[str]:
    found = [keys.job_progress, keys.job_status, keys.video_progress, keys.video_status]
    return [key(chain_id) for key in found]


def test_batches(api: Api) -> None:
    assert api.get("/pipeline/batch?limit=10").json()["data"] == []
    assert error_of(api.get("/pipeline/batch/none"))["code"] == "batch_not_found"
    with session(api.application.database) as database:
        BatchExecution.insert(
            batch_id="b1",
            status="STARTED",
            total_images=100,
            completed_images=45,
            failed_images=2,
            started_at=datetime(2025, 1, 15, 10, 30),
        ).execute(database)
    body: dict[str, Any] = api.get("/pipeline/batch/b1").json()
    assert body["success"] is True
    assert body["data"]["progress_percentage"] == 47.0
    assert body["data"]["started_at"] == "2025-01-15T10:30:00"
    assert body["data"]["estimated_time_remaining"] > 0
    assert [one["batch_id"] for one in api.get("/pipeline/batch?limit=10").json()["data"]] == ["b1"]


def test_a_batch_is_counted_on_the_board(api: Api) -> None:
    application = api.application
    facts = BatchFacts("b", "play", 10, 5, 1, "default", 1.0, 1_700_000_000.0)
    create(application.database, "b1", facts, {}, [(f"{number}.png", None) for number in range(10)])
    assert api.get("/pipeline/batch/b1").json()["data"]["completed_images"] == 0
    post(application, "b1", facts)
    application.batches.mark("b1", "S", [range(3)])
    application.batches.mark("b1", "f", [range(5, 7)])
    for body in (api.get("/pipeline/batch/b1").json()["data"], api.get("/pipeline/batch").json()["data"][0]):
        counted = (body["status"], body["completed_images"], body["failed_images"])
        assert (*counted, body["progress_percentage"]) == ("STARTED", 3, 2, 50.0)


def test_workflows_health_ready_metrics(api: Api, work: Work) -> None:
    api.play(title="연극", accepts={"type": "object"})
    found = api.get("/workflows").json()["data"]
    assert [workflow["name"] for workflow in found] == ["play"]
    assert found[0]["accepts"] == {"type": "object"}
    assert [stage["name"] for stage in found[0]["stages"]] == ["play 1", "play 2", "play 3", "play 4"]
    assert api.get("/health").json() == {"status": "ok"}
    assert set(api.get("/ready").json()["dependencies"]) == {"redis", "database"}

    work(api.application)
    api.gate.set()
    api.reaches(api.start(), "SUCCESS")
    recorded(api.application)
    metrics = api.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = metrics.text.splitlines()
    assert 'callboard_chains{workflow="play",status="SUCCESS"} 1' in lines
    assert 'callboard_stage_tasks{actor="play.stage_4",status="SUCCESS"} 1' in lines
    assert any(line.startswith('callboard_chain_duration_seconds_mean{workflow="play"}') for line in lines)
    assert any(line.startswith("callboard_queue_messages{") for line in lines)
    assert "callboard_recorder_events 0" in lines
    assert "callboard_open_sockets 0" in lines
    assert 'callboard_up{dependency="database"} 1' in lines


def test_metrics_of_what_waits(api: Api) -> None:
    api.play()
    api.start()
    assert 'callboard_queue_messages{queue="default",kind="ready"} 1' in api.get("/metrics").text.splitlines()


def test_history_pages_and_filters(api: Api) -> None:
    rows = [
        {
            "chain_id": f"c{number:03}",
            "chain_name": "even" if number % 2 == 0 else "odd",
            "status": "FAILURE" if number % 10 == 0 else "SUCCESS",
            "total_tasks": 4,
            "completed_tasks": 4,
            "created_at": datetime(2025, 1, 1, 0, number // 2),
            "started_at": datetime(2025, 1, 1, 0, number // 2, 5),
            "batch_id": "b1" if number < 5 else None,
            "error_message": f"Task x failed: 100% of {number}" if number % 10 == 0 else None,
        }
        for number in range(60)
    ]
    with session(api.application.database) as database:
        ChainExecution.insert_many(rows).execute(database)
    newest = [f"c{number:03}" for number in range(59, -1, -1)]

    answer = api.get("/pipeline/history?limit=100&offset=0")
    body = answer.json()
    assert [chain["chain_id"] for chain in body] == newest
    assert list(body[0]) == [
        "chain_id",
        "chain_name",
        "status",
        "completed_tasks",
        "total_tasks",
        "started_at",
        "finished_at",
    ]
    assert body[0]["started_at"] == "2025-01-01T00:29:05"
    assert "X-Next-Cursor" not in answer.headers

    def ids(query: str) -> list[str]:
        return [chain["chain_id"] for chain in api.get(f"/pipeline/history?{query}").json()]

    assert ids("limit=7&offset=50") == newest[50:57]
    assert ids("status=FAILURE") == ["c050", "c040", "c030", "c020", "c010", "c000"]
    assert ids("status=FAILURE&limit=2&offset=3") == ["c020", "c010"]
    assert ids("workflow=odd&limit=3") == ["c059", "c057", "c055"]
    assert ids("batch=b1") == ["c004", "c003", "c002", "c001", "c000"]
    assert ids("since=2025-01-01T00:28:00&until=2025-01-01T00:29:00Z") == ["c057", "c056"]
    assert ids("since=2025-01-01T09:29:00%2B09:00") == ["c059", "c058"]
    assert ids("error=100%25%20OF%202") == ["c020"]
    assert ids("error=_") == []

    seen, path = [], "/pipeline/history?limit=7&workflow=even"
    while path:
        answer = api.get(path)
        seen += [chain["chain_id"] for chain in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
        assert bool(path) == ("X-Next-Cursor" in answer.headers)
    assert seen == [chain_id for chain_id in newest if int(chain_id[1:]) % 2 == 0]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=many",
        "limit=1001",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "limit=",
        "offset=-1",
        "status=GONE",
        "since=soon",
        "cursor=x",
        "workflow=%00",
        "colour=red",
    ],
)
def test_history_refuses_by_name(api: Api, query: str) -> None:
    refused = api.get(f"/pipeline/history?{query}")
    assert refused.status_code == 422
    assert query.partition("=")[0] in error_of(refused)["detail"]


def test_half_a_surrogate_pair_on_its_way_through(api: Api, work: Work) -> None:
    api.play()
    work(api.application)
    api.gate.set()
    body = b'{"workflow": "play", "input": {"name": "\\udcff", "fail": false}}'
    answer = api.post("/pipeline", data=body, headers={"Content-Type": "application/json"})
    chain_id = answer.json()["chain_id"]
    api.reaches(chain_id, "SUCCESS")
    assert api.get(f"/api/v1/jobs/{chain_id}/").json()["result"]["name"] == "\udcff"
    forget(api, chain_id)
    assert api.get(f"/api/v1/jobs/{chain_id}/").json()["status"] == "DONE"
