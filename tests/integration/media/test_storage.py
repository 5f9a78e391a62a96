"""A video from S3 and back: what players fetch, what a revoke leaves, and where it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import psutil
import pytest
from api_server import Api, serving
from chains import ended
from dramatiq import Worker
from waiting import wait_until

from actors.control import resume, revoke
from actors.media.source import inspect
from actors.workflow import Workflow

Work = Callable[..., Worker]
MakeVideo = Callable[..., Path]

FAST = {"preset": "ultrafast", "segment_seconds": 1}


@pytest.fixture
def api(bucket: str, media: Workflow, work: Work) -> Iterator[Api]:
    """With the storage in a bucket."""
    media.application.storage.url = f"{bucket}/storage"
    work(media.application)
    with serving(media.application) as served:
        yield served


def put(path: Path, url: str) -> str:
    fsspec.filesystem("s3").put_file(str(path), url)
    return url


def scratch_is_empty(tmp_path: Path) -> bool:
    assert list((tmp_path / "scratch").iterdir()) == []
    return True


def ffmpegs() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "ffmpeg" in one.name()]


def test_from_a_bucket_to_a_bucket(
    api: Api, media: Workflow, bucket: str, make_video: MakeVideo, tmp_path: Path
) -> None:
    video = put(make_video("plain.mp4", sound=2), f"{bucket}/in/우리 film.mp4")
    chain_id = media.start({"file_path": video, "options": FAST})
    chain = ended(media.application, chain_id, 60)
    assert chain.status == "SUCCESS", chain.error
    final, place = chain.final_result, f"{bucket}/storage/{chain_id}"
    assert (final["hls_path"], final["poster_url"]) == (f"{place}/hls/master.m3u8", f"{place}/poster.jpg")
    assert api.get(f"/media/videos/{chain_id}/").json()["hls_path"] == final["hls_path"]
    # What a player fetches, from the API as from the bucket itself.
    files = fsspec.filesystem("s3")
    for name in ("hls/master.m3u8", "hls/64p/index.m3u8", "hls/64p/segment-00001.ts", "poster.jpg"):
        answer = api.get(f"/pipeline/{chain_id}/files/{name}")
        assert (answer.status_code, answer.content) == (200, files.cat_file(f"{place}/{name}")), name
        assert answer.headers["Content-Type"] == files.info(f"{place}/{name}")["ContentType"]
        (tmp_path / Path(name).name).write_bytes(answer.content)
    (tmp_path / "segment-00000.ts").write_bytes(files.cat_file(f"{place}/hls/64p/segment-00000.ts"))
    assert inspect(tmp_path / "index.m3u8", before=[]).seconds == pytest.approx(2, abs=0.1)
    part = api.get(f"/pipeline/{chain_id}/files/poster.jpg", headers={"Range": "bytes=0-2"})
    assert (part.status_code, part.content) == (206, b"\xff\xd8\xff")
    assert scratch_is_empty(tmp_path)


def test_a_revoked_one_leaves_nothing_half_and_goes_on(
    api: Api, media: Workflow, bucket: str, make_video: MakeVideo, tmp_path: Path
) -> None:
    long = make_video("long.mp4", size="640x360", rate="30", seconds=12)
    chain_id = media.start({"file_path": put(long, f"{bucket}/long.mp4"), "options": {"preset": "slow"}})
    folder = media.application.storage.folder(chain_id)
    wait_until(lambda: "hls/360p/index.m3u8" in folder.sizes() and ffmpegs(), 60)
    revoke(chain_id, "not wanted", application=media.application)
    wait_until(lambda: not ffmpegs() and scratch_is_empty(tmp_path), 30)
    assert ended(media.application, chain_id).status == "REVOKED"
    kept = folder.sizes()
    assert not [name for name in kept if "240p" in name or "master" in name]
    assert api.get(f"/pipeline/{chain_id}/files/hls/master.m3u8").status_code == 404
    written = fsspec.filesystem("s3").info(folder.url_of("hls/360p/index.m3u8"))["LastModified"]
    resume(chain_id, application=media.application)
    assert ended(media.application, chain_id, 60).status == "SUCCESS"
    assert kept.items() <= folder.sizes().items()
    assert fsspec.filesystem("s3").info(folder.url_of("hls/360p/index.m3u8"))["LastModified"] == written
    # From the first stage all is made anew, and nothing old is left.
    resume(chain_id, from_stage=1, application=media.application)
    wait_until(lambda: "hls/master.m3u8" not in folder.sizes(), 30)
    revoke(chain_id, application=media.application)
    wait_until(lambda: not ffmpegs() and scratch_is_empty(tmp_path), 30)


@pytest.mark.parametrize("name", ["none.mp4", "text.mp4", ""])
def test_bad_input_names_the_file_as_it_was_given(
    api: Api, media: Workflow, bucket: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    put(tmp_path / "text.mp4", f"{bucket}/in/text.mp4")
    chain_id = media.start({"file_path": f"{bucket}/in/{name}"})
    chain = ended(media.application, chain_id, 60)
    assert chain.status == "FAILURE"
    assert chain.error is not None
    assert name in chain.error
    assert "scratch" not in chain.error
    task: dict[str, Any] = media.application.board.task(chain_id, 1) or {}
    assert task["attempt"] == 1
    assert media.application.storage.folder(chain_id).sizes() == {}
    assert scratch_is_empty(tmp_path)
