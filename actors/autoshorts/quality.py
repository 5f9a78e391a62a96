"""Quality control: what ffmpeg finds in the finished video, held against what was planned."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors import ffmpeg
from callboard.errors import StageError

from .rendering import LOUDNESS

#: Seconds that the duration may be off, of black that a video may hold, and of silence at a stretch.
DURATION_SLACK, MOST_BLACK, LONGEST_SILENCE = 0.3, 0.5, 2.0
#: LUFS that the loudness may be off, and the highest true peak (dBTP).
LOUDNESS_SLACK, HIGHEST_PEAK = 6.0, 0.0
#: Below which a moment is silent (dB), from which share of dark pixels a frame is black.
_SILENT, _BLACK = -50, 0.98

_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")
_VIDEO = re.compile(r"Stream #.*?: Video: (\w+).*?, (\d+)x(\d+)")
_AUDIO = re.compile(r"Stream #.*?: Audio: (\w+)")
_BLACK_PART = re.compile(r"black_start:\S+ black_end:\S+ black_duration:([\d.]+)")
_SILENCE = re.compile(r"silence_duration: ([\d.]+)")
_INTEGRATED = re.compile(r"Integrated loudness:\s+I:\s+(-?[\d.]+|-?inf|nan) LUFS")
_PEAK = re.compile(r"True peak:\s+Peak:\s+(-?[\d.]+|-?inf|nan) dBFS")


class QualityError(StageError):
    """A video is not as it should be. Attribute: ``checks``, those that did not pass."""

    def __init__(self, checks: list[Check]) -> None:
        found = "; ".join(f"{check.name}: {check.measured}, expected {check.expected}" for check in checks)
        super().__init__(f"the video did not pass: {found}")
        self.checks = checks


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was measured, what was expected, in words with their units."""

    name: str
    measured: str
    expected: str
    passed: bool


def check_streams(path: Path, width: int, height: int, seconds: float) -> list[Check]:
    """Duration and streams, from the file's head.

    Raises:
        StageError: the file cannot be read as a video.
    """
    # Without an output ffmpeg tells what it sees and ends with an error.
    log = ffmpeg.run(["-i", f"file:{path}"], check=False).log
    duration, video, audio = _DURATION.search(log), _VIDEO.search(log), _AUDIO.search(log)
    if duration is None:
        raise StageError(f"{path.name} cannot be read as a video: {log.strip().splitlines()[-1:]}")
    hours, minutes, rest = duration.groups()
    lasts = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    size = (int(video[2]), int(video[3])) if video else None
    return [
        Check(
            "duration",
            f"{lasts:.2f} s",
            f"{seconds:.2f} s (±{DURATION_SLACK} s)",
            abs(lasts - seconds) <= DURATION_SLACK,
        ),
        Check(
            "picture",
            f"{video[1]} {video[2]}x{video[3]}" if video else "none",
            f"h264 {width}x{height}",
            video is not None and video[1] == "h264" and size == (width, height),
        ),
        Check("sound", audio[1] if audio else "none", "aac", audio is not None and audio[1] == "aac"),
    ]


def check_content(path: Path, seconds: float, report: Callable[[float], None]) -> list[Check]:
    """Black frames, loudness, peaks and silence, by decoding the whole video.

    Parameters:
        seconds: that it lasts.
        report: called with the percent that is decoded.

    Raises:
        FfmpegError: it cannot be decoded.
    """
    graph = (
        f"[0:v]blackdetect=d=0.08:pic_th={_BLACK}[v];"
        f"[0:a]silencedetect=n={_SILENT}dB:d=0.5,ebur128=peak=true:framelog=quiet[a]"
    )
    log = ffmpeg.run(
        [
            *("-i", f"file:{path}", "-filter_complex", graph, "-map", "[v]", "-map", "[a]"),
            *("-f", "null", "-"),
        ],
        report=lambda done: report(min(100.0, 100 * done / seconds)),
    ).log
    black = sum(map(float, _BLACK_PART.findall(log)))
    silence = max(map(float, _SILENCE.findall(log)), default=0.0)
    loudness, peak = _last(_INTEGRATED, log), _last(_PEAK, log)
    return [
        Check("black", f"{black:.2f} s", f"at most {MOST_BLACK} s", black <= MOST_BLACK),
        Check("silence", f"{silence:.2f} s", f"at most {LONGEST_SILENCE} s", silence <= LONGEST_SILENCE),
        Check(
            "loudness",
            f"{loudness:.1f} LUFS",
            f"{LOUDNESS} LUFS (±{LOUDNESS_SLACK:g})",
            abs(loudness - LOUDNESS) <= LOUDNESS_SLACK,
        ),
        Check("peak", f"{peak:.1f} dBTP", f"at most {HIGHEST_PEAK:g} dBTP", peak <= HIGHEST_PEAK),
    ]


def as_report(checks: Iterable[Check], about: Mapping[str, Any]) -> dict[str, Any]:
    """The report of all checks, as JSON, with facts ``about`` the video in front."""
    listed = [asdict(check) for check in checks]
    return {**about, "passed": all(check["passed"] for check in listed), "checks": listed}


def _last(pattern: re.Pattern[str], log: str) -> float:
    """The last number that was told; minus infinity for none: digital silence has no loudness."""
    found = pattern.findall(log)
    number = float(found[-1]) if found else math.nan
    return -math.inf if math.isnan(number) else number
