"""A video by each door: HTTP with a live WebSocket, an upload, the command line. And a killed worker."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets
from api_server import Api, serving
from chains import ended
from dramatiq import Worker
from shell import Shell, command_of
from waiting import wait_until

from actors.media.source import inspect
from actors.workflow import Workflow

Work = Callable[..., Worker]
MakeVideo = Callable[..., Path]

FAST = {"preset": "ultrafast", "segment_seconds": 1}
SLOW = {"preset": "slow"}


@pytest.fixture
def api(media: Workflow, work: Work) -> Iterator[Api]:
    work(media.application)
    with serving(media.application) as served:
        yield served


def test_by_http_with_a_live_websocket(api: Api, make_video: MakeVideo) -> None:
    long = make_video("half_a_minute.mp4", size="320x240", rate="30", seconds=30)
    path = api.application.storage.folder("uploads").write_bytes("long.mp4", long.read_bytes())

    async def scenario() -> list[dict[str, Any]]:
        body = {"workflow": "media_workflow", "chain_id": "17", "input": {"file_path": path, "options": SLOW}}
        started = await asyncio.to_thread(api.post, "/pipeline", json=body)
        assert started.status_code == 202, started.text
        seen = []
        async with websockets.connect(f"ws://127.0.0.1:{api.port}/ws/17") as client:
            async for text in client:
                seen.append(json.loads(text))
                video = (await asyncio.to_thread(api.get, "/media/videos/17/")).json()
                if seen[-1]["state"] in ("END", "FAILED"):
                    assert video["status"] == "READY", video
                    assert (video["progress"], video["duration"]) == (100, 30.0)
                    return seen
        raise AssertionError(f"the socket was closed: {seen}")

    seen = asyncio.run(asyncio.wait_for(scenario(), 120))
    shares = [message["progress"] for message in seen]
    assert shares == sorted(shares)
    assert len({share for share in shares if 0.02 < share < 0.97}) >= 3
    assert seen[-1]["state"] == "END"
    assert [message["message"] for message in seen if message.get("message", "").startswith("240p: 8 ")]


def test_an_upload_and_its_playlists_over_http(api: Api, make_video: MakeVideo, tmp_path: Path) -> None:
    plain = make_video("plain.mp4", sound=2)
    with plain.open("rb") as file:
        form = {"workflow": "media_workflow", "input": json.dumps({"options": FAST})}
        started = api.post("/pipeline", data=form, files={"file": ("film.mp4", file)})
    assert started.status_code == 202, started.text
    chain_id = started.json()["chain_id"]
    ended(api.application, chain_id, 60)
    api.reaches(chain_id, "SUCCESS")
    video = api.get(f"/media/videos/{chain_id}/").json()
    assert (video["status"], video["duration"]) == ("READY", 2.0)
    # What a player fetches, one after the other.
    files = f"/pipeline/{chain_id}/files"
    master = api.get(f"{files}/hls/master.m3u8")
    assert master.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    (rendition,) = [line for line in master.text.splitlines() if line and not line.startswith("#")]
    playlist = api.get(f"{files}/hls/{rendition}")
    (tmp_path / "index.m3u8").write_bytes(playlist.content)
    for line in playlist.text.splitlines():
        if not line.startswith("#"):
            segment = api.get(f"{files}/hls/{rendition.rpartition('/')[0]}/{line}")
            assert segment.headers["Content-Type"] == "video/mp2t"
            (tmp_path / line).write_bytes(segment.content)
    assert inspect(tmp_path / "index.m3u8", before=[]).seconds == pytest.approx(2, abs=0.1)
    assert api.get(f"{files}/poster.jpg").content.startswith(b"\xff\xd8\xff")


def test_what_is_refused_at_the_door(api: Api, make_video: MakeVideo, tmp_path: Path) -> None:
    place = api.application.storage.folder("uploads").write_bytes("a.mp4", b"")
    for options in ({"preset": "placebo"}, {"max_height": 10}, {"segment_seconds": 0}):
        body = {"workflow": "media_workflow", "input": {"file_path": place, "options": options}}
        answer = api.post("/pipeline", json=body)
        assert answer.status_code == 422, answer.text
        assert next(iter(options)) in answer.text
    form = {"workflow": "media_workflow"}
    answer = api.post("/pipeline", data=form, files={"file": ("film.mp4", b"%PDF-1.7 not a film")})
    assert answer.status_code == 422, answer.text


@pytest.fixture
def up(redis_url: str, tmp_path: Path) -> Iterator[Shell]:
    """``callboard up`` without the API."""
    shell = Shell(tmp_path, REDIS_URL=redis_url, LEASE_TTL="5")
    process = shell.up("--no-web")
    yield shell
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    wait_until(shell.is_empty)


def test_by_the_command_line(up: Shell, make_video: MakeVideo) -> None:
    path = make_video("plain.mp4", sound=2)
    ran = up.call("start", "media_workflow", "--file", str(path), "--input", '{"options": {}}', "--follow")
    assert ran.returncode == 0, ran.stderr
    assert "Encode" in ran.stdout
    chain_id = ran.stdout.splitlines()[0]
    assert up.json_lines("status", chain_id)[0]["status"] == "SUCCESS"


def test_a_worker_that_is_killed_while_it_encodes(up: Shell, make_video: MakeVideo) -> None:
    path = make_video("long.mp4", size="640x360", rate="30", seconds=12)
    document = json.dumps({"file_path": str(path), "options": SLOW})
    started = up.call("start", "media_workflow", "--input", document)
    chain_id = started.stdout.strip()

    def encoders() -> list[psutil.Process]:
        return [one for one in up.processes() if re.match(r"\S*ffmpeg.* -preset slow ", command_of(one))]

    # Not the command line's word for it: on a busy machine that comes when the encoder has ended.
    (encoder,) = wait_until(encoders, 60)
    guard = encoder.parent()
    assert guard is not None
    worker = guard.parent()
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not encoder.is_running() or encoder.status() == psutil.STATUS_ZOMBIE, 30)
    wait_until(lambda: up.json_lines("status", chain_id)[0]["status"] == "SUCCESS", 120, interval=0.3)
    assert up.entries(chain_id)[1]["process_status"] == "SUCCESS"
