"""Whole runs, through a real worker: what is told, what is made, what is refused, and how they go on."""

from __future__ import annotations

import csv
import io
import json
import wave
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker
from PIL import Image
from shipped import SAMPLES
from shorts_runs import SMALL, Shorts, path_of
from waiting import wait_until

from actors import ffmpeg, starter
from actors.batches.start import start_batch_pipeline
from actors.batches.status import batch_status
from actors.control import resume, revoke
from callboard.client import Client
from db.status_rows import ENDED

Work = Callable[..., Worker]

#: The document's table: state, share of the run (from, to), log line.
TABLE = [
    ("PLOT_GENERATION", 0.10, 0.10, "플롯 생성 시작: 프롬프트 분석 중..."),
    ("PLOT_GENERATION", 0.12, 0.12, "시나리오 생성 중 (내장 템플릿)..."),
    ("PLOT_GENERATION", 0.15, 0.15, "시나리오 CSV 생성 완료"),
    ("PLOT_GENERATION", 0.17, 0.17, "JSON 레이아웃 변환 중..."),
    ("PLOT_GENERATION", 0.20, 0.20, "JSON 레이아웃 생성 완료"),
    ("ASSET_GENERATION", 0.25, 0.25, "에셋 생성 시작 (디자이너, 작곡가, 성우)"),
    ("ASSET_GENERATION", 0.30, 0.40, "디자이너: 이미지 생성 중..."),
    ("ASSET_GENERATION", 0.40, 0.50, "작곡가: 배경음악 생성 중..."),
    ("ASSET_GENERATION", 0.50, 0.65, "성우: 음성 합성 중..."),
    ("RENDERING", 0.75, 0.75, "렌더링 단계 시작"),
    ("RENDERING", 0.80, 0.80, "렌더링 완료: {output_path}"),
    ("QA", 0.85, 0.85, "QA: 품질 검수 시작..."),
    ("QA", 0.87, 0.95, "QA: 영상 파일 확인 완료"),
    ("QA", 0.87, 0.95, "QA: 화면과 소리 확인 완료"),
    ("END", 1.00, 1.00, "영상 생성 완료! 🎉"),
]
RANGES = {
    "PLOT_GENERATION": (0.10, 0.20),
    "ASSET_GENERATION": (0.25, 0.65),
    "RENDERING": (0.75, 0.80),
    "QA": (0.85, 0.95),
    "END": (1.0, 1.0),
}


def test_the_channel_tells_the_table_of_the_document(shorts: Shorts, work: Work) -> None:
    """One thread runs designer, composer and voice one after the other, as the table has them."""
    work(shorts.application, worker_threads=1)
    run_id = shorts.start()
    chain = ended(shorts.application, run_id, 120)
    assert chain.status == "SUCCESS", chain.error
    messages = shorts.messages()
    assert {message["run_id"] for message in messages} == {run_id}
    logged = [message for message in messages if "log" in message]
    result: Any = chain.final_result
    assert [(message["state"], message["log"]) for message in logged] == [
        (state, log.format(output_path=result["video_url"])) for state, _, _, log in TABLE
    ]
    for message, (_, low, high, _) in zip(logged, TABLE, strict=True):
        assert low <= message["progress"] <= high, message
    shares = [message["progress"] for message in messages]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    # What is told between two lines belongs to the row before.
    row = -1
    for message in messages:
        low, high = RANGES[message["state"]]
        row += "log" in message
        if message["state"] == "ASSET_GENERATION":
            low, high = TABLE[row][1], max(TABLE[row][2], 0.30)
        assert low <= message["progress"] <= high, message
        assert round(message["progress"], 2) == message["progress"]


def test_a_run_side_by_side_and_what_it_makes(shorts: Shorts, work: Work) -> None:
    work(shorts.application)
    run_id = shorts.start()
    assert run_id.split("_")[-1] == "우주여행고양이"
    chain = ended(shorts.application, run_id, 120)
    assert chain.status == "SUCCESS", chain.error
    messages = shorts.messages()
    shares = [message["progress"] for message in messages]
    assert shares == sorted(shares)
    states = list(dict.fromkeys(message["state"] for message in messages))
    assert states == ["PLOT_GENERATION", "ASSET_GENERATION", "RENDERING", "QA", "END"]
    assert all(RANGES[m["state"]][0] <= m["progress"] <= RANGES[m["state"]][1] for m in messages)
    result: Any = chain.final_result
    artifacts = result["artifacts"]
    assert result["engine"] == "templates"
    rows = list(csv.DictReader(io.StringIO(path_of(artifacts["csv"]).read_text("utf-8-sig"))))
    assert [row["narration"] for row in rows] == [
        "오늘의 주인공, 우주여행 고양이를 소개합니다.",
        "우주여행 고양이의 이야기는 이제부터 시작입니다.",
    ]
    layout = json.loads(path_of(artifacts["layout"]).read_text())
    assert [scene["title"] for scene in layout["scenes"]] == [row["title"] for row in rows]
    for url in artifacts["images"]:
        with Image.open(path_of(url)) as picture:
            assert len(picture.convert("RGB").resize((40, 70)).getcolors(2800)) > 200
    assert path_of(artifacts["images"][0]).read_bytes() != path_of(artifacts["images"][1]).read_bytes()
    with wave.open(str(path_of(artifacts["music"]))) as music:
        assert music.getnframes() / music.getframerate() == pytest.approx(layout["seconds"] + 1.5, abs=0.01)
    report = json.loads(path_of(artifacts["qa"]).read_text())
    assert report["passed"]
    assert [check["name"] for check in report["checks"]] == [
        *("duration", "picture", "sound", "black", "silence", "loudness", "peak")
    ]
    assert not list(shorts.folder(run_id).glob(".*"))
    # What anybody else would measure: the frames differ, and none is black.
    measured = "signalstats,metadata=print:key=lavfi.signalstats.YAVG"
    video = path_of(result["video_url"])
    seen = ffmpeg.run(["-i", f"file:{video}", "-vf", measured, "-f", "null", "-"]).log
    light = [float(line.split("=")[1]) for line in seen.splitlines() if "signalstats.YAVG" in line]
    assert len(light) == pytest.approx(result["seconds"] * 25, abs=2)
    assert min(light) > 30
    recorded(shorts.application)
    check_stores(shorts.application, run_id)


def test_a_black_and_silent_video_fails_and_the_run_goes_on_once_it_is_mended(
    shorts: Shorts, work: Work
) -> None:
    work(shorts.application)
    run_id = shorts.start()
    assert ended(shorts.application, run_id, 120).status == "SUCCESS"
    kept = _blacken(shorts.folder(run_id))
    assert resume(run_id, from_stage=3, application=shorts.application) == 3
    chain = ended(shorts.application, run_id, 120)
    assert chain.status == "FAILURE"
    assert chain.error is not None
    assert "the video did not pass: black: " in chain.error
    assert "loudness: -70.0 LUFS, expected -16 LUFS (±6)" in chain.error
    assert shorts.messages()[-1]["state"] == "FAILED"
    report = json.loads((shorts.folder(run_id) / "qa.json").read_text())
    assert [check["name"] for check in report["checks"] if not check["passed"]] == [
        *("black", "silence", "loudness")
    ]
    # The next stage to run is the one that failed: it fails again until the material is good.
    for path, content in kept.items():
        path.write_bytes(content)
    assert resume(run_id, application=shorts.application) == 4
    assert ended(shorts.application, run_id, 120).status == "FAILURE"
    assert resume(run_id, from_stage=3, application=shorts.application) == 3
    assert ended(shorts.application, run_id, 120).status == "SUCCESS"
    said = [message.get("log") for message in shorts.messages()]
    assert said.count("렌더링 단계 시작") == 1
    recorded(shorts.application)
    check_stores(shorts.application, run_id)


def _blacken(folder: Path) -> dict[Path, bytes]:
    """Make all pictures black and all sound silent; returns what the files held."""
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".wav")}
    for path in kept:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                Image.new(picture.mode, picture.size).save(path)
            continue
        with wave.open(str(path)) as sound:
            facts, length = sound.getparams(), sound.getnframes()
        with wave.open(str(path), "wb") as sound:
            sound.setparams(facts)
            sound.writeframes(bytes(length * facts.sampwidth * facts.nchannels))
    return kept


@pytest.mark.parametrize("stage", [1, 2, 4])
def test_a_run_goes_on_from_any_stage(shorts: Shorts, work: Work, stage: int) -> None:
    work(shorts.application)
    run_id = shorts.start("A robot in the rain")
    first: Any = ended(shorts.application, run_id, 120).final_result
    before = {name: _made(shorts.folder(run_id) / name) for name in ("scenes.csv", "music.wav", "short.mp4")}
    assert resume(run_id, from_stage=stage, application=shorts.application) == stage
    again = ended(shorts.application, run_id, 120)
    assert again.status == "SUCCESS", again.error
    assert again.final_result == first
    after = {name: _made(shorts.folder(run_id) / name) for name in before}
    assert [name for name in before if after[name] != before[name]] == {
        1: ["scenes.csv", "music.wav", "short.mp4"],
        2: ["music.wav", "short.mp4"],
        4: [],
    }[stage]


def _made(path: Path) -> int:
    return path.stat().st_ino


def test_a_run_that_is_revoked_while_it_renders_leaves_nothing_half(
    shorts: Shorts, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    work(shorts.application)
    run_id = shorts.start(scenes=4, size="720x1280", scene_seconds=6)

    def renders() -> bool:
        task = shorts.application.board.task(run_id, 3) or {}
        return int(task.get("progress", 0)) > 1

    wait_until(renders, 120)
    assert _ffmpegs(tmp_path)
    assert list(tmp_path.glob("callboard-scratch-*/short.mp4"))
    receipts = revoke(run_id, application=shorts.application)
    assert [(receipt.stage, receipt.outcome) for receipt in receipts] == [(3, "told to stop")]
    wait_until(lambda: not _ffmpegs(tmp_path), 30)
    wait_until(lambda: not list(tmp_path.glob("callboard-scratch-*")), 30)
    assert ended(shorts.application, run_id).status == "REVOKED"
    made = sorted(path.name for path in shorts.folder(run_id).iterdir())
    assert "short.mp4" not in made
    assert not [name for name in made if name.endswith(".part")]
    assert shorts.messages()[-1]["state"] == "FAILED"


def _ffmpegs(folder: Path) -> list[str]:
    """Processes that write into a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"ffmpeg" in command and str(folder).encode() in command:
            found.append(command.decode())
    return found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"prompt": " "}, "prompt: read ' ', expected a text"),
        ({"prompt": "x", "spec": {"scenes": 9}}, "spec.scenes: read 9, expected a whole number from 1 to 8"),
        ({"prompt": "x", "spec": {"size": "161x284"}}, "spec.size: read '161x284', expected WIDTHxHEIGHT"),
        ({"prompt": "x", "spec": {"language": "fr"}}, "spec.language: read 'fr', expected ko or en"),
        ({"prompt": "x", "spec": {"colour": 1}}, "spec: read colour, expected some of scenes"),
        ({"prompt": "고양이" * 3500}, "expected a text of 1 to 1000 characters"),
        ({"prompt": "cat\0dog"}, "prompt: read the character '\\x00', expected none but letters and signs"),
        ({"prompt": "cat\ud800"}, "prompt: read the character '\\ud800'"),
        ({"prompt": "x", "file_path": "/nowhere"}, "both a prompt and a file_path: expected one of them"),
        ({"file_path": f"{SAMPLES}/prompt_korean.txt", "spec": [1]}, "spec: read [1], expected an object"),
        ({"file_path": f"{SAMPLES}/prompt_korean.txt", "options": "x"}, "options: read 'x', expected an"),
        ({"file_path": f"{SAMPLES}/clip.mp4"}, "a prompt's file has at most 16384 bytes"),
    ],
)
def test_bad_input_fails_at_once_and_says_why(shorts: Shorts, work: Work, data: Any, said: str) -> None:
    work(shorts.application)
    run_id = shorts.workflow.start(data)
    chain = ended(shorts.application, run_id, 60)
    assert (chain.status, chain.current_stage) == ("FAILURE", 1)
    assert said in (chain.error or "")
    assert (shorts.application.board.task(run_id, 1) or {})["attempt"] == 1


def test_a_prompt_of_nothing_but_emojis_is_one(shorts: Shorts, work: Work) -> None:
    work(shorts.application)
    run_id = shorts.start("😀🎉", scenes=1)
    assert run_id.endswith("_short")
    chain = ended(shorts.application, run_id, 60)
    assert chain.status == "SUCCESS", chain.error


def test_many_at_once_have_ids_of_their_own(shorts: Shorts, work: Work) -> None:
    run_ids = shorts.workflow.start_many([{"prompt": "cat", "spec": {"scenes": 0}}] * 3)
    assert len(set(run_ids)) == 3
    assert all("_cat_" in run_id for run_id in run_ids)
    first, second = shorts.start("dog"), shorts.start("dog")
    assert second.startswith(first)
    work(shorts.application)
    assert {ended(shorts.application, run_id).status for run_id in run_ids} == {"FAILURE"}
    for run_id in (first, second):
        assert ended(shorts.application, run_id, 120).status == "SUCCESS"


def test_a_batch_of_prompts_in_files(shorts: Shorts, work: Work, tmp_path: Path) -> None:
    plain, full, wrong = tmp_path / "cat.txt", tmp_path / "dog.json", tmp_path / "wrong.json"
    plain.write_text("우주여행 고양이\n")
    full.write_text(json.dumps({"prompt": "A dog by the sea", "spec": {"scenes": 1}}))
    wrong.write_text('{"prompt": ')
    batch_id = start_batch_pipeline(
        "prompts",
        [str(plain), str(full), str(wrong)],
        options={"scenes": 2, "size": "160x284", "scene_seconds": 1},
        workflow="autoshorts",
        application=shorts.application,
    )
    work(shorts.application)
    wait_until(lambda: batch_status(batch_id, application=shorts.application).status in ENDED, 180)
    status = batch_status(batch_id, application=shorts.application)
    assert (status.completed_images, status.failed_images) == (2, 1)
    results: list[Any] = [shorts.application.status.find(f"{batch_id}.{number}") for number in range(3)]
    assert [result.final_result["scenes"] for result in results[:2]] == [2, 1]
    assert f"{wrong}: neither a prompt nor JSON" in results[2].error


def test_a_run_of_autoshorts_by_the_light_client_in_the_documents_form(shorts: Shorts, work: Work) -> None:
    """The client asks nobody for an id: who wants the workflow's form says it."""
    starter.declare(shorts.application.broker)
    work(shorts.application)
    client = Client(shorts.application.settings.redis_url)
    run_id = f"{datetime.now():%Y%m%d_%H%M}_우주여행고양이"
    document = {"prompt": "우주여행 고양이", "spec": {**SMALL, "scenes": 1}}
    assert {client.start("autoshorts", document, chain_id=run_id) for _ in range(2)} == {run_id}
    told = list(client.follow(run_id, timeout=120))
    assert told[-1]["state"] == "END", told[-1]
    assert {message["run_id"] for message in told} == {run_id}
    assert [message["log"] for message in told if "log" in message][-1] == "영상 생성 완료! 🎉"
    client.close()
