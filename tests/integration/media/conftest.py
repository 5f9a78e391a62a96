"""Fixtures: the workflow on an application of the test's own, and videos made on the fly."""

from __future__ import annotations

from collections.abc import Callable
from importlib import reload
from pathlib import Path
from typing import Any

import pytest

import actors.media
import actors.media.stages
from actors import ffmpeg
from actors.workflow import Workflow

MakeVideo = Callable[..., Path]

PICTURE = "testsrc2=size={size}:rate={rate}:duration={seconds}"


@pytest.fixture
def media(build_application: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """The workflow, declared again on the test's broker; scratch folders are in ``tmp_path/scratch``."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    build_application()
    reload(actors.media.stages)
    declared: Workflow = reload(actors.media).media
    return declared


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> MakeVideo:
    """Makes a video by ffmpeg's own sources, once a session for each name."""
    folder = tmp_path_factory.mktemp("videos")

    def make(
        name: str,
        *,
        size: str = "96x64",
        rate: str = "10",
        seconds: float = 2,
        sound: float = 0,
        options: tuple[str, ...] = (),
    ) -> Path:
        target = folder / name
        if not target.exists():
            picture = PICTURE.format(size=size, rate=rate, seconds=seconds)
            tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={sound}"] if sound else []
            chosen = options or ("-preset", "ultrafast", "-pix_fmt", "yuv420p")
            ffmpeg.run(["-f", "lavfi", "-i", picture, *tone, *chosen, str(target)])
        return target

    return make
