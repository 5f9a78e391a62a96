"""The OpenAPI document, and that the API does what it says: a few hundred made-up requests.

``SCHEMATHESIS_EXAMPLES=200`` makes a few thousand of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from api_server import Api
from jsonschema import Draft202012Validator

from actors.batches import chunks
from actors.batches.start import start_batch_pipeline

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "10")
ROWS = {
    "/api/v1/tasks/ai-pipeline/{chain_id}/tasks": {"get"},
    "/api/v1/tasks/ai-pipeline/{chain_id}/stage/{stage}": {"get"},
    "/pipeline": {"post"},
    "/pipeline/status/{chain_id}": {"get"},
    "/pipeline/history": {"get"},
    "/pipeline/{chain_id}/resume": {"post"},
    "/pipeline/{chain_id}/revoke": {"post"},
    "/pipeline/{chain_id}/files/{name}": {"get"},
    "/pipeline/batch": {"get", "post"},
    "/pipeline/batch/{batch_id}": {"get"},
    "/pipeline/batch/{batch_id}/retry-failed": {"post"},
    "/pipeline/batch/{batch_id}/revoke": {"post"},
    "/pipeline/batch/{batch_id}/items": {"get"},
    "/pipeline/batch/{batch_id}/statistics": {"get"},
    "/pipeline/batch/statistics": {"get"},
    "/api/v1/jobs/{job_id}/": {"get"},
    "/media/videos/{video_id}/": {"get"},
    "/api/runs/{run_id}": {"get"},
    "/api/runs/{run_id}/events": {"get"},
    "/api/runs/{run_id}/token": {"post"},
    "/workflows": {"get"},
    "/health": {"get"},
    "/ready": {"get"},
    "/metrics": {"get"},
}


def test_the_document(api: Api) -> None:
    document = api.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    found = {path: set(operations) for path, operations in document["paths"].items()}
    assert ROWS.items() <= found.items()
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for media in response.get("content", {}).values():
                    Draft202012Validator.check_schema(media["schema"])


def test_swagger_ui_comes_from_ourselves(api: Api) -> None:
    page = api.get("/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for name, kind in (("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")):
        file = api.get(f"/docs/static/{name}")
        assert (file.status_code, file.headers["Content-Type"]) == (200, kind)
        assert len(file.content) > 100_000
    assert "openapi.json" in api.get("/docs/start.js").text
    for name in ("index.css", "..%2f__init__.py", "x"):
        assert api.get(f"/docs/static/{name}").status_code == 404


@pytest.mark.parametrize("known", [False, True], ids=["ids made up", "ids of a chain and a batch"])
def test_made_up_requests(api: Api, tmp_path: Path, known: bool) -> None:
    api.play()
    chunks.declare(api.application.broker)
    config = ""
    if known:
        chain_id = api.start(hls_path="/h")
        names = ("chain_id", "job_id", "video_id", "run_id")
        config = "[parameters]\n" + "".join(f'"path.{name}" = "{chain_id}"\n' for name in names)
        (tmp_path / "image.png").touch()
        batch_id = start_batch_pipeline(
            "october", [str(tmp_path / "image.png")], workflow="play", application=api.application
        )
        config += f'"path.batch_id" = "{batch_id}"\n'
    (tmp_path / "schemathesis.toml").write_text(config)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"]
    # What fits the document may still name no workflow or a place that is refused.
    options = ["--max-examples", EXAMPLES, "--seed", "7", "--exclude-checks", "positive_data_acceptance"]
    # A stream of a chain that goes on has no end.
    skipped = ["--exclude-path-regex", "events$", "--no-color"]
    done = subprocess.run(
        [*command, *options, *skipped],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
