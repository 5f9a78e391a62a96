"""cr_extract on a real worker: a table to Excel, from any stage, and from files that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import openpyxl
import pytest
from api_server import serving
from chains import check_stores, ended, recorded
from dramatiq import Worker
from PIL import Image
from shipped import SAMPLES, declare, final_result

from actors import control
from actors.storage import local_copy
from actors.workflow import Workflow

Work = Callable[..., Worker]
TABLE = f"{SAMPLES}/table_unruled.png"


@pytest.fixture
def workflow(build_application: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return declare(build_application(), "actors.cr_extract", "cr_extract_workflow")


def test_from_a_bucket_to_a_bucket_and_again_from_each_stage(
    workflow: Workflow, work: Work, bucket: str, tmp_path: Path
) -> None:
    application = workflow.application
    application.storage.url = f"{bucket}/storage"
    url = application.storage.folder("uploads").write_bytes("표.png", Path(TABLE).read_bytes())
    work(application)
    chain_id = workflow.start({"file_path": url, "options": {"hangul": "off", "engine": "rules"}})
    assert ended(application, chain_id, 120).status == "SUCCESS"
    first = final_result(application, chain_id)
    assert first["excel_url"] == f"{bucket}/storage/{chain_id}/tables.xlsx"
    cells = cells_of(first["excel_url"])
    for stage in (4, 3, 2, 1):
        fsspec.filesystem("s3").rm_file(first["excel_url"])
        assert control.resume(chain_id, from_stage=stage, application=application) == stage
        assert ended(application, chain_id, 120).status == "SUCCESS"
        assert final_result(application, chain_id) == first
        assert cells_of(first["excel_url"]) == cells
    with serving(application) as api:
        answer = api.get(f"/pipeline/{chain_id}/files/tables.xlsx")
    assert answer.content == fsspec.filesystem("s3").cat_file(first["excel_url"])
    assert [path.name for path in (tmp_path / "scratch").iterdir() if "server" not in path.name] == []
    recorded(application)
    check_stores(application, chain_id)


def cells_of(url: str) -> list[tuple[Any, ...]]:
    with local_copy(url) as path:
        return list(openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("none.png", {}, "none.png: no such file"),
        ("empty.png", {}, "empty.png: the file is empty (0 bytes)"),
        ("text.png", {}, "text.png: not a PNG, JPEG, TIFF or PDF file"),
        ("cut.png", {}, "cut.png: the image is damaged or cut off"),
        ("dot.png", {}, "dot.png: 1 × 1 pixels are too few to hold text"),
        ("", {}, "a folder, not a file"),
        ("dot.png", {"engine": "gpt"}, "options.engine: 'gpt' is not one of ['auto', 'rules']"),
        (
            "dot.png",
            {"colour": 1},
            "options: Additional properties are not allowed ('colour'",
        ),
        ("dot.png", [1], "options: read [1], expected an object"),
    ],
)
def test_bad_input_fails_once_with_one_clear_error(
    workflow: Workflow, work: Work, tmp_path: Path, name: str, options: Any, said: str
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(Path(TABLE).read_bytes()[:5000])
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    work(workflow.application)
    chain_id = workflow.start({"file_path": f"{tmp_path}/{name}", "options": options})
    chain = ended(workflow.application, chain_id, 60)
    assert chain.status == "FAILURE"
    assert chain.error is not None
    assert said in chain.error
    assert (workflow.application.board.task(chain_id, 1) or {})["attempt"] == 1
    assert not (tmp_path / "storage" / chain_id).exists()
