"""Quality control on files that are not as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import ffmpeg
from actors.autoshorts.quality import QualityError, as_report, check_content, check_streams
from callboard.errors import StageError

SOURCES = ("-f", "lavfi", "-i", "testsrc=size=160x120:rate=25:duration=2")


def made(path: Path, *arguments: str) -> Path:
    ffmpeg.run([*SOURCES, *arguments, "-pix_fmt", "yuv420p", f"file:{path}"])
    return path


def test_length_size_codec_and_missing_sound(tmp_path: Path) -> None:
    video = made(tmp_path / "mute.mp4", "-c:v", "mpeg4")
    checks = check_streams(video, 160, 284, 3.0)
    assert [(check.name, check.measured, check.passed) for check in checks] == [
        ("duration", "2.00 s", False),
        ("picture", "mpeg4 160x120", False),
        ("sound", "none", False),
    ]
    assert str(QualityError(checks)) == (
        "the video did not pass: duration: 2.00 s, expected 3.00 s (±0.3 s); "
        "picture: mpeg4 160x120, expected h264 160x284; sound: none, expected aac"
    )
    assert not as_report(checks, {})["passed"]


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(StageError, match=r"text.mp4 cannot be read as a video"):
        check_streams(text, 160, 284, 3.0)


@pytest.mark.parametrize(
    ("video_filter", "sound", "failed"),
    [
        ("null", "sine=frequency=440:duration=2,volume=6dB", []),
        ("drawbox=c=black:t=fill:enable='between(t,0.5,1.4)'", "sine=duration=2,volume=6dB", ["black"]),
        ("null", "sine=frequency=440:duration=2,volume=-40dB", ["loudness"]),
        ("null", "sine=frequency=440:duration=2,volume=30dB", ["loudness", "peak"]),
    ],
)
def test_pictures_and_sound(tmp_path: Path, video_filter: str, sound: str, failed: list[str]) -> None:
    video = made(
        tmp_path / "video.mp4",
        "-f",
        "lavfi",
        "-i",
        sound,
        "-vf",
        video_filter,
        "-c:v",
        "libx264",
        "-c:a",
        "aac",
    )
    reported: list[float] = []
    checks = check_content(video, 2.0, reported.append)
    assert [check.name for check in checks if not check.passed] == failed, checks
    assert reported[-1] == pytest.approx(100, abs=5)


def test_a_long_silence(tmp_path: Path) -> None:
    sound = ["-f", "lavfi", "-i", "sine=duration=4,volume=enable='gt(t,1)':volume=0"]
    video = tmp_path / "video.mp4"
    ffmpeg.run(
        [
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=160x120:rate=25:duration=4",
            *sound,
            "-pix_fmt",
            "yuv420p",
            str(video),
        ]
    )
    checks = {check.name: check for check in check_content(video, 4.0, lambda percent: None)}
    assert not checks["silence"].passed
    assert checks["black"].passed
