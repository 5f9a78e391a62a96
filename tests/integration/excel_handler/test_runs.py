"""excel_workflow from end to end: records, the report opened again, HTTP, resuming, revoking."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import websockets.sync.client
from api_server import PNG, error_of, serving
from chains import ended
from dramatiq import Worker
from shipped import SAMPLES, declare, final_result, local, run
from waiting import wait_until

from actors import control
from actors.application import Application
from actors.batches import chunks
from actors.batches.start import start_batch_pipeline
from actors.batches.status import batch_status
from actors.workflow import Workflow
from samples.orders import COLUMNS, HEADINGS, orders, write_workbook

Work = Callable[..., Worker]
SAMPLE = f"{SAMPLES}/orders_with_errors.xlsx"


@pytest.fixture
def application(build_application: Any) -> Application:
    return build_application()  # type: ignore[no-any-return]


@pytest.fixture
def workflow(application: Application) -> Workflow:
    return declare(application, "actors.excel_handler", "excel_workflow")


def check_outputs(result: dict[str, Any], mistakes: dict[int, set[int]], count: int) -> None:
    """Records and report against what is known of a generated workbook."""
    assert (result["rows"], result["bad"]) == (count, len(mistakes))
    assert result["errors"] == sum(map(len, mistakes.values()))
    records = [json.loads(line) for line in local(result["records_url"]).read_text("utf-8").splitlines()]
    assert [record["row"] for record in records] == [
        row for row in range(2, count + 2) if row not in mistakes
    ]
    assert all(isinstance(record["quantity"], int) and len(record["ordered"]) == 10 for record in records)

    book = openpyxl.load_workbook(local(result["report_url"]))
    assert book.sheetnames == ["Rows", "Errors", "Summary"]
    rows = list(book["Rows"].iter_rows())
    assert [cell.value for cell in rows[0]] == ["Row", *HEADINGS, "Problems"]
    marked = {
        row[0].value: {
            place - 1
            for place, cell in enumerate(row)
            if cell.fill.start_color.rgb == "FFFFC7CE" and cell.comment
        }
        for row in rows[1:]
    }
    assert marked == mistakes
    listed = list(book["Errors"].iter_rows(min_row=2, values_only=True))
    assert {(row[0], ord(row[1]) - 65) for row in listed} == {
        (number, place) for number, places in mistakes.items() for place in places
    }


def test_the_sample(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    mistakes = write_workbook(tmp_path / "same.xlsx", orders(400))
    work(workflow.application)
    chain_id, result = run(workflow, {"file_path": SAMPLE, "options": {"columns": COLUMNS}})
    check_outputs(result, mistakes, 400)
    assert result["inferred"] is False
    assert result["download_url"] == f"/pipeline/{chain_id}/files/report.xlsx"


def test_without_a_schema_the_columns_are_told_from_the_rows(workflow: Workflow, work: Work) -> None:
    work(workflow.application)
    _, result = run(workflow, {"file_path": SAMPLE})
    assert result["inferred"] is True
    assert {column["name"]: column["type"] for column in result["columns"]}["전화번호"] == "phone"
    assert 0 < result["bad"] < 60
    assert result["good"] + result["bad"] == 400


def test_many_rows_with_progress_in_between(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    mistakes = write_workbook(tmp_path / "many.xlsx", orders(6000))
    application = workflow.application
    document = {"file_path": str(tmp_path / "many.xlsx"), "options": {"columns": COLUMNS}}
    chain_id = workflow.start(document)
    work(application)
    ended(application, chain_id, 60)
    # Not looked for now and then: what was told is kept.
    told: Any = application.board.clients.get().xrange(application.board.keys.messages(chain_id))
    messages = [json.loads(fields[b"message"]) for _, fields in told]
    assert len({message["progress"] for message in messages if message["state"] == "행 검증"}) > 5
    check_outputs(final_result(application, chain_id), mistakes, 6000)


def test_cells_below_no_heading_are_told_of(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    """As below a title, which takes the place of the headings."""
    book = openpyxl.Workbook()
    for row in (["주문 목록"], ["번호", "수량"], [1, 2], [3, 4]):
        book.active.append(row)
    book.active.merge_cells("A1:B1")
    book.save(tmp_path / "titled.xlsx")
    work(workflow.application)
    _, result = run(workflow, {"file_path": str(tmp_path / "titled.xlsx")})
    assert result["warnings"] == [
        "3 rows have cells below no heading, which are left out: are the headings in row 1? "
        "options.header_row names another"
    ]
    _, result = run(workflow, {"file_path": str(tmp_path / "titled.xlsx"), "options": {"header_row": 2}})
    assert (result["warnings"], result["good"]) == ([], 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sheet": "없음"}, "options.sheet: read '없음', the workbook has '주문', '안내'"),
        ({"columns": [{"name": "나이", "required": True}]}, "the sheet has no column '나이'"),
        ({"columns": [{"name": "수량", "type": "float"}]}, "options.columns[0].type: 'float' is not one of"),
        ({"header_row": 999}, "options.header_row: row 999 is empty"),
        ({"colour": 1}, "'colour' was unexpected"),
    ],
)
def test_options_that_do_not_fit(workflow: Workflow, work: Work, options: dict[str, Any], said: str) -> None:
    work(workflow.application)
    chain_id = workflow.start({"file_path": SAMPLE, "options": options})
    assert ended(workflow.application, chain_id, 60).status == "FAILURE"
    live = workflow.application.board.chain(chain_id)
    assert live is not None
    assert said in live.state["error"]


def test_by_http(workflow: Workflow, work: Work) -> None:
    application = workflow.application
    work(application)
    with serving(application) as api:
        form = {"workflow": "excel_workflow", "input": json.dumps({"options": {"columns": COLUMNS}})}
        for content, said in ((PNG, "takes Excel (.xlsx), the file is PNG"), (b"a,b\n1,2\n", "text or CSV")):
            refused = api.post("/pipeline", data=form, files={"file": ("a.xlsx", content)})
            assert (refused.status_code, error_of(refused)["code"]) == (422, "file_refused")
            assert said in error_of(refused)["detail"]
        answer = api.post("/pipeline", data=form, files={"file": ("주문.xlsx", Path(SAMPLE).read_bytes())})
        assert answer.status_code == 202, answer.text
        chain_id = answer.json()["chain_id"]
        with websockets.sync.client.connect(f"ws://127.0.0.1:{api.port}/ws/{chain_id}") as socket:
            state = None
            while state not in ("END", "FAILED"):
                state = json.loads(socket.recv(timeout=30)).get("state")
        assert state == "END"
        job = api.get(f"/api/v1/jobs/{chain_id}/").json()
        assert (job["status"], job["result"]["rows"]) == ("DONE", 400)
        report = api.get(job["result"]["download_url"])
        assert "spreadsheetml" in report.headers["Content-Type"]
        assert 'filename="report.xlsx"' in report.headers["Content-Disposition"]
        assert openpyxl.load_workbook(io.BytesIO(report.content)).sheetnames[0] == "Rows"
        records = api.get(job["result"]["records_download_url"])
        assert len(records.content.splitlines()) == job["result"]["good"]
        damaged = api.post(
            "/pipeline", data=form, files={"file": ("a.xlsx", Path(SAMPLE).read_bytes()[:9000])}
        )
        failed = damaged.json()["chain_id"]
        api.reaches(failed, "FAILURE")
        job = api.get(f"/api/v1/jobs/{failed}/").json()
        assert job["status"] == "FAILED"
        assert "no Excel workbook (.xlsx)" in job["error_message"]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_resumed_from_any_stage(workflow: Workflow, work: Work, stage: int) -> None:
    work(workflow.application)
    chain_id, first = run(workflow, {"file_path": SAMPLE, "options": {"columns": COLUMNS}})
    local(first["report_url"]).unlink()
    control.resume(chain_id, from_stage=stage, application=workflow.application)
    ended(workflow.application, chain_id, 30)
    assert final_result(workflow.application, chain_id) == first
    assert local(first["report_url"]).exists()


def test_revoked_in_the_middle(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    write_workbook(tmp_path / "many.xlsx", orders(20_000))
    application = workflow.application
    work(application)
    chain_id = workflow.start({"file_path": str(tmp_path / "many.xlsx"), "options": {"columns": COLUMNS}})
    wait_until(lambda: 5 < (application.board.array(chain_id) or [])[1]["progress"] < 95, 60)
    control.revoke(chain_id, "not wanted", application=application)
    assert ended(application, chain_id).status == "REVOKED"
    folder = local(application.storage.folder(chain_id).url)
    wait_until(lambda: not list(folder.glob("*")) and not list(folder.glob(".*")), 60, "half a file stays")


def test_in_a_batch(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.xlsx") for number in range(3)]
    for number, path in enumerate(paths):
        write_workbook(Path(path), orders(50, seed=number))
    Path(paths[2]).write_text("no workbook")
    application = workflow.application
    chunks.declare(application.broker)
    work(application)
    batch_id = start_batch_pipeline(
        "orders", paths, workflow="excel_workflow", options={"columns": COLUMNS}, application=application
    )
    wait_until(lambda: batch_status(batch_id).finished_at is not None, 60)
    status = batch_status(batch_id)
    assert (status.completed_images, status.failed_images) == (2, 1)
