"""ai_pipeline from end to end on a real worker: topics, classes, HTTP, a batch, resuming, revoking."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import websockets.sync.client
from api_server import Api, serving
from chains import check_stores, ended, recorded
from dramatiq import Worker
from PIL import Image
from shipped import SAMPLES, declare, final_result, local, run
from waiting import wait_until

from actors import control
from actors.application import Application
from actors.batches import chunks
from actors.batches.start import start_batch_pipeline
from actors.batches.status import batch_status
from actors.storage import read_json
from actors.workflow import Workflow
from samples.texts import Writer

Work = Callable[..., Worker]
STAGES = ["데이터 전처리", "특성 추출", "모델 추론", "후처리"]
KOREAN, ENGLISH = f"{SAMPLES}/texts_korean.jsonl", f"{SAMPLES}/texts_english.csv"


@pytest.fixture
def application(build_application: Any) -> Application:
    return build_application()  # type: ignore[no-any-return]


@pytest.fixture
def workflow(application: Application) -> Workflow:
    return declare(application, "actors.ai_pipeline", "ai_pipeline")


def test_korean_texts_to_classes(workflow: Workflow, work: Work) -> None:
    application = workflow.application
    work(application)
    chain_id, result = run(workflow, {"file_path": KOREAN})
    assert result["task"] == "classes"
    assert result["quality"]["held_out_accuracy"] > 0.88
    assert {group["name"] for group in result["topics"]} == {"경제", "축구", "건강", "기술", "요리", "여행"}
    assert sum(group["texts"] for group in result["topics"]) + result["without_words"] == result["texts"]
    assert result["download_url"] == f"/pipeline/{chain_id}/files/results.xlsx"

    found = read_json(result["json_url"])
    lines = [json.loads(line) for line in Path(KOREAN).read_text("utf-8").splitlines()]
    assert len(found["rows"]) == result["texts"]
    assert len(found["problems"]) == result["skipped"] == len(lines) - result["texts"]
    for problem in found["problems"]:
        assert not any(
            letter.isalnum()
            for letter in lines[problem["row"] - 1]["text"].replace("nbsp", "").strip("<p>/ &;")
        )
    repeated = [row for row in found["rows"] if row["duplicate_of"] is not None]
    assert len(repeated) == result["duplicates"] > 0
    by_row = {row["row"]: row for row in found["rows"]}
    for row in repeated:
        assert (
            by_row[row["duplicate_of"]]["class"] == row["class"]
            or row["label"]
            or by_row[row["duplicate_of"]]["label"]
        )

    book = openpyxl.load_workbook(local(result["excel_url"]))
    assert book.sheetnames == ["Texts", "Classes", "Summary", "Problems"]
    rows = list(book["Texts"].iter_rows(values_only=True))
    assert rows[0] == ("Row", "Id", "Class", "Label", "Confidence", "Duplicate of", "Text")
    assert len(rows) == result["texts"] + 1
    assert [row[2] for row in rows[1:]] == [row["class"] for row in found["rows"]]
    differing = [
        row for row in book["Texts"].iter_rows(min_row=2) if row[3].value and row[2].value != row[3].value
    ]
    assert all(row[2].fill.start_color.rgb == "FFFFF2CC" for row in differing)
    assert book["Problems"].max_row == result["skipped"] + 1
    with Image.open(local(result["picture_url"])) as picture:
        assert picture.size == (1600, 1080)

    array = application.board.array(chain_id)
    assert array is not None
    assert [entry["metadata"]["stage_name"] for entry in array] == STAGES
    assert all(entry["status"] == "SUCCESS" and entry["metadata"]["execution_time"] >= 0 for entry in array)
    recorded(application)
    check_stores(application, chain_id)


def test_english_texts_to_topics_the_same_each_time(workflow: Workflow, work: Work) -> None:
    work(workflow.application)
    _, first = run(workflow, {"file_path": ENGLISH})
    _, second = run(workflow, {"file_path": ENGLISH})
    assert first["task"] == "topics"
    assert len(first["topics"]) == 7
    assert first["topics"] == second["topics"]
    assert local(first["picture_url"]).read_bytes() == local(second["picture_url"]).read_bytes()
    assert read_json(first["json_url"])["rows"] == read_json(second["json_url"])["rows"]


def test_texts_in_the_input_and_a_number_of_topics(workflow: Workflow, work: Work) -> None:
    work(workflow.application)
    texts = [text.text for text in Writer("en", seed=9, topics=3).write(60)]
    _, result = run(workflow, {"texts": [*texts, "", "?!"], "options": {"topics": 3}})
    assert (len(result["topics"]), result["texts"], result["skipped"]) == (3, 60, 2)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"file_path": "/nowhere/a.csv"}, "no such file"),
        ({"texts": ["one"]}, "0 repeats: two different ones with words are needed"),
        (
            {"texts": ["", " "]},
            "0 texts were found (row 1: no text): two different ones with words are needed",
        ),
        ({"texts": ["bank loan"] * 5}, "5 texts were found, 0 of them without words and 4 repeats"),
        ({"texts": ["😀😀", "🎉"]}, "nothing is left of it but markup, links and signs"),
        ({"texts": [{"text": {"a": 1}}, "b"]}, "1 texts were found, "),
        ({"file_path": "/" + "x" * 5000}, "no such file (File name too long)"),
        ({"file_path": ENGLISH, "options": {"task": "classes"}}, "classes need two labels"),
        ({"file_path": ENGLISH, "options": {"text_column": "본문"}}, "the file has the columns id, comment"),
        ({"text": 1}, "the input needs file_path or texts"),
    ],
)
def test_bad_input_fails_once_with_one_clear_error(
    workflow: Workflow, work: Work, document: dict[str, Any], said: str
) -> None:
    work(workflow.application)
    chain_id = workflow.start(document)
    chain = ended(workflow.application, chain_id, 60)
    assert chain.status == "FAILURE"
    live = workflow.application.board.chain(chain_id)
    assert live is not None
    assert said in live.state["error"]
    task = workflow.application.board.task(chain_id, live.state["current"], 0)
    assert task is not None
    assert not task.get("retries")


def test_texts_of_the_same_words_are_one_topic(workflow: Workflow, work: Work) -> None:
    """They differ, but not in a word: there is nothing to tell them apart by."""
    work(workflow.application)
    texts = [f"bank loan{'!' * number}" for number in range(3)] + ["loan bank", "The bank, the loan"]
    _, result = run(workflow, {"texts": texts})
    assert [group["texts"] for group in result["topics"]] == [5]
    assert result["duplicates"] < 4


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_resumed_from_any_stage(workflow: Workflow, work: Work, stage: int) -> None:
    work(workflow.application)
    texts = [text.text for text in Writer("ko", seed=3, topics=3).write(80)]
    chain_id, first = run(workflow, {"texts": texts, "options": {"topics": 3}})
    before = local(first["json_url"]).read_bytes()
    local(first["excel_url"]).unlink()
    assert control.resume(chain_id, from_stage=stage, application=workflow.application) == stage
    ended(workflow.application, chain_id, 60)
    second = final_result(workflow.application, chain_id)
    assert second == first
    assert local(second["json_url"]).read_bytes() == before
    assert local(second["excel_url"]).exists()


def test_a_failed_stage_goes_on_where_it_failed(workflow: Workflow, work: Work) -> None:
    application = workflow.application
    work(application)
    texts = [text.text for text in Writer("ko", seed=3, topics=3).write(80)]
    chain_id, _ = run(workflow, {"texts": texts})
    folder = application.storage.folder(chain_id)
    features = local(folder.url_of("features.npz"))
    kept = features.read_bytes()
    features.unlink()
    control.resume(chain_id, from_stage=3, application=application)
    assert ended(application, chain_id, 60).status == "FAILURE"
    features.write_bytes(kept)
    assert control.resume(chain_id, application=application) == 3
    assert ended(application, chain_id, 60).status == "SUCCESS"


def test_a_pickle_in_place_of_a_matrix_is_not_opened(workflow: Workflow, work: Work) -> None:
    """Files of the storage may be anybody's: none of them is run."""
    import numpy as np  # noqa: PLC0415

    application = workflow.application
    work(application)
    chain_id, _ = run(workflow, {"texts": [text.text for text in Writer("en", topics=2).write(40)]})
    memory = io.BytesIO()
    np.savez(memory, group=np.array([print], dtype=object), shares=np.zeros(1), space=np.zeros(1))
    local(application.storage.folder(chain_id).url_of("assignment.npz")).write_bytes(memory.getvalue())
    stage = application.broker.get_actor("ai_pipeline.postprocess")
    stage.options["max_retries"] = 0
    control.resume(chain_id, from_stage=4, application=application)
    assert ended(application, chain_id, 60).status == "FAILURE"
    live = application.board.chain(chain_id)
    assert live is not None
    assert "allow_pickle" in live.state["error"]


def test_revoked_in_the_middle(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("text\n")
        for text in Writer("ko", seed=1).write(30_000):
            file.write('"' + text.text.replace('"', "'") + '"\n')
    application = workflow.application
    work(application)
    chain_id = workflow.start({"file_path": str(path)})

    def running() -> bool:
        array = application.board.array(chain_id) or []
        return any(1 < entry["progress"] < 100 for entry in array)

    wait_until(running, 60)
    control.revoke(chain_id, "not wanted", application=application)
    assert ended(application, chain_id).status == "REVOKED"
    folder = local(application.storage.folder(chain_id).url)
    # The run ends, and what it had begun to write does not stay.
    wait_until(lambda: not list(folder.glob(".*.part")), 60, "a half file stays")
    assert not (folder / "results.xlsx").exists()


def test_by_http_with_a_live_websocket_and_as_a_job(workflow: Workflow, work: Work) -> None:
    application = workflow.application
    with serving(application) as api:
        content = Path(ENGLISH).read_bytes()
        form = {"workflow": "ai_pipeline", "input": json.dumps({"options": {"topics": 7}})}
        answer = api.post("/pipeline", data=form, files={"file": ("a.csv", content)})
        assert answer.status_code == 202, answer.text
        chain_id = answer.json()["chain_id"]
        assert api.get(f"/api/v1/jobs/{chain_id}/").json()["status"] == "PENDING"
        messages: list[dict[str, Any]] = []
        jobs: list[dict[str, Any]] = []
        with websockets.sync.client.connect(f"ws://127.0.0.1:{api.port}/ws/{chain_id}") as socket:
            polling = threading.Thread(target=poll, args=(api, chain_id, jobs))
            polling.start()
            work(application)
            while not messages or messages[-1].get("state") not in ("END", "FAILED"):
                messages.append(json.loads(socket.recv(timeout=60)))
            polling.join(60)
        states = list(dict.fromkeys(message.get("state") for message in messages if message.get("state")))
        assert [state for state in states if state in STAGES] == STAGES
        shares = [message["progress"] for message in messages if message.get("progress") is not None]
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert len(set(shares)) > 10

        assert {job["status"] for job in jobs} <= {"PENDING", "PROCESSING", "DONE"}
        job = jobs[-1]
        assert (job["status"], job["progress"], job["error_message"]) == ("DONE", 100, None)
        key: Any = application.board.clients.get().get(f"job:{chain_id}:progress")
        assert json.loads(key)["progress"] == 100
        assert job["result"]["download_url"] == f"/pipeline/{chain_id}/files/results.xlsx"
        file = api.get(job["result"]["download_url"])
        assert file.status_code == 200
        assert openpyxl.load_workbook(io.BytesIO(file.content)).sheetnames[0] == "Texts"
        picture = api.get(f"/pipeline/{chain_id}/files/map.png")
        assert picture.headers["Content-Type"] == "image/png"


def poll(api: Api, chain_id: str, jobs: list[dict[str, Any]]) -> None:
    while not jobs or jobs[-1]["status"] in ("PENDING", "PROCESSING"):
        jobs.append(api.get(f"/api/v1/jobs/{chain_id}/").json())


def test_in_a_batch(workflow: Workflow, work: Work, tmp_path: Path) -> None:
    paths = []
    for number, language in enumerate(("ko", "en", "ko"), start=1):
        paths.append(str(tmp_path / f"{number}.jsonl"))
        lines = [
            json.dumps({"text": text.text}) for text in Writer(language, seed=number, topics=3).write(60)
        ]
        Path(paths[-1]).write_text("\n".join(lines), "utf-8")
    Path(paths[1]).write_text("", "utf-8")
    application = workflow.application
    chunks.declare(application.broker)
    work(application)
    batch_id = start_batch_pipeline(
        "texts", paths, workflow="ai_pipeline", options={"topics": 2}, chunk_size=2, application=application
    )
    wait_until(lambda: batch_status(batch_id).finished_at is not None, 90)
    status = batch_status(batch_id)
    assert (status.completed_images, status.failed_images) == (2, 1)
