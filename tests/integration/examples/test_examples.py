"""The examples and the snippets of the documents do what they say, in processes of their own."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shell import Shell
from waiting import wait_until

from examples.flask_app import create_app

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "from-celery.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n# ([\w.]+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(name: str, kind: str = "python") -> str:
    """All blocks of the document whose first line names that file, one after another."""
    return "\n".join(
        body for language, first, body in _BLOCK.findall(DOCUMENT) if (language, first) == (kind, name)
    )


@pytest.fixture
def shell(redis_url: str, tmp_path: Path) -> Iterator[Shell]:
    """Where modules of the repository and of the test's folder can be imported."""
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    shell = Shell(tmp_path, REDIS_URL=redis_url, PYTHONPATH=paths)
    assert shell.call("migrate").returncode == 0
    yield shell
    shell.clear()


@pytest.fixture
def up(shell: Shell) -> Iterator[Callable[[str], Shell]]:
    """Brings the workers up with modules of one's own, and down in order."""
    running: list[subprocess.Popen[str]] = []

    def start(modules: str) -> Shell:
        shell.environment["WORKFLOWS"] = modules
        running.append(shell.up("--no-web"))
        return shell

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_the_first_workflow(shell: Shell) -> None:
    shell.environment["WORKFLOWS"] = "examples.first"
    lines = shell.json_lines("run", "greeting", "--input", '{"names": ["Kim", "Lee"]}')
    assert lines[-1]["final_result"] == {"people": 2, "shouted": ["HELLO, KIM!", "HELLO, LEE!"]}
    source = (ROOT / "examples" / "first.py").read_text("utf-8")
    assert len(source.splitlines()) < 40


def test_a_workflow_inside_an_application(up: Callable[[str], Shell]) -> None:
    shell = up("examples.inside")
    ran = shell.python("-c", "import examples.inside as it; it.main()")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "6 words"


def test_from_elsewhere(up: Callable[[str], Shell], redis_url: str) -> None:
    shell = up("examples.inside")
    ran = shell.python(str(ROOT / "examples" / "from_elsewhere.py"), redis_url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-2:] == ["1 Count SUCCESS", "2 Report SUCCESS"]


def test_a_flask_application(up: Callable[[str], Shell], redis_url: str) -> None:
    up("examples.first")
    web = create_app(redis_url).test_client()
    answer = web.post("/greetings", json={"names": ["Kim"]}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    again = web.post("/greetings", json={"names": ["Kim"]}, headers={"Idempotency-Key": "k"})
    assert again.get_json() == answer.get_json()

    def shown() -> dict[str, Any]:
        found = web.get(answer.headers["Location"])
        assert found.status_code == 200
        body: dict[str, Any] = found.get_json()
        return body if body["done"] else {}

    assert [stage["status"] for stage in wait_until(shown, 30)["stages"]] == ["SUCCESS"] * 3
    assert web.get("/greetings/nobody").status_code == 404


def test_flask_without_redis() -> None:
    web = create_app("redis://127.0.0.1:1/0").test_client()
    assert web.post("/greetings", json={"names": []}).status_code == 503


# -- docs/from-celery.md -----------------------------------------------------------------------------------


def test_every_block_of_the_document_belongs_to_a_file() -> None:
    fences = len(re.findall(r"^```\w", DOCUMENT, re.MULTILINE))
    found = _BLOCK.findall(DOCUMENT)
    assert fences == len(found)
    assert {first for _, first, _ in found} == {"Celery", "Callboard", "shop.py", "caller.py", "beat.py"}


def test_the_celery_side_is_python() -> None:
    ast.parse(snippets("Celery").replace("...", "pass"))


def test_the_callboard_side_runs(up: Callable[[str], Shell], tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(snippets("shop.py"))
    shell = up("shop")
    told = (
        "\nimport json\n"
        "print(json.dumps([chain_id == again, tasks, running, result, len(receipts), message.message_id]))\n"
    )
    (tmp_path / "caller.py").write_text(snippets("caller.py") + told)
    ran = shell.python("caller.py")
    assert ran.returncode == 0, ran.stderr
    same, tasks, running, result, receipts, lone = json.loads(ran.stdout)
    assert same
    assert [task["metadata"]["stage_name"] for task in tasks] == ["FETCH", "PAPERS", "SHIP"]
    assert all(task["progress"] > 0 for task in running)
    assert result == {"shipped_with": ["invoice for 7", "label for 7"]}
    assert receipts in (1, 2)  # one for each task that it found open
    wait_until(lambda: _status_of(shell, lone) == "SUCCESS")

    (tmp_path / "beat.py").write_text(snippets("beat.py") + "\nprint(nightly() == nightly())\n")
    ran = shell.python("beat.py")
    assert (ran.stdout, ran.returncode) == ("True\n", 0), ran.stderr

    # Retries: one that helps, and one that cannot.
    waited = shell.json_lines("start", "parcels", "--input", '{"to": "Kim", "opens_at": 3}', "--follow")
    assert waited[-1]["final_result"] == {"posted_to": "Kim", "attempts": 3}
    script = f'callboard() {{ {sys.executable} -m callboard "$@"; }}\nset -e\n{snippets("Callboard", "bash")}'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "goes on from stage 1" in done.stdout
    assert "nowhere" in done.stdout
    wait_until(lambda: "post has failed: nowhere" in shell.stderr())
    assert "shop.fetch has failed" not in shell.stderr()


def _status_of(shell: Shell, task_id: str) -> str:
    code = (
        "import actors\n"
        "from actors.application import current\n"
        "from db.models import TaskLog\n"
        f"rows = TaskLog.select().where(TaskLog.task_id == '{task_id}')\n"
        "print(*[row.status for row in rows.execute(current().database)])\n"
    )
    return shell.python("-c", code).stdout.strip()


def test_the_first_workflow_of_the_readme(up: Callable[[str], Shell], tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (source,) = re.findall(r"^```python\n(# shop\.py\n.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    (tmp_path / "shop.py").write_text(source)
    shell = up("shop")
    lines = shell.json_lines("start", "shop", "--input", '{"number": 7}', "--follow")
    assert lines[-1]["final_result"] == {"shipped_with": ["invoice for 7", "label for 7"]}
