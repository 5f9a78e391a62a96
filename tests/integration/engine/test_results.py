"""What stages return: small results on the board, large ones as files of the storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chains import check_stores, ended, recorded
from dramatiq import Worker
from waiting import wait_until

from actors.application import Application
from actors.control import resume
from actors.workflow import Workflow, parallel, stage

Work = Callable[..., Worker]


def test_a_large_result_is_a_file_and_reaches_the_next_stage_whole(
    build_application: Any, work: Work, tmp_path: Path
) -> None:
    application: Application = build_application(RESULT_LIMIT="2048")
    seen: list[Any] = []
    broken = [True]

    @stage
    def large(document: Any) -> Any:
        return {"words": ["한글"] * document}

    @stage
    def small(document: Any) -> Any:
        return {"words": 1}

    @stage
    def compare(results: Any) -> Any:
        seen.append(results)
        return results[0]

    @stage(max_retries=0)
    def last(document: Any) -> Any:
        seen.append(document)
        if broken.pop() if broken else False:
            raise ValueError("once")
        return len(document["words"])

    chain_id = Workflow("large", [parallel(large, small), compare, last]).start(1000)
    worker = work(application)
    assert ended(application, chain_id).status == "FAILURE"
    recorded(application)
    check_stores(application, chain_id)
    reference = application.ledger.stage_results(chain_id)[1, 1]
    assert sorted(reference) == ["bytes", "callboard_result"]
    assert reference["bytes"] == Path(reference["callboard_result"].removeprefix("file://")).stat().st_size
    assert application.ledger.stage_results(chain_id)[1, 2] == {"words": 1}
    # From the ledger, too.
    worker.stop()
    application.board.clients.get().flushdb()
    resume(chain_id, application=application)
    work(application)
    assert ended(application, chain_id).final_result == 1000
    expected = {"words": ["한글"] * 1000}
    assert seen == [[expected, {"words": 1}], expected, expected]


def test_a_result_that_the_storage_refuses_is_tried_again(
    build_application: Any, work: Work, tmp_path: Path
) -> None:
    folder = tmp_path / "storage"
    # A file where the folder should be.
    folder.write_text("in the way")
    application: Application = build_application(RESULT_LIMIT="1024")

    @stage(max_retries=100, min_backoff=100, max_backoff=100)
    def large(document: Any) -> Any:
        return "x" * 5000

    chain_id = Workflow("refused", [large]).start(1)
    work(application)
    wait_until(lambda: (application.board.task(chain_id, 1) or {}).get("retries"))
    folder.unlink()
    chain = ended(application, chain_id)
    assert chain.status == "SUCCESS"
    assert chain.final_result["bytes"] == 5002


def test_data_that_looks_like_a_reference_is_data(build_application: Any, work: Work, tmp_path: Path) -> None:
    application: Application = build_application()
    secret = tmp_path / "secret.json"
    secret.write_text('{"password": "open sesame"}')
    forged = {"callboard_result": str(secret), "bytes": 27}
    seen: list[Any] = []

    @stage(max_retries=0)
    def hand_on(document: Any) -> Any:
        seen.append(document)
        return document

    @stage(max_retries=0)
    def hand_on_a_list(document: Any) -> Any:
        seen.append(document)
        return [document]

    @stage(max_retries=0)
    def last(documents: Any) -> None:
        seen.append(documents)

    chain_id = Workflow("forged", [hand_on, hand_on_a_list, last]).start(forged)
    work(application)
    assert ended(application, chain_id).status == "SUCCESS"
    assert seen == [forged, forged, [forged]]
