"""The status array from the ledger, in the shape of DESIGN.md 4."""

from __future__ import annotations

import json
from typing import Any

from ledger_stories import CREATED, PLAN, chain_fields, event, story

from db.crud import chain_execution_crud, task_log_crud
from db.ledger import Ledger, NewChain

KEYS = [
    "chain_id",
    "stage",
    "status",
    "progress",
    "created_at",
    "updated_at",
    "metadata",
    "process_status",
]


def array_of(ledger: Ledger, chain_id: str = "c1") -> list[dict[str, Any]]:
    array = ledger.status_array(chain_id)
    assert array is not None
    return array


def test_byte_for_byte_in_the_middle_of_a_chain(ledger: Ledger) -> None:
    ledger.create_chains([NewChain("c1", "w", 4, PLAN)])
    ledger.record(story("c1")[:9])  # stage 1 done, stage 2 runs after a failure and a resume
    array = array_of(ledger)
    assert json.dumps(array[1]) == (
        f'{{"chain_id": "c1", "stage": 2, "status": "PENDING", "progress": 50, "created_at": {CREATED}, '
        f'"updated_at": {CREATED + 2}, "metadata": {{"stage_name": "llm", "substep": "half", "pages": 3}}, '
        '"process_status": "RUNNING"}'
    )
    assert [list(entry) for entry in array] == [KEYS] * 4
    assert [entry["stage"] for entry in array] == [1, 2, 3, 4]
    assert [entry["status"] for entry in array] == ["SUCCESS", "PENDING", "PENDING", "PENDING"]
    assert [entry["process_status"] for entry in array] == ["SUCCESS", "RUNNING", "PENDING", "PENDING"]
    assert [entry["progress"] for entry in array] == [100, 50, 0, 0]
    assert array[0]["metadata"] == {"stage_name": "ocr", "substep": "half", "execution_time": 0.5}
    assert array[3]["metadata"] == {"stage_name": "excel"}
    assert array[3]["updated_at"] == CREATED


def test_a_failed_chain(ledger: Ledger) -> None:
    ledger.create_chains([NewChain("c1", "w", 4, PLAN)])
    ledger.record(story("c1")[:6])
    array = array_of(ledger)
    assert [entry["status"] for entry in array] == ["SUCCESS", "FAILURE", "PENDING", "PENDING"]
    assert array[1]["progress"] >= 1
    assert array[1]["metadata"]["execution_time"] == 7.0
    assert array[1]["updated_at"] == CREATED + 9


def test_a_started_stage_shows_progress(ledger: Ledger) -> None:
    ledger.create_chains([NewChain("c1", "w", 4, PLAN)])
    ledger.record(story("c1")[:1])
    assert (array_of(ledger)[0]["progress"], array_of(ledger)[0]["process_status"]) == (1, "STARTED")


def parallel_chain(ledger: Ledger, policy: str, statuses: list[str]) -> dict[str, Any]:
    """The entry of a parallel stage whose members have these statuses; PENDING ones have no row."""
    tasks = [
        {"name": f"m{number}", "task_id": f"t{number}", "task_name": "a", "queue_name": "q"}
        for number in range(1, len(statuses) + 1)
    ]
    chain_id = f"{policy}-{'-'.join(statuses)}"
    plan = [{"stage_name": "side by side", "parallel": True, "policy": policy, "tasks": tasks}]
    ledger.create_chains([NewChain(chain_id, "w", len(tasks), plan)])
    events = [
        event(
            {
                **chain_fields(chain_id, number),
                "task": f"{chain_id}-{number}",
                "actor": "a",
                "stage": 1,
                "member": number,
                "task_status": status,
                "task_started": CREATED + number,
                "task_finished": CREATED + 10 if status in ("SUCCESS", "FAILURE") else "",
                "progress": 25,
                "metadata": f'{{"from":{number}}}',
            }
        )
        for number, status in enumerate(statuses, start=1)
        if status != "PENDING"
    ]
    if events:
        ledger.record(events)
    (entry,) = array_of(ledger, chain_id)
    return entry


def test_parallel_members_are_one_entry(ledger: Ledger) -> None:
    entry = parallel_chain(ledger, "fail", ["SUCCESS", "RUNNING", "PENDING"])
    assert (entry["status"], entry["process_status"]) == ("PENDING", "RUNNING")
    assert entry["progress"] == (100 + 25 + 0) // 3
    assert entry["metadata"] == {
        "stage_name": "side by side",
        "from": 2,
        "members": [
            {"name": "m1", "process_status": "SUCCESS", "progress": 100},
            {"name": "m2", "process_status": "RUNNING", "progress": 25},
            {"name": "m3", "process_status": "PENDING", "progress": 0},
        ],
    }

    def status(policy: str, *statuses: str) -> str:
        return str(parallel_chain(ledger, policy, list(statuses))["process_status"])

    assert status("fail", "PENDING", "PENDING") == "PENDING"
    assert status("fail", "STARTED", "PENDING") == "STARTED"
    assert status("fail", "RETRY", "PENDING") == "RETRY"
    assert status("fail", "SUCCESS", "SUCCESS") == "SUCCESS"
    assert status("fail", "SUCCESS", "FAILURE") == "FAILURE"
    assert status("continue", "SUCCESS", "FAILURE") == "SUCCESS"
    assert status("continue", "FAILURE", "FAILURE") == "FAILURE"
    assert status("continue", "FAILURE", "PENDING") == "RUNNING"
    assert status("fail", "SUCCESS", "REVOKED") == "REVOKED"


def test_rows_of_the_past_have_no_plan(ledger: Ledger) -> None:
    assert ledger.status_array("c1") is None
    chain = chain_execution_crud.create_chain_execution(ledger.database, chain_id="c1", chain_name="w")
    assert ledger.status_array("c1") == []
    for task_id, status in (("t1", "SUCCESS"), ("t2", "FAILURE")):
        task_log_crud.create_task_log(
            ledger.database, task_id=task_id, task_name=task_id, status=status, chain_execution_id=chain.id
        )
    array = array_of(ledger)
    assert [(entry["stage"], entry["status"]) for entry in array] == [(1, "SUCCESS"), (2, "FAILURE")]
    assert [entry["metadata"] for entry in array] == [{"stage_name": "t1"}, {"stage_name": "t2"}]
