"""What videos are read as, and that each becomes HLS of the same length and the size that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors import ffmpeg
from actors.media.encoder import encode, tolerance
from actors.media.hls import PLAYLIST, measure, read_playlist
from actors.media.ladder import renditions_of
from actors.media.source import inspect
from callboard.errors import BadInput, StageError

MakeVideo = Callable[..., Path]

H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def long_last_frame(rate: str) -> tuple[str, ...]:
    return ("-vf", f"select='lt(t,1)+gte(t,2.9)',settb=1/{rate}", "-fps_mode", "vfr", *H264)


# name, how it is made, width and height as shown, seconds, sound
SOURCES: list[tuple[str, dict[str, Any], tuple[int, int], float, bool]] = [
    ("plain.mp4", {"sound": 2}, (96, 64), 2.0, True),
    ("silent.mp4", {}, (96, 64), 2.0, False),
    ("odd.mkv", {"options": ("-vf", "scale=97:65,format=yuv444p", "-c:v", "ffv1")}, (97, 65), 2.0, False),
    ("reordered.mp4", {"options": (*H264, "-bf", "8")}, (96, 64), 2.0, False),
    ("sound_is_longer.mkv", {"sound": 3.3}, (96, 64), 2.0, True),
    ("wide_pixels.avi", {"options": ("-vf", "setsar=2/1", "-c:v", "mpeg4")}, (192, 64), 2.0, False),
    ("moving.gif", {"options": ("-f", "gif")}, (96, 64), 2.0, False),
    ("web.webm", {"options": ("-c:v", "libvpx")}, (96, 64), 2.0, False),
    ("raw.h264", {"rate": "25", "options": (*H264, "-f", "h264")}, (96, 64), 2.0, False),
    ("no_rounding.ts", {"rate": "30000/1001", "sound": 2}, (96, 64), 2.0, True),
    ("one_frame.mp4", {"seconds": 0.1}, (96, 64), 0.1, False),
    ("a_frame_each_five_seconds.mp4", {"rate": "1/5", "seconds": 15}, (96, 64), 15.0, False),
    ("uneven.mp4", {"seconds": 3, "options": long_last_frame("100")}, (96, 64), 3.0, False),
    ("fast.mp4", {"rate": "120", "seconds": 1}, (96, 64), 1.0, False),
]


@pytest.mark.parametrize(
    ("name", "made", "size", "seconds", "sound"), SOURCES, ids=[row[0] for row in SOURCES]
)
def test_a_source_becomes_hls(
    make_video: MakeVideo,
    tmp_path: Path,
    name: str,
    made: dict[str, Any],
    size: tuple[int, int],
    seconds: float,
    sound: bool,
) -> None:
    path, shares = make_video(name, **made), []
    source = inspect(path)
    assert (source.width, source.height, source.audio is not None) == (*size, sound)
    assert source.seconds == pytest.approx(seconds, abs=0.07)
    (rendition,) = renditions_of(source.width, source.height)
    encoded = encode(
        path, source, rendition, tmp_path, preset="ultrafast", segment_seconds=1, report=shares.append
    )
    assert shares == sorted(shares)
    assert encoded.seconds == pytest.approx(source.seconds, abs=tolerance(source))
    assert encoded.codecs.startswith("avc1.")
    assert ("mp4a.40.2" in encoded.codecs) is sound
    # All of it can be decoded.
    played = ffmpeg.run(["-xerror", "-i", str(tmp_path / PLAYLIST), "-f", "null", "-"])
    assert played.seconds == pytest.approx(max(encoded.seconds, made.get("sound", 0)), abs=0.2)


def test_one_that_was_filmed_upright(make_video: MakeVideo, tmp_path: Path) -> None:
    lying = make_video("lying.mp4")
    upright = tmp_path / "upright.mp4"
    ffmpeg.run(["-display_rotation", "90", "-i", str(lying), "-c", "copy", str(upright)])
    source = inspect(upright)
    assert (source.width, source.height) == (64, 96)


@pytest.mark.parametrize(
    ("size", "most", "made"),
    [
        ((3840, 2160), None, ["1920x1080", "1280x720", "852x480", "640x360", "426x240"]),
        ((1920, 1080), 480, ["852x480", "640x360", "426x240"]),
        ((1080, 1920), None, ["1080x1920", "720x1280", "480x852", "360x640", "240x426"]),
        ((1279, 719), None, ["1278x718", "852x480", "640x360", "426x240"]),
        ((640, 358), None, ["640x358", "428x240"]),
        ((640, 320), None, ["480x240"]),
        ((97, 65), None, ["96x64"]),
        ((1, 1), None, ["2x2"]),
    ],
)
def test_renditions_are_never_larger_than_the_source(
    size: tuple[int, int], most: int | None, made: list[str]
) -> None:
    found = renditions_of(*size, most)
    assert [f"{one.width}x{one.height}" for one in found] == made
    assert len({one.name for one in found}) == len(found)


def test_what_is_no_video(make_video: MakeVideo, tmp_path: Path) -> None:
    def refused(name: str, content: bytes = b"") -> str:
        path = tmp_path / name
        if not path.exists():
            path.write_bytes(content)
        with pytest.raises(BadInput) as caught:
            inspect(path)
        return str(caught.value)

    whole = make_video("plain.mp4", sound=2)
    assert refused("empty.mp4").startswith("empty.mp4: no video file of a kind that is read here")
    assert "no video file" in refused("text.mp4", b"hello")
    assert "no video file" in refused("cut_off.mp4", whole.read_bytes()[:2000])
    ffmpeg.run(["-i", str(whole), "-vn", str(tmp_path / "sound.mp4")])
    assert refused("sound.mp4") == "sound.mp4: no video in it, but audio (aac)"
    cover = tmp_path / "cover.png"
    ffmpeg.run(["-i", str(whole), "-frames:v", "1", str(cover)])
    mapped = ["-map", "0:a", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic"]
    ffmpeg.run(["-i", str(whole), "-i", str(cover), *mapped, str(tmp_path / "covered.mp4")])
    assert refused("covered.mp4") == "covered.mp4: no video in it, but audio (aac)"
    assert "no video file" in refused("cover.png")


def test_a_playlist_that_names_a_file_of_somebody_else_is_not_followed(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    theirs = make_video("theirs.ts", options=(*H264, "-f", "mpegts"))
    for name, text in (
        ("list.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{theirs}\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", f"ffconcat version 1.0\nfile {theirs}\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadInput, match="no video file of a kind that is read here"):
            inspect(tmp_path / name)


def test_an_odd_name(make_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "-y 'quoted' %03d [한글]: concat|x.mp4"
    path.write_bytes(make_video("plain.mp4", sound=2).read_bytes())
    assert inspect(path).seconds == pytest.approx(2, abs=0.07)


def test_a_playlist_is_whole_or_refused(tmp_path: Path) -> None:
    head, end = "#EXTM3U\n#EXTINF:4.0,\na.ts\n", "#EXT-X-ENDLIST\n"
    assert read_playlist(f"{head}#EXTINF:1.5,\nb.ts\n{end}").total == 5.5
    for text in (head, f"{head}b.ts\n{end}", f"#EXTM3U\n{end}", "", end):
        with pytest.raises(StageError, match="playlist"):
            read_playlist(text)
    (tmp_path / PLAYLIST).write_text(head + end)
    with pytest.raises(FileNotFoundError):
        measure(renditions_of(96, 64)[0], tmp_path, sound=False)
