"""The media workflow from a file to HLS: what it makes, how it fails, how it is revoked and goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker
from waiting import wait_until

import samples
from actors import ffmpeg
from actors.batches import chunks
from actors.batches.start import start_batch_pipeline
from actors.batches.status import batch_status
from actors.control import resume, revoke
from actors.media.source import inspect
from actors.storage import local_copy
from actors.workflow import Workflow

Work = Callable[..., Worker]
MakeVideo = Callable[..., Path]

CLIP = Path(samples.__file__).with_name("clip.mp4")
FAST = {"preset": "ultrafast", "segment_seconds": 1}
#: Slow enough to be met in the middle.
LONG: dict[str, Any] = {"size": "640x360", "rate": "30", "seconds": 12}
SLOW = {"preset": "slow"}


class Keys:
    """The keys by which existing systems see a video."""

    def __init__(self, media: Workflow) -> None:
        self._client, self._keys = media.application.board.clients.get(), media.application.board.keys

    def progress(self, video_id: str) -> dict[str, Any]:
        text: Any = self._client.get(self._keys.video_progress(video_id))
        found: dict[str, Any] = json.loads(text)
        return found

    def status(self, video_id: str) -> dict[str, Any] | None:
        text: Any = self._client.get(self._keys.video_status(video_id))
        return json.loads(text) if text else None


def encode(media: Workflow, path: Path | str, **options: Any) -> str:
    return media.start({"file_path": str(path), "options": {**FAST, **options}})


def files(tmp_path: Path, chain_id: str) -> list[str]:
    folder = tmp_path / "storage" / chain_id
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def encoders() -> list[str]:
    """The ffmpegs that run under this process."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(one.name())
    return [name for name in found if "ffmpeg" in name]


def nothing_is_left(tmp_path: Path) -> bool:
    """No ffmpeg of this process, and nothing half made."""
    assert not encoders()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert [path for path in (tmp_path / "storage").rglob("*") if path.name.endswith(".part")] == []
    return True


def ratio(log: str) -> float:
    """How near two pictures are, in decibels (PSNR), over all frames."""
    found = re.search(r"PSNR .*average:(\S+)", log)
    assert found, log
    return float(found[1])


def test_the_sample_clip(media: Workflow, work: Work, tmp_path: Path) -> None:
    work(media.application)
    chain_id = encode(media, CLIP, segment_seconds=2)
    chain = ended(media.application, chain_id, 60)
    assert chain.status == "SUCCESS", chain.error
    final = chain.final_result
    assert (final["duration"], final["width"], final["height"]) == (8.0, 854, 480)
    assert [one["name"] for one in final["renditions"]] == ["480p", "360p", "240p"]
    assert Keys(media).status(chain_id) == {**final, "status": "READY"}
    assert Keys(media).progress(chain_id)["progress"] == 100
    master = Path(urlsplit(final["hls_path"]).path)
    # Each rendition shows what the source shows, and lasts as long.
    for index, one in enumerate(final["renditions"]):
        with local_copy(one["playlist_url"]) as playlist:
            made = inspect(playlist, before=[])
            assert (made.width, made.height) == (one["width"], one["height"])
            assert made.seconds == pytest.approx(8.0, abs=1 / 15)
            compared = ffmpeg.run(
                [
                    *("-i", str(CLIP), "-i", str(playlist), "-lavfi"),
                    f"[0:v]scale={one['width']}:{one['height']}:flags=bicubic,setpts=PTS-STARTPTS[source];"
                    "[1:v]setpts=PTS-STARTPTS[made];[source][made]psnr",
                    *("-f", "null", "-"),
                ]
            )
            assert ratio(compared.log) > 30
        assert f"RESOLUTION={one['width']}x{one['height']}" in master.read_text()
        # A player that is given the playlist of all finds each.
        played = ffmpeg.run(["-i", str(master), "-map", f"0:v:{index}", "-map", "0:a:0", "-f", "null", "-"])
        assert played.seconds == pytest.approx(8.0, abs=0.1)
    poster = Path(urlsplit(final["poster_url"]).path)
    assert "mjpeg" in (seen := ffmpeg.run(["-i", str(poster)], check=False).log)
    assert "854x480" in seen
    recorded(media.application)
    check_stores(media.application, chain_id)
    assert nothing_is_left(tmp_path)


def test_the_percentage_is_that_of_the_encoding(media: Workflow, work: Work, make_video: MakeVideo) -> None:
    work(media.application)
    chain_id = encode(media, make_video("long.mp4", **LONG), preset="medium")
    keys, seen, substeps = Keys(media), [], set()

    def look() -> bool:
        told = keys.progress(chain_id)
        assert keys.status(chain_id) is None or told["status"] == "READY"
        seen.append(told["progress"])
        for entry in media.application.board.array(chain_id) or []:
            substeps.add(entry["metadata"].get("substep", ""))
        return bool(told["status"] == "READY")

    wait_until(look, 120)
    assert seen == sorted(seen)
    assert len({percent for percent in seen if 2 < percent < 97}) >= 4
    assert {"360p (1 of 2)", "240p (2 of 2)"} <= substeps


def test_a_revoked_encoding_ends_and_goes_on_where_it_was(
    media: Workflow, work: Work, tmp_path: Path, make_video: MakeVideo
) -> None:
    work(media.application)
    chain_id = media.start({"file_path": str(make_video("long.mp4", **LONG)), "options": SLOW})
    wait_until(lambda: "hls/360p/index.m3u8" in files(tmp_path, chain_id) and encoders(), 60)
    revoke(chain_id, "not wanted", application=media.application)
    wait_until(lambda: nothing_is_left(tmp_path), 30)
    assert Keys(media).status(chain_id) == {"status": "FAILED", "error_reason": "not wanted"}
    assert not [name for name in files(tmp_path, chain_id) if "240p" in name or "master" in name]
    kept = tmp_path / "storage" / chain_id / "hls/360p/segment-00000.ts"
    made = kept.stat().st_mtime_ns
    resume(chain_id, application=media.application)
    assert ended(media.application, chain_id, 60).status == "SUCCESS"
    status = Keys(media).status(chain_id)
    assert status is not None
    assert (status["status"], status["duration"]) == ("READY", 12.0)
    assert kept.stat().st_mtime_ns == made
    assert nothing_is_left(tmp_path)


def test_a_resume_from_each_stage(media: Workflow, work: Work, tmp_path: Path, make_video: MakeVideo) -> None:
    work(media.application)
    chain_id = encode(media, make_video("plain.mp4", sound=2))
    first = ended(media.application, chain_id, 60).final_result
    before = files(tmp_path, chain_id)
    segment = tmp_path / "storage" / chain_id / "hls/64p/segment-00000.ts"
    made = segment.stat().st_mtime_ns
    for stage in (4, 3, 2, 1):
        resume(chain_id, from_stage=stage, application=media.application)
        assert ended(media.application, chain_id, 60).final_result == first
        assert files(tmp_path, chain_id) == before
        assert (segment.stat().st_mtime_ns == made) is (stage > 1)


def test_a_segment_that_is_gone_is_noticed_and_made_again(
    media: Workflow, work: Work, tmp_path: Path, make_video: MakeVideo
) -> None:
    work(media.application)
    chain_id = encode(media, make_video("plain.mp4", sound=2))
    first = ended(media.application, chain_id, 60).final_result
    segment = tmp_path / "storage" / chain_id / "hls/64p/segment-00001.ts"
    segment.unlink()
    media.application.broker.get_actor("media.package").options["max_retries"] = 0
    resume(chain_id, from_stage=3, application=media.application)
    chain = ended(media.application, chain_id, 60)
    assert chain.status == "FAILURE"
    assert "rendition 64p: segment segment-00001.ts is missing; resume from stage 2" in chain.error
    assert Keys(media).status(chain_id) == {"status": "FAILED", "error_reason": chain.error}
    resume(chain_id, from_stage=2, application=media.application)
    assert ended(media.application, chain_id, 60).final_result == first
    assert segment.exists()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"file_path": "{folder}/none.mp4"}, "none.mp4: no such file"),
        ({"file_path": "{folder}"}, "a folder, not a file"),
        ({"file_path": "{folder}/text.mp4"}, "no video file of a kind that is read here"),
        ({"file_path": ""}, "the input needs a file_path"),
        ({"file_path": "{video}", "options": {"preset": "placebo"}}, "options.preset: read 'placebo'"),
        (
            {"file_path": "{video}", "options": {"max_height": 4}},
            "options.max_height: read 4, expected 240 to",
        ),
        ({"file_path": "{video}", "options": {"segment_seconds": "4"}}, "options.segment_seconds: read '4'"),
        ({"file_path": "{video}", "options": {"colour": 1}}, "options: read colour, expected some of max_"),
        ({"file_path": "/" + "x" * 5000}, "no such file (File name too long)"),
        ({"file_path": "{video}", "options": []}, None),
        ({"file_path": "{video}", "options": [1]}, "options: read [1], expected an object"),
        ("{video}", "the input needs a file_path"),
    ],
)
def test_bad_input_fails_at_once_and_says_why(
    media: Workflow, work: Work, tmp_path: Path, make_video: MakeVideo, document: Any, reason: str | None
) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    video = make_video("plain.mp4", sound=2)
    text = json.dumps(document).replace("{folder}", str(tmp_path)).replace("{video}", str(video))
    chain_id = media.start(json.loads(text))
    work(media.application)
    chain = ended(media.application, chain_id, 60)
    if reason is None:
        assert chain.status == "SUCCESS"
        return
    assert chain.status == "FAILURE"
    assert reason in chain.error
    assert media.application.board.task(chain_id, 1)["attempt"] == 1
    assert Keys(media).status(chain_id) == {"status": "FAILED", "error_reason": chain.error}


@pytest.mark.parametrize(("seconds", "rate"), [(0.1, "10"), (0.04, "25"), (1, "1")])
def test_a_video_of_one_frame(
    media: Workflow, work: Work, make_video: MakeVideo, tmp_path: Path, seconds: float, rate: str
) -> None:
    work(media.application)
    chain_id = encode(media, make_video(f"frame_{rate}.mp4", seconds=seconds, rate=rate))
    chain = ended(media.application, chain_id, 60)
    assert chain.status == "SUCCESS", chain.error
    assert chain.final_result["duration"] == pytest.approx(seconds)
    assert Path(urlsplit(chain.final_result["poster_url"]).path).read_bytes().startswith(b"\xff\xd8\xff")
    assert nothing_is_left(tmp_path)


def test_a_storage_that_is_not_local(
    build_application: Any, media: Workflow, work: Work, make_video: MakeVideo
) -> None:
    storage = media.application.storage
    storage.url = f"memory://{uuid4().hex}"
    uploads = storage.folder("uploads")
    url = uploads.write_bytes("a video.mp4", make_video("plain.mp4", sound=2).read_bytes())
    work(media.application)
    chain_id = encode(media, url)
    chain = ended(media.application, chain_id, 60)
    assert chain.status == "SUCCESS", chain.error
    assert chain.final_result["hls_path"] == f"{storage.url}/{chain_id}/hls/master.m3u8"
    stored = storage.folder(chain_id).sizes()
    assert {
        "poster.jpg",
        "hls/master.m3u8",
        "hls/64p/index.m3u8",
        "hls/64p/segment-00001.ts",
    } <= stored.keys()
    segments = [size for name, size in stored.items() if name.endswith(".ts")]
    assert sum(segments) == chain.final_result["bytes"]


def test_a_batch(media: Workflow, work: Work, tmp_path: Path, make_video: MakeVideo) -> None:
    work(media.application)
    good = [make_video("plain.mp4", sound=2), make_video("silent.mp4")]
    (tmp_path / "text.mp4").write_text("hello")
    chunks.declare(media.application.broker)
    batch_id = start_batch_pipeline(
        "videos",
        [str(path) for path in [*good, tmp_path / "text.mp4"]],
        workflow="media_workflow",
        chunk_size=2,
        application=media.application,
    )
    wait_until(lambda: batch_status(batch_id, application=media.application).status == "FAILURE", 60)
    told = batch_status(batch_id, application=media.application)
    assert (told.completed_images, told.failed_images) == (2, 1)
    assert [(Keys(media).status(f"{batch_id}.{number}") or {})["status"] for number in (0, 1, 2)] == [
        "READY",
        "READY",
        "FAILED",
    ]
