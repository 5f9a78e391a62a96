"""A workflow whose extra is missing: listed as such, refused at start, and failing at once in a worker."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from api_server import error_of, serving
from chains import ended

from actors import starter
from actors.application import Application
from actors.availability import shortages
from actors.batches.start import start_batch_pipeline
from actors.control import resume
from actors.workflow import Workflow, stage
from callboard.client import Client
from callboard.doctor import examine
from callboard.errors import ExtraMissing, WorkflowError
from db.workers import WorkerFacts, Workers

INSTALL = "pip install 'callboard[ai]'"
#: A module that is not installed anywhere.
ABSENT = "callboard_absent_module"


@pytest.fixture
def application(build_application: Callable[..., Application]) -> Application:
    return build_application()


def declare(name: str = "needy", needs: tuple[str, ...] = (ABSENT,), **options: Any) -> Workflow:
    first = stage(actor_name=f"{name}.first", queue_name="heavy", **options)(lambda document: document)
    return Workflow(name, [first], needs=needs, extra="ai")


def at_work(
    application: Application, name: str, *, queues: tuple[str, ...] = ("heavy",), **lacks: Any
) -> None:
    """A worker of another machine, known to be alive."""
    facts = WorkerFacts("", name, 1, list(queues), 4, time.time(), lacks)
    Workers(application.board.clients, application.board.keys).register(f"{name}:1:x", facts, 60)


def test_without_a_worker_this_process_answers(application: Application) -> None:
    declare("whole", needs=("json",))
    needy = declare()
    assert list(shortages(application)) == ["needy"]
    with pytest.raises(
        ExtraMissing, match="needy cannot run here without callboard_absent_module: pip"
    ) as told:
        needy.start({}, chain_id="refused")
    assert (told.value.install, told.value.missing) == (INSTALL, [ABSENT])
    with pytest.raises(ExtraMissing):
        needy.start_many([{}])
    with pytest.raises(ExtraMissing):
        start_batch_pipeline("october", [__file__], workflow="needy", application=application)
    assert application.status.find("refused") is None


def test_a_worker_that_has_it_is_enough(application: Application) -> None:
    """An API is deployed without the heavy packages, and one of two workers too."""
    needy = declare()
    at_work(application, "light", needy=[ABSENT])
    at_work(application, "elsewhere", queues=("default",))
    with pytest.raises(ExtraMissing, match="no worker on its queues has callboard_absent_module") as told:
        needy.start({})
    assert INSTALL in str(told.value)
    at_work(application, "heavy")
    assert shortages(application) == {}
    assert needy.start({}, chain_id="accepted") == "accepted"


def test_workers_without_it_count_more_than_this_process(application: Application) -> None:
    whole = declare("whole", needs=("json",))
    at_work(application, "light", whole=["json"])
    with pytest.raises(ExtraMissing, match="no worker on its queues has json"):
        whole.start({})


def test_a_worker_tells_what_it_lacks(application: Application, work: Callable[..., Any]) -> None:
    declare()
    declare("whole", needs=("json",))
    work(application)
    (known,) = Workers(application.board.clients, application.board.keys).known()
    assert known.facts.unavailable == {"needy": [ABSENT]}


def test_a_worker_of_an_older_version_counts_as_able() -> None:
    told = {"broker": "", "host": "h", "pid": 1, "queues": ["heavy"], "threads": 4, "started": 0.0}
    assert WorkerFacts.from_json(json.dumps(told)).unavailable == {}


def test_a_stage_fails_at_once_and_is_not_tried_again(
    application: Application, work: Callable[..., Any]
) -> None:
    ran = []
    first = stage(actor_name="first", queue_name="heavy", max_retries=3)(ran.append)
    needy = Workflow("needy", [first], needs=(ABSENT,), extra="ai")
    at_work(application, "heavy")
    chain_id = needy.start({})
    work(application)
    chain = ended(application, chain_id)
    assert (chain.status, ran) == ("FAILURE", [])
    assert f"needy cannot run here without {ABSENT}: {INSTALL}" in str(chain.error)
    (entry,) = application.status.get_pipeline_status(chain_id) or []
    assert entry["metadata"].get("retries", 0) == 0


def test_a_shared_actor_needs_what_all_its_workflows_need(
    application: Application, work: Callable[..., Any]
) -> None:
    shared = stage(name="Shared", actor_name="shared")(lambda document: document)
    own = stage(name="Own", actor_name="own")(lambda document: document)
    plain = Workflow("plain", [shared])
    Workflow("needy", [shared, own], needs=(ABSENT,), extra="ai")
    work(application)
    assert ended(application, plain.start({})).status == "SUCCESS"
    with pytest.raises(ExtraMissing):
        own({})


def test_once_it_is_installed_the_chain_goes_on(
    application: Application, work: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    needy = declare()
    at_work(application, "heavy")
    chain_id = needy.start({"page": 1})
    worker = work(application)
    assert ended(application, chain_id).status == "FAILURE"
    Workers(application.board.clients, application.board.keys).bury("heavy:1:x")
    with pytest.raises(ExtraMissing):
        resume(chain_id, application=application)
    worker.stop()
    monkeypatch.setitem(sys.modules, ABSENT, json)
    work(application)
    resume(chain_id, application=application)
    assert ended(application, chain_id).final_result == {"page": 1}


def test_over_http(application: Application) -> None:
    declare()
    with serving(application) as api:
        (listed,) = api.get("/workflows").json()["data"]
        assert (listed["available"], listed["missing"], listed["install"]) == (False, [ABSENT], INSTALL)
        answer = api.post("/pipeline", json={"workflow": "needy"})
        body = error_of(answer)
        assert (answer.status_code, body["code"]) == (503, "workflow_unavailable")
        assert body["data"] == {"missing": [ABSENT], "install": INSTALL}
        assert INSTALL in body["detail"]
        at_work(application, "heavy")
        assert api.get("/workflows").json()["data"][0]["available"] is True
        assert api.post("/pipeline", json={"workflow": "needy"}).status_code == 202


def test_who_started_it_by_the_light_client_is_told(
    application: Application, work: Callable[..., Any], redis_url: str
) -> None:
    starter.declare(application.broker)
    declare()
    work(application)
    client = Client(redis_url)
    (message,) = client.follow(client.start("needy", {}), timeout=60)
    client.close()
    assert message["state"] == "FAILED"
    assert INSTALL in message["log"]


def test_doctor(application: Application) -> None:
    declare("whole", needs=("json",))
    declare()
    told = [(found.level, found.text) for found in examine(application) if found.subject == "workflows"]
    assert told == [("ok", "whole"), ("warning", f"needy cannot run here without {ABSENT}: {INSTALL}")]


def test_needs_that_are_no_list(application: Application) -> None:
    first = stage(actor_name="first")(print)
    with pytest.raises(WorkflowError, match="needs: read 'cv2', expected a list of module names"):
        Workflow("one", [first], needs="cv2")
    with pytest.raises(WorkflowError, match=r"needs: read \(\), expected a list"):
        Workflow("two", [first], extra="ai")
