"""start, status, resume and revoke, each in a process of its own, while ``callboard up`` runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from shell import DECLARED, Shell
from waiting import wait_until

from callboard.settings import Settings
from db.connection import execute, open_database, session


def chains(shell: Shell) -> int:
    """The rows in the ledger."""
    database = open_database(Settings.from_environment(shell.environment).database_url)
    with session(database):
        count = int(execute(database, "SELECT count(*) FROM chain_executions").fetchone()[0])
    database.close()
    return count


def is_at(shell: Shell, chain_id: str, status: str) -> bool:
    return bool(shell.json_lines("status", chain_id)[0]["status"] == status)


# -- start -------------------------------------------------------------------------------------------------


def test_start_prints_the_id_and_nothing_else(house: Shell) -> None:
    started = house.call("start", "play")
    assert (started.returncode, started.stderr) == (0, "")
    chain_id = started.stdout.removesuffix("\n")
    assert chain_id
    assert not set(chain_id) & set(" \n")
    assert house.call("status", chain_id, "--follow").returncode == 0


def test_followed_in_lines(house: Shell) -> None:
    followed = house.call("start", "play", "--follow")
    assert (followed.returncode, followed.stderr) == (0, "")
    lines = followed.stdout.splitlines()
    assert "   the curtain rises" in lines
    assert any(line.startswith("1. Rehearsal 100 % success · page [1/2] of [/script] (") for line in lines)
    assert f"play {lines[0]}: SUCCESS (from redis)" in lines
    assert '  "applause": 3,' in lines
    assert "\x1b" not in followed.stdout


def test_followed_as_json(house: Shell) -> None:
    first, *looks, outcome = house.json_lines("start", "play", "--follow", "--input", '{"act": 1}')
    assert list(first) == ["chain_id"]
    assert {look["chain_id"] for look in looks} == {outcome["chain_id"]} == {first["chain_id"]}
    assert {"chain_id": first["chain_id"], "log": "the curtain rises"} in looks
    assert [stage["progress"] for stage in looks[-1]["stages"]] == [100, 100]
    assert outcome["status"] == "SUCCESS"
    assert outcome["final_result"] == {"applause": 3, "document": {"act": 1}}
    assert outcome["error"] is None


def test_a_chain_that_fails(house: Shell, tmp_path: Path) -> None:
    (tmp_path / "illness").touch()
    data = json.dumps({"illness": str(tmp_path / "illness")})
    followed = house.call("start", "play", "--follow", "--input", data)
    assert followed.returncode == 1
    assert "failure · the lead is ill: [/fever]" in followed.stdout
    chain_id = followed.stdout.splitlines()[0]
    shown = house.call("status", chain_id)
    assert shown.returncode == 1
    assert "Task premiere failed: the lead is ill: [/fever]" in shown.stdout.splitlines()
    outcome = house.json_lines("status", chain_id)[-1]
    assert (outcome["status"], outcome["final_result"]) == ("FAILURE", None)
    assert "the lead is ill" in outcome["error"]


def test_a_file_becomes_the_inputs_file_path(house: Shell) -> None:
    (house.folder / "script.txt").write_text("to be or not")
    (house.folder / "input.json").write_text('{"act": "둘"}')
    arguments = ("start", "play", "--follow", "--input", "@input.json")
    for given, expected in (
        ("script.txt", str(house.folder / "script.txt")),
        ("s3://plays/script.txt", "s3://plays/script.txt"),
    ):
        outcome = house.json_lines(*arguments, "--file", given)[-1]
        assert outcome["final_result"]["document"] == {"act": "둘", "file_path": expected}


def test_the_same_key_is_the_same_chain(house: Shell) -> None:
    before, key = chains(house), uuid4().hex
    ids = [house.call("start", "play", "--idempotency-key", key).stdout for _ in range(2)]
    assert ids[0] == ids[1] != ""
    assert chains(house) == before + 1


def test_an_id_of_ones_own(house: Shell) -> None:
    chain_id = f"play-{uuid4().hex}"
    assert house.call("start", "play", "--chain-id", chain_id).stdout == f"{chain_id}\n"
    again = house.call("start", "play", "--chain-id", chain_id)
    assert (again.returncode, again.stdout) == (2, "")
    assert chain_id in again.stderr


KNOWN = ", ".join(DECLARED)
REFUSED = {
    "bad JSON": (["play", "--input", "{'act': 1}"], "--input is not JSON"),
    "no JSON": (["play", "--input", ""], "--input is not JSON"),
    "missing input": (["play", "--input", "@nowhere.json"], "--input: cannot read nowhere.json"),
    "missing file": (["play", "--file", "nowhere.png"], "--file: there is no file nowhere.png"),
    "file to a list": (["play", "--file", "plays.py", "--input", "[1]"], "JSON object"),
    "unknown workflow": (["opera"], f"no workflow is named 'opera' (known: {KNOWN})"),
    "unusable id": (["play", "--chain-id", "a b/c"], "chain id 'a b/c'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_started_is_said_in_one_line(house: Shell, case: str) -> None:
    arguments, words = REFUSED[case]
    before = chains(house)
    refused = house.call("start", *arguments, "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("callboard: ")
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert chains(house) == before


# -- status ------------------------------------------------------------------------------------------------


def test_status_of_a_chain_that_runs(house: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    chain_id = house.start(gate=gate)
    wait_until(lambda: house.entries(chain_id)[0]["process_status"] == "RUNNING")
    shown = house.call("status", chain_id)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "1. Rehearsal 40 % running · page [1/2] of [/script]" in shown.stdout.splitlines()
    assert f"play {chain_id}: STARTED (from redis)" in shown.stdout.splitlines()
    gate.touch()
    assert house.call("status", chain_id, "--follow").returncode == 0


@pytest.mark.parametrize(
    ("command", "options"),
    [("status", ["--json"]), ("status", ["--follow"]), ("resume", []), ("revoke", [])],
)
def test_an_unknown_chain(house: Shell, command: str, options: list[str]) -> None:
    answer = house.call(command, "nobody", *options)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "callboard: no chain 'nobody' on the board or in the ledger\n"


def test_an_interrupt_ends_following_and_not_the_chain(house: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    chain_id = house.start(gate=gate)
    with (tmp_path / "out").open("w") as out:
        follower = subprocess.Popen(
            [sys.executable, "-m", "callboard", "status", chain_id, "--follow"],
            cwd=house.folder,
            env=house.environment,
            stdout=out,
            stderr=out,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
    wait_until(lambda: "running" in (tmp_path / "out").read_text())
    follower.send_signal(signal.SIGINT)
    assert follower.wait(60) == 130
    last = (tmp_path / "out").read_text().splitlines()[-1]
    assert last.startswith(f"callboard: chain {chain_id} goes on; `callboard status {chain_id} --follow`")
    gate.touch()
    wait_until(lambda: is_at(house, chain_id, "SUCCESS"))


def test_on_a_terminal_each_stage_has_a_bar(house: Shell) -> None:
    status, text = house.on_a_terminal("start", "play", "--follow")
    assert status == 0
    for expected in ("1. Rehearsal", "2. Premiere", "━", "100%", " s", "page [1/2] of [/script]", "\x1b["):
        assert expected in text
    assert "the curtain rises" in text
    assert ": SUCCESS (from redis)" in text


# -- resume and revoke -------------------------------------------------------------------------------------


def test_resume_goes_on_once_the_cause_is_gone(house: Shell, tmp_path: Path) -> None:
    illness, diary = tmp_path / "illness", tmp_path / "diary"
    illness.touch()
    chain_id = house.start(illness=illness, diary=diary)
    assert house.call("status", chain_id, "--follow").returncode == 1
    illness.unlink()
    resumed, *_, outcome = house.json_lines("resume", chain_id, "--follow")
    assert resumed == {"chain_id": chain_id, "resumed_from": 2}
    assert outcome["status"] == "SUCCESS"
    assert diary.read_text() == "rehearsed\n"
    again = house.call("resume", chain_id)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "SUCCESS, nothing is left; name a stage" in again.stderr
    assert house.call("resume", chain_id, "--from-stage", "1", "--follow").returncode == 0
    assert diary.read_text() == "rehearsed\n" * 2


def test_revoke_stops_a_running_stage(house: Shell, tmp_path: Path) -> None:
    chain_id = house.start(gate=tmp_path / "never")
    wait_until(lambda: house.entries(chain_id)[0]["process_status"] == "RUNNING")
    revoked = house.call("revoke", chain_id, "--reason", "the house is empty")
    assert revoked.stdout == f"{chain_id} revoked (stage 1 was RUNNING: told to stop)\n"
    shown = house.call("status", chain_id)
    assert shown.returncode == 1
    assert "the house is empty" in shown.stdout
    again = house.call("revoke", chain_id)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == f"callboard: chain {chain_id} has ended: REVOKED\n"


# -- doctor ------------------------------------------------------------------------------------------------


def test_doctor_counts_the_workers(house: Shell) -> None:
    examined = house.call("doctor")
    assert examined.returncode == 0, examined.stdout
    assert "ok       workers: 1 worker process is at work" in examined.stdout.splitlines()


# -- batch -------------------------------------------------------------------------------------------------
