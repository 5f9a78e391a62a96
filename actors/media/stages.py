"""The four stages as Dramatiq actors: probe → encode → package → publish.

Between stages travels a small dict. The renditions lie in the chain's folder as ``hls/<name>/``, each stored
when it is whole, its playlist last; the playlist that names them all is there only when everything else is.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors import ffmpeg
from actors.inputs import file_and_options
from actors.progress import current_stage, progress
from actors.scratch import scratch_folder
from actors.storage import Folder, local_copy
from actors.workflow import stage
from callboard.errors import BadInput, StageError

from .encoder import encode, tolerance
from .hls import MASTER, PLAYLIST, Encoded, Segments, master_playlist, read_playlist
from .ladder import LADDER, Rendition, renditions_of
from .source import UNTRUSTED, Source, inspect

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")
QUEUE = "media"
_OPTIONS = {"max_height", "segment_seconds", "preset"}
#: Where the renditions lie in the chain's folder, and the picture that stands for the video.
HLS, POSTER = "hls", "poster.jpg"

_HOUR = 3_600_000


@stage(name="Probe", actor_name="media.probe", queue_name=QUEUE, throws=BadInput, time_limit=_HOUR)
def probe_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Look at the video and choose its renditions. What an earlier run has made of it is removed.

    Args:
        document: ``file_path`` (path or storage URL) and ``options``: ``max_height``, ``segment_seconds``
            (4 unless given) and ``preset`` (``veryfast``).

    Returns:
        ``file_path``, ``options``, ``source`` (see :class:`Source`) and ``renditions``.

    Raises:
        BadInput: the file is no video that can be read, or an option cannot be.
    """
    file_path, options = _input_of(document)
    with local_copy(file_path) as path:
        source = inspect(path, report=lambda share: progress(99 * share, substep="length"))
    renditions = renditions_of(source.width, source.height, options["max_height"])
    _hls_of(current_stage().folder).remove()
    progress(99, width=source.width, height=source.height, duration=round(source.seconds, 3))
    return {
        "file_path": file_path,
        "options": options,
        "source": source.to_json(),
        "renditions": [rendition.to_json() for rendition in renditions],
    }


@stage(name="Encode", actor_name="media.encode", queue_name=QUEUE, throws=BadInput, time_limit=24 * _HOUR)
def encode_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Encode all renditions, one after the other. Those that an earlier attempt has stored whole are kept.

    Returns:
        The document with ``encoded`` (see :class:`Encoded`) in the place of ``renditions``.

    Raises:
        FfmpegError, StageError: a rendition cannot be made.
    """
    source, options = Source.from_json(document["source"]), document["options"]
    renditions = [Rendition.from_json(value) for value in document["renditions"]]
    hls, encoded = _hls_of(current_stage().folder), []
    with local_copy(document["file_path"]) as path:
        for index, rendition in enumerate(renditions):
            kept = _kept(hls, rendition)
            if kept is None:
                with scratch_folder() as scratch:
                    kept = encode(
                        path,
                        source,
                        rendition,
                        scratch,
                        preset=options["preset"],
                        segment_seconds=options["segment_seconds"],
                        report=_reporter(source, renditions, index),
                    )
                    _store(hls, kept, scratch)
            progress(log=f"{rendition.name}: {kept.segments} segments, {kept.bytes / 1e6:.1f} MB")
            encoded.append(kept)
    document = {name: value for name, value in document.items() if name != "renditions"}
    return {**document, "encoded": [one.to_json() for one in encoded]}


@stage(name="Package", actor_name="media.package", queue_name=QUEUE, throws=BadInput, time_limit=_HOUR)
def package_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Check that what is stored is whole and that the renditions agree, and take a poster from the video.

    Returns:
        The document with ``poster_url``.

    Raises:
        StageError: a segment is missing, or lengths differ.
    """
    source, folder = Source.from_json(document["source"]), current_stage().folder
    encoded = [Encoded.from_json(value) for value in document["encoded"]]
    progress(10, substep="segments")
    _check_stored(_hls_of(folder), encoded, tolerance(source))
    progress(40, substep="poster")
    with local_copy(document["file_path"]) as path:
        poster = _poster(path, source, encoded[0].rendition)
    return {**document, "poster_url": folder.write_bytes(POSTER, poster)}


@stage(name="Publish", actor_name="media.publish", queue_name=QUEUE, throws=BadInput, time_limit=_HOUR)
def publish_stage(document: dict[str, Any]) -> dict[str, Any]:
    """Write the playlist by which the video is played.

    Returns:
        The chain's final result: ``hls_path`` (URL of that playlist), ``duration`` (seconds), ``width``,
        ``height``, ``poster_url``, ``bytes`` of all segments and ``renditions`` (``name``, ``width``,
        ``height``, ``bandwidth``, ``playlist_url``).
    """
    source, hls = Source.from_json(document["source"]), _hls_of(current_stage().folder)
    encoded = [Encoded.from_json(value) for value in document["encoded"]]
    return {
        "hls_path": hls.write_bytes(MASTER, master_playlist(encoded, source.rate).encode()),
        "duration": round(encoded[0].seconds, 3),
        "width": source.width,
        "height": source.height,
        "poster_url": document["poster_url"],
        "bytes": sum(one.bytes for one in encoded),
        "renditions": [
            {
                "name": one.rendition.name,
                "width": one.rendition.width,
                "height": one.rendition.height,
                "bandwidth": one.peak,
                "playlist_url": hls.url_of(f"{one.rendition.name}/{PLAYLIST}"),
            }
            for one in encoded
        ],
    }


def _input_of(document: Any) -> tuple[str, dict[str, Any]]:
    file_path, given = file_and_options(document)
    options = {"max_height": max(LADDER), "segment_seconds": 4, "preset": "veryfast", **given}
    if unknown := sorted(set(options) - _OPTIONS):
        raise BadInput(
            f"options: read {', '.join(unknown)[:80]}, expected some of {', '.join(sorted(_OPTIONS))}"
        )
    for name, low, high in (("max_height", min(LADDER), max(LADDER)), ("segment_seconds", 1, 30)):
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise BadInput(f"options.{name}: read {value!r:.80}, expected {low} to {high}")
    if options["preset"] not in PRESETS:
        raise BadInput(
            f"options.preset: read {options['preset']!r:.80}, expected one of {', '.join(PRESETS)}"
        )
    return file_path, options


def _hls_of(folder: Folder) -> Folder:
    return Folder(folder.url_of(HLS))


def _reporter(source: Source, renditions: list[Rendition], index: int) -> Callable[[float], None]:
    """Makes the share of a rendition one of the stage: by pixels, with those that are decoded each time."""
    weights = [rendition.pixels + source.width * source.height / 4 for rendition in renditions]
    before, own, total = sum(weights[:index]), weights[index], sum(weights)
    substep = f"{renditions[index].name} ({index + 1} of {len(renditions)})"

    def report(share: float) -> None:
        progress(100 * (before + own * share) / total, substep=substep)

    report(0.0)
    return report


def _store(hls: Folder, encoded: Encoded, scratch: Path) -> None:
    """Store a rendition: what it measures, then its segments, and last the playlist that makes it whole."""
    name = encoded.rendition.name
    # Storages tell players a file's type by its name; many systems know this one as another kind of file.
    mimetypes.add_type("video/mp2t", ".ts")
    listed = read_playlist((scratch / PLAYLIST).read_text("utf-8"))
    hls.write_json(f"{name}/encoded.json", encoded.to_json())
    for part in [*listed.names, PLAYLIST]:
        hls.write_bytes(f"{name}/{part}", (scratch / part).read_bytes())


def _kept(hls: Folder, rendition: Rendition) -> Encoded | None:
    """A rendition that is stored whole; None where it is not."""
    try:
        with hls.open(f"{rendition.name}/encoded.json") as file:
            encoded = Encoded.from_json(json.load(file))
        _check_segments(hls, encoded)
    except (BadInput, StageError):
        return None
    return encoded if encoded.rendition == rendition else None


def _check_stored(hls: Folder, encoded: list[Encoded], most: float) -> None:
    listed = [_check_segments(hls, one) for one in encoded]
    for one, segments in zip(encoded, listed, strict=True):
        pairs = list(zip(listed[0].seconds, segments.seconds, strict=False))
        if len(segments.seconds) != len(listed[0].seconds) or any(abs(a - b) > most for a, b in pairs):
            raise StageError(
                f"rendition {one.rendition.name} is not cut where {encoded[0].rendition.name} is"
            )


def _check_segments(hls: Folder, encoded: Encoded) -> Segments:
    """The segments of a stored rendition.

    Raises:
        BadInput, StageError: it is not whole.
    """
    name = encoded.rendition.name
    with hls.open(f"{name}/{PLAYLIST}", "r") as file:
        listed = read_playlist(file.read())
    sizes = hls.sizes()
    missing = [part for part in listed.names if not sizes.get(f"{name}/{part}")]
    if missing:
        raise StageError(f"rendition {name}: segment {missing[0]} is missing; resume from stage 2")
    if sum(sizes[f"{name}/{part}"] for part in listed.names) != encoded.bytes:
        raise StageError(f"rendition {name}: its segments have changed; resume from stage 2")
    return listed


def _poster(path: Path, source: Source, size: Rendition) -> bytes:
    """A JPEG of the video: of a tenth of it in, which is seldom black as the beginning is."""
    with scratch_folder() as scratch:
        target = scratch / POSTER
        for moment in (source.seconds / 10, 0.0):
            ffmpeg.run(
                [
                    *("-ss", f"{moment:.3f}", *UNTRUSTED, "-i", f"file:{path}", "-map", f"0:{source.video}"),
                    *("-vf", f"scale={size.width}:{size.height},setsar=1", "-frames:v", "1"),
                    *("-q:v", "3", "-update", "1", "-f", "image2", str(target)),
                ],
                # In a video of one frame there is nothing a tenth in, and ffmpeg calls that an error.
                check=not moment,
            )
            if target.exists():
                return target.read_bytes()
    raise StageError("no poster could be taken from the video")
