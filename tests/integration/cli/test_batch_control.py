"""``callboard retry-failed``, and the commands of chains with a batch's id."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Shell


@pytest.fixture
def scans(house: Shell, tmp_path: Path) -> Path:
    """A folder with three images, two of them torn."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, text in enumerate(("whole", "torn", "torn")):
        (folder / f"{number}.png").write_text(text)
    return folder


def test_a_batch_is_retried(house: Shell, scans: Path) -> None:
    *_, failed = house.json_lines("batch", "x", "--prefix", str(scans), "--workflow", "scan", "--follow")
    batch_id = failed["batch_id"]
    assert (failed["status"], failed["failed_images"]) == ("FAILURE", 2)

    dry = house.call("retry-failed", batch_id, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    lines = dry.stdout.splitlines()
    assert lines[:3] == [
        f"batch {batch_id}: 2 failed images would be retried",
        "  2 from stage 2 (Scan)",
        "  2 × the page is torn: [/corner]",
    ]
    assert lines[3].startswith("  expected time: ")
    (plan,) = house.json_lines("retry-failed", batch_id, "--dry-run")
    assert (plan["images"], plan["dry_run"]) == (2, True)
    assert plan["stages"] == [{"stage": 2, "name": "Scan", "images": 2}]

    why = house.call("why", batch_id)
    assert why.returncode == 1
    assert f"`callboard retry-failed {batch_id}` retries them" in why.stdout
    resumed = house.call("resume", batch_id)
    assert (resumed.returncode, resumed.stdout) == (2, "")
    assert resumed.stderr.startswith(f"callboard: {batch_id} is a batch: `callboard retry-failed {batch_id}`")

    (scans / "1.png").write_text("mended")
    again = house.call("retry-failed", batch_id, "--follow")
    assert again.returncode == 1, again.stderr
    (scans / "2.png").write_text("mended")
    plan, *_, last = house.json_lines("retry-failed", batch_id, "--follow")
    assert (plan["images"], plan["dry_run"]) == (1, False)
    assert (last["status"], last["completed_images"]) == ("SUCCESS", 3)
    nothing = house.call("retry-failed", batch_id)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr == f"callboard: nothing of batch {batch_id} has failed\n"
    assert house.call("why", batch_id).stdout == "the batch has ended SUCCESS\n"
    assert house.call("status", batch_id).returncode == 0


def test_a_batch_is_revoked(house: Shell, scans: Path, tmp_path: Path) -> None:
    options = f'{{"gate": "{tmp_path}/gate"}}'
    started = house.call("batch", "x", "--prefix", str(scans), "--workflow", "scan", "--options", options)
    batch_id = started.stdout.strip()
    assert "the batch is under way: 0 of 3 images have ended" in house.call("why", batch_id).stdout
    (receipt,) = house.json_lines("revoke", batch_id)
    assert receipt["batch_id"] == batch_id
    assert receipt["not_started"] + receipt["queued"] + receipt["told_to_stop"] == 3
    (tmp_path / "gate").touch()
    assert house.call("status", batch_id, "--follow").returncode == 1
    again = house.call("revoke", batch_id)
    assert (again.returncode, again.stderr) == (2, f"callboard: batch {batch_id} has ended: REVOKED\n")
    refused = house.call("retry-failed", batch_id)
    assert refused.returncode == 2
    assert "was revoked and is not retried" in refused.stderr
    assert house.call("why", batch_id).stdout == "the batch was revoked; 0 of 3 images were complete\n"


@pytest.mark.parametrize("command", ["retry-failed", "revoke", "resume", "why", "status"])
def test_what_nobody_knows(house: Shell, command: str) -> None:
    unknown = house.call(command, "none")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.count("\n") == 1
    assert "'none' on the board or in the ledger" in unknown.stderr
