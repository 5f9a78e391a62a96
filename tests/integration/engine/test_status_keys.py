"""The keys by which readers of existing systems see a chain say what the board says, at every moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from chains import ended, recorded
from dramatiq import Worker
from servers import RedisServer

from actors.application import Application
from actors.control import resume, revoke
from actors.progress import progress
from actors.workflow import Workflow, parallel, stage
from callboard.client import Client
from callboard.errors import WorkflowError
from db.board import Board
from db.chains import Place, StagePlan
from db.keys import Keys
from db.status_keys import VIDEO_STATUS, StatusFormat, StatusKeys

Work = Callable[..., Worker]
Build = Callable[..., Application]

PROGRESS, STATUS = "job:video:{chain_id}:progress", "video:{chain_id}:status"


class Video:
    """A workflow of two stages that waits at 50 % of its first one, and does what its input says."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.entered, self.gate = threading.Event(), threading.Event()
        self.broken = True

        @stage(name="인코딩", max_retries=0)
        def encode(document: dict[str, Any]) -> dict[str, Any]:
            progress(50)
            self.entered.set()
            while not self.gate.wait(0.01):
                pass
            return document

        @stage(name="Package", max_retries=0)
        def package(document: dict[str, Any]) -> Any:
            if document.get("fail") and self.broken:
                raise ValueError("no such codec")
            return document["result"]

        self.workflow = Workflow(
            "video",
            [encode, package],
            progress_key=PROGRESS,
            status_key=STATUS,
            status_format=VIDEO_STATUS,
        )

    def read(self, chain_id: str, template: str) -> tuple[dict[str, Any] | None, int]:
        """A key's content and its remaining seconds."""
        client, key = self.application.board.clients.get(), template.replace("{chain_id}", chain_id)
        text: Any = client.get(key)
        return (json.loads(text) if text else None), int(client.ttl(key))

    def progress(self, chain_id: str) -> dict[str, Any]:
        found, seconds = self.read(chain_id, PROGRESS)
        assert found is not None
        assert 3590 < seconds <= 3600
        return found

    def status(self, chain_id: str) -> dict[str, Any] | None:
        found, seconds = self.read(chain_id, STATUS)
        assert found is None or 3590 < seconds <= 3600
        return found


@pytest.fixture
def video(build_application: Build) -> Video:
    return Video(build_application())


RESULT = {"hls_path": "/v/1.m3u8", "duration": 12.5, "large": 12345678901234567890, "none": [], "status": "x"}


def test_from_start_to_end(video: Video, work: Work) -> None:
    chain_id = video.workflow.start({"result": RESULT}, chain_id="17")
    waiting = video.progress("17")
    assert waiting == {
        "progress": 0,
        "status": "PROCESSING",
        "step": "인코딩",
        "updated_at": waiting["updated_at"],
    }
    work(video.application)
    assert video.entered.wait(60)
    half = video.progress("17")
    assert (half["progress"], half["status"], half["step"]) == (25, "PROCESSING", "인코딩")
    assert half["updated_at"] > waiting["updated_at"]
    assert video.status("17") is None
    video.gate.set()
    ended(video.application, chain_id)
    # As it was returned: no number rounded, no list made an object, and the word is the board's.
    assert video.status("17") == {**RESULT, "status": "READY"}
    done = video.progress("17")
    assert (done["progress"], done["status"], done["step"]) == (100, "READY", "Package")


def test_a_failure_and_a_resume(video: Video, work: Work) -> None:
    chain_id = video.workflow.start({"fail": True, "result": {}})
    video.gate.set()
    work(video.application)
    chain = ended(video.application, chain_id)
    assert video.status(chain_id) == {"status": "FAILED", "error_reason": chain.error}
    assert chain.error.endswith("no such codec")
    assert video.progress(chain_id)["status"] == "FAILED"
    assert video.progress(chain_id)["progress"] == 50
    video.broken = False
    video.gate.clear()
    video.entered.clear()
    resume(chain_id, from_stage=1, application=video.application)
    assert video.entered.wait(60)
    assert video.status(chain_id) is None
    assert video.progress(chain_id)["status"] == "PROCESSING"
    video.gate.set()
    ended(video.application, chain_id)
    assert video.status(chain_id) == {"status": "READY"}


def test_a_resumed_chain_that_waits_has_no_status_key(video: Video) -> None:
    chain_id = video.workflow.start({"result": {}})
    revoke(chain_id, "not wanted", application=video.application)
    assert video.status(chain_id) == {"status": "FAILED", "error_reason": "not wanted"}
    assert video.progress(chain_id)["status"] == "FAILED"
    resume(chain_id, application=video.application)
    assert video.status(chain_id) is None
    assert video.progress(chain_id)["status"] == "PROCESSING"


@pytest.mark.parametrize("end", ["open", "SUCCESS", "FAILURE"])
def test_they_come_back_with_a_chain_that_redis_has_forgotten(video: Video, work: Work, end: str) -> None:
    application = video.application
    chain_id = video.workflow.start({"fail": end == "FAILURE", "result": RESULT})
    if end != "open":
        video.gate.set()
        work(application)
        assert ended(application, chain_id).status == end
        recorded(application)
    before = video.status(chain_id), video.progress(chain_id)
    application.board.clients.get().flushdb()
    assert application.status.restore(chain_id)
    assert video.status(chain_id) == before[0]
    after = video.progress(chain_id)
    assert {**after, "updated_at": 0} == {**before[1], "updated_at": 0}


def test_a_chain_that_the_light_client_starts(video: Video, work: Work, redis_url: str) -> None:
    from actors import starter  # noqa: PLC0415

    starter.declare(video.application.broker)
    client = Client(redis_url)
    chain_id = client.start("video", {"result": {"hls_path": "/v"}})
    work(video.application)
    assert video.entered.wait(60)
    assert video.progress(chain_id)["progress"] == 25
    video.gate.set()
    assert [message["state"] for message in client.follow(chain_id, timeout=60)][-1] == "END"
    assert video.status(chain_id) == {"hls_path": "/v", "status": "READY"}
    client.close()


def test_members_and_a_format_of_ones_own(build_application: Build, work: Work) -> None:
    application = build_application()

    @stage(name="a")
    def first(document: Any) -> Any:
        return [1]

    @stage(name="b")
    def second(document: Any) -> Any:
        return {"n": 2}

    said = StatusFormat(succeeded="GOOD", result="outcome")
    workflow = Workflow("own", [parallel(first, second)], status_key="own:{chain_id}", status_format=said)
    chain_id = workflow.start(1)
    work(application)
    ended(application, chain_id)
    text: Any = application.board.clients.get().get(f"own:{chain_id}")
    assert json.loads(text) == {"status": "GOOD", "outcome": [[1], {"n": 2}]}


def test_a_result_that_is_no_object_stands_beside_nothing(video: Video, work: Work) -> None:
    video.gate.set()
    work(video.application)
    for result in ({}, [1], "text", None):
        chain_id = video.workflow.start({"result": result})
        ended(video.application, chain_id)
        assert video.status(chain_id) == {"status": "READY"}


@pytest.mark.parametrize(
    ("templates", "reason"),
    [
        ({"progress_key": "job:progress"}, "progress_key: read 'job:progress', expected a key with a colon"),
        ({"status_key": "{chain_id}"}, "status_key: read '{chain_id}', expected a key with a colon before"),
        ({"status_key": "{chain_id}:status"}, "with a colon before"),
        ({"status_key": "v:{video_id}:{chain_id}"}, "nothing else in braces"),
        ({"status_key": "v: {chain_id}"}, "such as 'job:{chain_id}:progress'"),
        ({"progress_key": "callboard:chain:{chain_id}"}, "that does not begin with 'callboard:'"),
        ({"progress_key": "a:{chain_id}", "status_key": "a:{chain_id}"}, "are the same"),
        ({"progress_key": 7}, "progress_key: read 7"),
    ],
)
def test_a_template_that_cannot_be_used(build_application: Build, templates: Any, reason: str) -> None:
    build_application()
    actor = stage(actor_name="any")(print)
    with pytest.raises(WorkflowError) as caught:
        Workflow("refused", [actor], **templates)
    assert reason in str(caught.value)


def test_they_cost_no_round_trip(private_redis: RedisServer, build_application: Build) -> None:
    application = build_application(REDIS_URL=private_redis.url)
    keys = StatusKeys(PROGRESS, STATUS, VIDEO_STATUS).of("told")
    commands = [_sent(application.board, chain_id, told) for chain_id, told in (("c", {}), ("told", keys))]
    assert commands[0] == commands[1]
    assert len(commands[0]) == 4
    assert application.board.clients.get().exists("video:told:status") == 1


def _sent(board: Board, chain_id: str, keys: dict[str, Any]) -> list[str]:
    """The commands that a chain of one stage with one report sends to Redis, by name and script."""
    place = Place(chain_id, 1, 0, "task")
    plan = StagePlan("only", [{"name": "only", "task_id": "task", "task_name": "a", "queue_name": "q"}])

    def play() -> None:
        board.apply(board.post(chain_id, "w", [plan], keys=keys))
        begun = board.begin(place, actor="a", worker="w", retries=0)
        assert board.progress(place, begun.token, 50, "{}", None)
        assert board.apply(board.finish(place, begun.token, "{}", "1"))[0] == b"recorded"

    client = board.clients.get()
    play()  # the server knows the scripts from now on
    client.flushdb()
    seen: list[str] = []
    with client.monitor() as monitor:
        play()
        client.echo("end")
        for event in monitor.listen():
            if event["command"].startswith("ECHO"):
                return seen
            if event["client_type"] != "lua":
                seen.append(" ".join(event["command"].split()[:2]))
    raise AssertionError("the monitor ended")


def test_keys_are_those_of_the_documents() -> None:
    told = StatusKeys(PROGRESS, STATUS, VIDEO_STATUS).of("17")
    assert (told["progress"], told["status"]) == (Keys.video_progress("17"), Keys.video_status("17"))
    told = StatusKeys("job:{chain_id}:progress", "job:{chain_id}:status").of("17")
    assert (told["progress"], told["status"]) == (Keys.job_progress("17"), Keys.job_status("17"))
