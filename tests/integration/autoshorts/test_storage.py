"""A run whose files lie on S3: artifacts, downloads, and what a revoke leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from api_server import serving
from chains import ended
from dramatiq import Worker
from shorts_runs import SMALL, Shorts
from waiting import wait_until

from actors.control import resume, revoke

Work = Callable[..., Worker]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def flat(artifacts: dict[str, Any]) -> list[str]:
    return [url for value in artifacts.values() for url in ([value] if isinstance(value, str) else value)]


def test_from_a_prompt_in_a_bucket_to_a_video_there(
    shorts: Shorts, work: Work, bucket: str, scratch: Path
) -> None:
    shorts.application.storage.url = f"{bucket}/storage"
    files = fsspec.filesystem("s3")
    files.pipe_file(
        f"{bucket}/in/고양이.json", json.dumps({"prompt": "우주여행 고양이", "spec": SMALL}).encode()
    )
    work(shorts.application)
    run_id = shorts.workflow.start({"file_path": f"{bucket}/in/고양이.json"})
    assert run_id.endswith("_고양이")
    chain = ended(shorts.application, run_id, 120)
    assert chain.status == "SUCCESS", chain.error
    result: Any = chain.final_result
    place = f"{bucket}/storage/{run_id}"
    assert result["video_url"] == f"{place}/short.mp4"
    # The artifacts are all files that there are, each to be had from the API, too.
    urls = flat(result["artifacts"])
    assert {url.removeprefix(f"{place}/") for url in urls} == shorts.application.storage.folder(
        run_id
    ).sizes().keys()
    with serving(shorts.application) as api:
        assert api.get(f"/api/runs/{run_id}").json()["artifacts"] == result["artifacts"]
        for url in urls:
            answer = api.get(f"/pipeline/{run_id}/files/{url.removeprefix(place + '/')}")
            assert (answer.status_code, answer.content) == (200, files.cat_file(url)), url
    assert files.cat_file(result["video_url"])[4:8] == b"ftyp"
    assert list(scratch.iterdir()) == []


def test_a_run_that_is_revoked_while_it_renders(
    shorts: Shorts, work: Work, bucket: str, scratch: Path
) -> None:
    shorts.application.storage.url = f"{bucket}/storage"
    work(shorts.application)
    run_id = shorts.start(size="720x1280")

    def renders() -> bool:
        return int((shorts.application.board.task(run_id, 3) or {}).get("progress", 0)) > 1

    wait_until(renders, 120)
    revoke(run_id, application=shorts.application)
    assert ended(shorts.application, run_id).status == "REVOKED"
    wait_until(lambda: not list(scratch.iterdir()), 30)
    folder = shorts.application.storage.folder(run_id)
    assert {"scenes.csv", "layout.json", "music.wav", "scene-02.png"} <= folder.sizes().keys()
    assert "short.mp4" not in folder.sizes()
    assert resume(run_id, application=shorts.application) == 3
    assert ended(shorts.application, run_id, 120).status == "SUCCESS"
    assert "short.mp4" in folder.sizes()
    assert list(scratch.iterdir()) == []
