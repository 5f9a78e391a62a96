"""``callboard batch``: which files, what is refused in one line, and how a batch is shown."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_shop import Shop
from dramatiq import Worker
from shell import Shell
from waiting import wait_until

from callboard import batch


@pytest.fixture
def scans(house: Shell, tmp_path: Path) -> Path:
    """A folder with ``0.png`` to ``4.png``."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_text("whole")
    return folder


def batches(house: Shell) -> int:
    """How many there are, by what the ledger says of the rows of chunks, too."""
    code = (
        "import actors; from callboard.settings import Settings; from db.connection import open_database; "
        "from db.models import BatchChunk, BatchExecution; "
        "d = open_database(Settings.from_environment().database_url); "
        "print(BatchExecution.select().count(d) + BatchChunk.select().count(d))"
    )
    return int(house.python("-c", code).stdout)


def test_the_four_ways_to_name_files(house: Shell, scans: Path) -> None:
    (scans / "list.txt").write_text("\ufeff3.png\r\n\r\n  ./4.png\n", "utf-8")
    script = f"cd {scans} && {sys.executable} -m callboard batch october 0.png --glob '[12].png' "
    script += "--manifest list.txt --workflow scan --chunk-size 2 --follow --json"
    environment = {**house.environment, "PYTHONPATH": str(house.folder)}
    done = subprocess.run(
        script, shell=True, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    first, *looks = map(json.loads, done.stdout.splitlines())
    assert list(first) == ["batch_id"]
    last = looks[-1]
    assert (last["batch_id"], last["status"]) == (first["batch_id"], "SUCCESS")
    assert (last["completed_images"], last["total_images"], last["completed_chunks"]) == (5, 5, 3)

    (scans / "deep").mkdir()
    (scans / "deep" / "9.tif").write_text("whole")
    for options, count in (((), 6), (("--pattern", "deep/*"), 1)):
        lines = house.json_lines(
            "batch", "x", "--prefix", str(scans), *options, "--workflow", "scan", "--follow"
        )
        assert lines[-1]["total_images"] == count
        assert lines[-1]["status"] == "SUCCESS"
    piped = subprocess.run(
        [sys.executable, "-m", "callboard", "batch", "x", "--manifest", "-", "--workflow", "scan", "--json"],
        cwd=house.folder,
        env=house.environment,
        input=f"{scans}/0.png\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert list(json.loads(piped.stdout)) == ["batch_id"]


def test_what_each_chain_is_given(house: Shell, scans: Path) -> None:
    (scans / "public.txt").write_text("https://example.org/0\nhttps://example.org/1\n")
    (scans / "options.json").write_text('{"hangul": "off"}')
    *_, last = house.json_lines(
        "batch", "x", str(scans / "0.png"), str(scans / "1.png"), "--options", f"@{scans}/options.json",
        "--public-manifest", str(scans / "public.txt"), "--priority", "high", "--window", "2",
        "--success-threshold", "0.5", "--workflow", "scan", "--follow",
    )  # fmt: skip
    *_, outcome = house.json_lines("status", f"{last['batch_id']}.1", "--follow")
    assert outcome["final_result"] == {
        "file_path": f"{scans}/1.png",
        "options": {"hangul": "off"},
        "public_file_path": "https://example.org/1",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "a batch needs files: name them, or give --glob"),
        (("none.png",), "file_paths: none.png: no such file"),
        (("{scans}/0.png", "{scans}/./0.png"), "file_paths: '{scans}/./0.png' is named twice"),
        (("ftp://me:secret@host/1.png",), "ftp://me:***@host/1.png holds a password"),
        (("--glob", "*.none"), "--glob: no file matches '*.none'"),
        (("--manifest", "none.txt"), "--manifest: cannot read none.txt"),
        (("--prefix", "{scans}/none"), "prefix: no image or PDF under {scans}/none"),
        (
            ("{scans}/0.png", "--public-manifest", "{scans}/two.txt"),
            "public_file_paths: read 2, expected one",
        ),
        (("{scans}/0.png", "--chunk-size", "lots"), "chunk_size: read 'lots', expected"),
        (("{scans}/0.png", "--window", "1.5"), "window: read 1.5, expected a whole number"),
        (("{scans}/0.png", "--success-threshold", "2"), "success_threshold: read 2, expected"),
        (("{scans}/0.png", "--options", "[1]"), "options: read '[1]', expected an object"),
        (("{scans}/0.png", "--options", "{{"), "--options is not JSON"),
        (("{scans}/0.png", "--workflow", "nothing"), "no workflow is named 'nothing' (known: "),
    ],
)
def test_a_batch_that_cannot_start(house: Shell, scans: Path, arguments: tuple[str, ...], words: str) -> None:
    (scans / "two.txt").write_text("a\nb\n")
    before = batches(house)
    given = [argument.format(scans=scans) for argument in arguments]
    refused = house.call("batch", "x", "--workflow", "scan", *given)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert words.format(scans=scans) in refused.stderr
    assert refused.stderr.startswith("callboard: ")
    assert refused.stderr.count("\n") == 1
    assert "secret" not in refused.stderr
    assert batches(house) == before


@pytest.mark.parametrize("name", ["", "n" * 10_240])
def test_names_that_cannot_be(house: Shell, scans: Path, name: str) -> None:
    refused = house.call("batch", name, str(scans / "0.png"), "--workflow", "scan")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("callboard: batch_name: ")
    assert len(refused.stderr) < 200


def test_failures_are_told_as_they_come(house: Shell, scans: Path) -> None:
    for number in (1, 3):
        (scans / f"{number}.png").write_text("torn")
    done = house.call("batch", "october", "--glob", f"{scans}/*.png", "--workflow", "scan", "--follow")
    assert done.stdout, done.stderr
    assert done.returncode == 1
    batch_id, *lines = done.stdout.splitlines()
    told = [line for line in lines if "torn" in line]
    assert sorted(told) == [
        f"   {scans}/{number}.png: stage 2 Scan · Task scan failed: the page is torn: [/corner]"
        for number in (1, 3)
    ], done.stdout
    assert lines[-1] == "october: FAILURE 5 of 5 images, 2 failed"

    forgiving = house.json_lines(
        "batch",
        "x",
        "--glob",
        f"{scans}/*.png",
        "--workflow",
        "scan",
        "--success-threshold",
        "0.6",
        "--follow",
    )
    assert forgiving[-1]["status"] == "SUCCESS"
    failed = [line["failed"] for line in forgiving if "failed" in line]
    assert sorted(item["index"] for item in failed) == [1, 3]
    assert {(item["stage"], item["stage_name"], item["status"]) for item in failed} == {(2, "Scan", "failed")}

    shown = house.call("status", batch_id)
    assert (shown.returncode, shown.stdout) == (1, "october: FAILURE 5 of 5 images, 2 failed\n")
    assert house.call("status", batch_id, "--follow").returncode == 1
    assert house.json_lines("status", batch_id)[0]["failed_images"] == 2


def test_of_many_failures_some_are_told(house: Shell, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number:02}.png").write_text("torn")
    done = house.call("batch", "x", "--prefix", str(tmp_path), "--workflow", "scan", "--follow")
    assert done.stdout.count("the page is torn") == 36
    batch_id = done.stdout.splitlines()[0]
    assert f"   … and more: `callboard batch-items {batch_id} --status failed`" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "x: FAILURE 60 of 60 images, 60 failed"


def test_there_are_more_failures_though_all_that_were_known_were_told(
    build_application: Any, work: Callable[..., Worker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MOST_FAILURES", 2)
    shop = Shop(build_application(), tmp_path)
    shop.gate.clear()
    shop.free = 2
    batch_id = shop.start(shop.files(3, "bad"))
    work(shop.application)
    wait_until(lambda: shop.status(batch_id).failed_images == 2)
    failures, status = batch._Failures(shop.application, batch_id), shop.status(batch_id)
    assert len(list(failures.new(status))) == 2
    assert not failures.say_more(status)
    shop.gate.set()
    status = shop.ended(batch_id)
    assert list(failures.new(status)) == []
    assert [failures.say_more(status) for _ in range(2)] == [True, False]


def test_an_interrupt_ends_following_and_not_the_batch(house: Shell, scans: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        follower = house.spawn(
            "batch", "october", "--prefix", str(scans), "--workflow", "scan", "--options",
            json.dumps({"gate": str(gate)}), "--follow", stdout=out, stderr=err,
        )  # fmt: skip
    wait_until(lambda: "STARTED" in (tmp_path / "out").read_text())
    follower.send_signal(signal.SIGINT)
    assert follower.wait(60) == 130
    batch_id = (tmp_path / "out").read_text().splitlines()[0]
    assert (tmp_path / "err").read_text() == (
        f"callboard: batch {batch_id} goes on; `callboard status {batch_id} --follow` shows it again\n"
    )
    gate.touch()
    assert house.call("status", batch_id, "--follow").returncode == 0


def test_on_a_terminal_a_batch_is_a_bar(house: Shell, scans: Path) -> None:
    (scans / "0.png").write_text("torn")
    status, text = house.on_a_terminal(
        "batch", "[october]", "--prefix", str(scans), "--workflow", "scan", "--follow"
    )
    assert status == 1
    for expected in ("[october]", "━", "100%", "5 of 5 images · 1 failed", "0.png: stage 2 Scan", "\x1b["):
        assert expected in text
    assert "[october]: FAILURE 5 of 5 images, 1 failed (" in text


def test_nobody_works(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    follower = shell.spawn("batch", "x", str(tmp_path / "a.png"), "--workflow", "scan", "--follow")
    wait_until(lambda: "the batch waits, and no worker runs" in shell.stderr())
    follower.send_signal(signal.SIGINT)
    assert follower.wait(60) == 130


def test_a_prefix_on_s3(house: Shell, bucket: str, s3_environment: dict[str, str]) -> None:
    import fsspec  # noqa: PLC0415

    fsspec.filesystem("s3").pipe({f"{bucket}/in/{name}": b"x" for name in ("a.png", "b.pdf", "c.txt")})
    started = house.call("batch", "x", "--prefix", f"{bucket}/in/", "--workflow", "scan", **s3_environment)
    assert (started.returncode, started.stderr) == (0, "")
    shown: dict[str, Any] = house.json_lines("status", started.stdout.strip())[0]
    assert shown["total_images"] == 2
    refused = house.call("batch", "x", "--prefix", f"{bucket}/none/", "--workflow", "scan", **s3_environment)
    assert refused.stderr == f"callboard: prefix: no image or PDF under {bucket}/none/\n"
