"""One rendition of a video, as HLS in a local folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actors import ffmpeg
from callboard.errors import BadInput, StageError

from .hls import PLAYLIST, SEGMENT, Encoded, measure
from .ladder import Rendition
from .source import UNTRUSTED, Source, inspect

#: Frames a second at most.
MOST_FRAMES = 60
#: For what we have made ourselves.
_OURS = ["-protocol_whitelist", "file", "-format_whitelist", "hls,mpegts"]


def encode(
    path: Path,
    source: Source,
    rendition: Rendition,
    folder: Path,
    *,
    preset: str,
    segment_seconds: float,
    report: Callable[[float], None],
) -> Encoded:
    """Encode a rendition into a folder, and look at what has come of it.

    Parameters:
        report: called with the share that is done, 0 to 1.

    Raises:
        FfmpegError: ffmpeg has failed.
        StageError: what it has made is not what was asked for.
    """
    sound = ["-map", f"0:{source.audio}"] if source.audio is not None else []
    ffmpeg.run(
        [
            *UNTRUSTED,
            *("-i", f"file:{path}", "-map", f"0:{source.video}", *sound, "-map_metadata", "-1"),
            *("-vf", _filters(source, rendition)),
            *("-c:v", "libx264", "-preset", preset, "-profile:v", "main", "-crf", "23"),
            *("-maxrate", f"{rendition.video_kbps}k", "-bufsize", f"{2 * rendition.video_kbps}k"),
            # A picture that stands alone at the same moments in each rendition, so that players can change.
            *("-force_key_frames", f"expr:gte(t,n_forced*{segment_seconds:g})", "-sc_threshold", "0"),
            *("-c:a", "aac", "-b:a", f"{rendition.audio_kbps}k", "-ac", "2", "-ar", "48000"),
            *("-f", "hls", "-hls_time", f"{segment_seconds:g}", "-hls_playlist_type", "vod"),
            *("-hls_flags", "independent_segments", "-hls_segment_filename", str(folder / SEGMENT)),
            str(folder / PLAYLIST),
        ],
        report=lambda seconds: report(min(1.0, seconds / source.seconds)),
    )
    encoded = measure(rendition, folder, sound=bool(sound))
    _check(encoded, source, folder / PLAYLIST)
    return encoded


def tolerance(source: Source) -> float:
    """Seconds by which the length of a rendition may differ from its source's: two frames, and rounding."""
    return 2 / min(source.rate, MOST_FRAMES) + 0.02


def _filters(source: Source, rendition: Rendition) -> str:
    filters = [f"scale={rendition.width}:{rendition.height}:flags=bicubic", "setsar=1", "format=yuv420p"]
    if source.rate > MOST_FRAMES:
        filters.insert(0, f"fps={MOST_FRAMES}")
    return ",".join(filters)


def _check(encoded: Encoded, source: Source, playlist: Path) -> None:
    wanted = encoded.rendition
    try:
        made = inspect(playlist, before=_OURS)
    except BadInput as error:
        raise StageError(f"rendition {wanted.name} cannot be read: {error}") from error
    if (made.width, made.height) != (wanted.width, wanted.height):
        size = f"{made.width}×{made.height}, expected {wanted.width}×{wanted.height}"
        raise StageError(f"rendition {wanted.name}: made {size}")
    if (made.audio is None) != (source.audio is None):
        raise StageError(f"rendition {wanted.name}: its sound is not what the source's is")
    for seconds in (made.seconds, encoded.seconds):
        if abs(seconds - source.seconds) > tolerance(source):
            raise StageError(
                f"rendition {wanted.name} lasts {seconds:.3f} s, its source {source.seconds:.3f} s"
            )
