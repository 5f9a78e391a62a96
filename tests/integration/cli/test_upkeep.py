"""migrate and doctor, what is said of settings and servers that cannot be used, and what is loaded when."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from servers import RedisServer
from shell import DECLARED, Shell
from typer.testing import CliRunner
from waiting import wait_until

from callboard.cli import commands

NOWHERE = "redis://127.0.0.1:1"


def findings(shell: Shell, subject: str) -> list[tuple[str, str]]:
    """What ``callboard doctor`` says of a subject, as (level, text)."""
    return [
        (found["level"], found["text"]) for found in shell.json_lines("doctor") if found["subject"] == subject
    ]


# -- migrate -----------------------------------------------------------------------------------------------


def test_migrate_twice(redis_url: str, database_url: str, build_shell: Callable[..., Shell]) -> None:
    shell = build_shell(REDIS_URL=redis_url, DATABASE_URL=database_url)
    assert any(level == "error" and "0001_tables" in text for level, text in findings(shell, "database"))
    first = shell.call("migrate")
    assert first.returncode == 0
    assert first.stdout.splitlines()[0] == "applied 0001_tables"
    assert shell.call("migrate").stdout == "nothing to apply\n"
    assert ("ok", "no migrations pending") in findings(shell, "database")


def test_before_migrate_a_start_makes_the_tables_of_a_file_and_no_others(
    redis_url: str, database_url: str, build_shell: Callable[..., Shell]
) -> None:
    refused = build_shell(REDIS_URL=redis_url, DATABASE_URL=database_url).call("start", "play")
    if database_url.startswith("sqlite:"):
        # Whoever follows the README has a `callboard up` beside it, which may not have come so far yet.
        assert (refused.returncode, refused.stderr) == (0, "")
        return
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "run `callboard migrate`" in refused.stderr


# -- doctor ------------------------------------------------------------------------------------------------


def test_a_healthy_house(shell: Shell) -> None:
    examined = shell.call("doctor")
    assert examined.returncode == 0, examined.stdout
    assert examined.stderr == ""
    assert "error" not in {line.split()[0] for line in examined.stdout.splitlines()}
    assert findings(shell, "workflows") == [("ok", ", ".join(DECLARED))]
    assert findings(shell, "workers")[0][0] == "warning"
    assert not [path for path in (shell.home / "storage").rglob("*") if path.is_file()]


def test_a_sleeping_embedded_redis_is_no_illness(embedded_shell: Shell) -> None:
    assert embedded_shell.call("migrate").returncode == 0
    examined = embedded_shell.call("doctor")
    assert examined.returncode == 0
    assert "warning  redis: embedded and not running" in examined.stdout
    assert embedded_shell.is_empty()


def test_redis_away(build_shell: Callable[..., Shell]) -> None:
    shell = build_shell(REDIS_URL=NOWHERE)
    examined = shell.call("doctor")
    assert (examined.returncode, examined.stderr) == (2, "")
    assert examined.stdout.startswith("error    redis: Error 111")


def test_a_redis_that_throws_chains_away(
    private_redis: RedisServer, build_shell: Callable[..., Shell]
) -> None:
    with redis.Redis.from_url(private_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    shell = build_shell(REDIS_URL=private_redis.url)
    levels = {text.split(":")[0]: level for level, text in findings(shell, "redis")}
    assert levels["maxmemory-policy is allkeys-lru"] == "error"
    assert levels["no append-only file"] == "warning"


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ("eng kor", ("ok", "tesseract reads Korean")),
        ("eng", ("warning", "tesseract lacks the language kor (Debian: tesseract-ocr-kor)")),
        (None, ("warning", "tesseract is not installed: Korean text on pictures stays unread")),
    ],
)
def test_hangul(shell: Shell, languages: str | None, expected: tuple[str, str]) -> None:
    programs = shell.folder / "programs"
    programs.mkdir()
    if languages is not None:
        (programs / "tesseract").write_text(f"#!/bin/sh\nfor name in {languages}; do echo $name; done\n")
        (programs / "tesseract").chmod(0o755)
    shell.environment["PATH"] = str(programs)
    assert findings(shell, "hangul") == [expected]


# -- what cannot be used -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["start", "play"], ["up"], ["run", "play"], ["status", "x"], ["migrate"], ["doctor"]]
)
def test_a_wrong_setting_is_said_in_one_line(build_shell: Callable[..., Shell], arguments: list[str]) -> None:
    shell = build_shell(REDIS_URL="nonsense")
    refused = shell.call(*arguments)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert refused.stderr.startswith("callboard: REDIS_URL: read 'nonsense', expected a URL like redis://")
    assert not shell.home.exists()


@pytest.mark.parametrize("module", [["actors.clock"], ["dramatiq", "actors", "-p", "1", "-t", "1"]])
def test_a_wrong_setting_stops_worker_and_clock(build_shell: Callable[..., Shell], module: list[str]) -> None:
    refused = build_shell(REDIS_URL="nonsense").python("-m", *module)
    assert refused.returncode != 0
    said = "callboard.errors.SettingsError: REDIS_URL: read 'nonsense', expected a URL like redis://"
    assert [line for line in refused.stderr.splitlines() if "[CRITICAL]" not in line][-1].startswith(said)


@pytest.mark.parametrize(
    "arguments", [["start", "play"], ["up"], ["run", "play"], ["status", "x"], ["why", "x"], ["revoke", "x"]]
)
def test_redis_away_is_said_in_one_line(build_shell: Callable[..., Shell], arguments: list[str]) -> None:
    shell = build_shell(REDIS_URL=NOWHERE)
    if arguments[0] == "start":
        assert shell.call("migrate").returncode == 0
    refused = shell.call(*arguments)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert refused.stderr.startswith("callboard: Redis ")
    assert "Connection refused" in refused.stderr


def test_following_says_what_it_waits_for(
    private_redis: RedisServer, build_shell: Callable[..., Shell]
) -> None:
    shell = build_shell(REDIS_URL=private_redis.url)
    assert shell.call("migrate").returncode == 0
    follower = shell.spawn("start", "play", "--follow", "--chain-id", "first-night")
    wait_until(lambda: "no worker runs: `callboard up` starts one" in shell.stderr())
    private_redis.kill()
    wait_until(lambda: "callboard: Redis does not answer, waiting for it" in shell.stderr())
    private_redis.start()
    assert shell.call("revoke", "first-night").returncode == 0
    assert follower.wait(60) == 1
    assert shell.stderr().count("Redis does not answer") == 1


# -- what is loaded when -----------------------------------------------------------------------------------

HEAVY = {"cv2", "numpy", "onnxruntime", "rapidocr", "PIL", "pypdfium2", "xlsxwriter", "httpx", "apscheduler"}


def test_help_loads_nothing_heavy(shell: Shell) -> None:
    helped = shell.python("-X", "importtime", "-m", "callboard", "--help")
    assert helped.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in helped.stderr.splitlines()}
    assert "callboard.cli" in loaded
    assert not loaded & {*HEAVY, "actors", "dramatiq", "redis", "peewee", "psycopg2"}


def test_declaring_the_workflows_loads_no_engine(shell: Shell) -> None:
    loaded = shell.python("-c", "import json, sys, actors; print(json.dumps(sorted(sys.modules)))").stdout
    assert "actors.cr_extract" in json.loads(loaded)
    assert not set(json.loads(loaded)) & HEAVY


def test_each_command_has_help() -> None:
    for command in ("up", "run", "start", "status", "why", "resume", "revoke", "prune", "migrate", "doctor"):
        helped = CliRunner().invoke(commands, [command, "--help"], prog_name="callboard")
        assert helped.exit_code == 0
        assert f"callboard {command}" in helped.stdout


def test_version(shell: Shell) -> None:
    assert shell.call("--version").stdout.count(".") == 2


def test_home_may_lie_anywhere(shell: Shell, tmp_path: Path) -> None:
    shell.environment["CALLBOARD_HOME"] = str(tmp_path / "ein Übungs-Ordner")
    assert shell.call("migrate").returncode == 0
    assert shell.call("start", "play").returncode == 0
