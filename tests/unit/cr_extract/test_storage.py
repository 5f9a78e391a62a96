"""Files of a chain on local and other file systems."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from actors.storage import Storage, local_copy, read_json
from callboard.errors import BadInput


@pytest.fixture(params=["file", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "file":
        return Storage(f"file://{tmp_path}/storage")
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('bucket')}/storage")
    return Storage(f"memory://{uuid4().hex}")


def test_what_is_written_is_read(storage: Storage) -> None:
    folder = storage.folder("chain-1")
    url = folder.write_json("words.json", {"품목": [1, 2.5, None]})
    assert url == folder.url_of("words.json") == f"{storage.url}/chain-1/words.json"
    assert read_json(url) == storage.read_json(url) == {"품목": [1, 2.5, None]}
    folder.write_json("words.json", [])
    assert read_json(url) == []


def test_files_can_be_opened(storage: Storage) -> None:
    folder = storage.folder("chain-1")
    with folder.open("log.txt", "w") as file:
        file.write("금액")
    with folder.open("log.txt", "r") as file:
        assert file.read() == "금액"
    with folder.open("log.txt") as file:
        assert file.read() == "금액".encode()


def test_a_local_copy_holds_the_content(storage: Storage) -> None:
    url = storage.folder("chain-1").write_bytes("scan.png", b"\x89PNG")
    with storage.local_copy(url) as path:
        assert path.read_bytes() == b"\x89PNG"
        assert path.suffix == ".png"
    assert path.exists() == url.startswith("file:")


def test_a_plain_path_is_its_own_copy(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(b"x")
    with local_copy(str(tmp_path / "scan.png")) as path:
        assert path == tmp_path / "scan.png"


def test_a_missing_file_is_bad_input(storage: Storage) -> None:
    url = storage.folder("chain-1").url_of("nothing.json")
    with pytest.raises(BadInput, match="no such file"):
        read_json(url)
    with pytest.raises(BadInput, match="no such file"), local_copy(url):
        pass


def test_what_is_no_json_is_bad_input(storage: Storage) -> None:
    url = storage.folder("chain-1").write_bytes("bad.json", b"{")
    with pytest.raises(BadInput, match="not a JSON file"):
        read_json(url)


def test_an_unknown_protocol_is_bad_input() -> None:
    with pytest.raises(BadInput, match="cannot be opened"), local_copy("nosuch://bucket/file"):
        pass


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a folder"), local_copy(str(tmp_path)):
        pass


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "", "a/../../b"])
def test_names_cannot_lead_out(storage: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a file"):
        storage.folder("chain-1").url_of(name)
    with pytest.raises(ValueError, match="not the name of a file"):
        storage.folder(name)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    folder = Storage(f"file://{tmp_path}").folder("chain-1")
    url = folder.write_bytes("data", b"old")

    def fail() -> None:
        with folder.open("data", "wb") as file:
            file.write(b"half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with local_copy(url) as path:
        assert path.read_bytes() == b"old"
    assert [entry.name for entry in (tmp_path / "chain-1").iterdir()] == ["data"]


def test_building_a_storage_touches_nothing(tmp_path: Path) -> None:
    Storage(f"file://{tmp_path}/none").folder("chain-1").url_of("x")
    Storage("s3://no-such-bucket/x").folder("chain-1").url_of("x")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files of a remote storage are on this machine."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def test_an_interrupted_write_to_a_storage_leaves_the_old_file(bucket: str, scratch: Path) -> None:
    folder = Storage(bucket).folder("chain-1")

    def fail(name: str) -> None:
        with folder.open(name, "wb") as file:
            file.write(b"half of the n")
            raise RuntimeError

    url = folder.write_bytes("data", b"old")
    for name in ("data", "new"):
        with pytest.raises(RuntimeError):
            fail(name)
    with local_copy(url) as path:
        assert (path.name, path.read_bytes()) == ("data", b"old")
    assert folder.sizes() == {"data": 3}
    assert list(scratch.iterdir()) == []


def test_what_another_worker_has_written_since_is_seen(bucket: str) -> None:
    """Drivers keep what they have listed; a worker that has looked before reads what is there now."""
    folder = Storage(bucket).folder("chain-1")
    folder.write_json("words.json", [1])
    assert list(folder.sizes()) == ["words.json"]
    other = fsspec.filesystem("s3", skip_instance_cache=True)
    place = folder.url.removeprefix("s3://")
    other.pipe_file(f"{place}/words.json", b"[1, 2, 3]")
    other.pipe_file(f"{place}/more.json", b"[4]")
    assert read_json(folder.url_of("words.json")) == [1, 2, 3]
    assert read_json(folder.url_of("more.json")) == [4]
    assert list(folder.sizes()) == ["more.json", "words.json"]
    other.pipe_file(f"{place}/late.json", b"[5]")
    folder.remove()
    other.invalidate_cache()
    assert other.find(place) == []


def test_a_storage_is_told_what_a_file_holds(bucket: str) -> None:
    """By it a browser plays a playlist straight from the storage."""
    folder = Storage(bucket).folder("chain-1")
    folder.write_bytes("hls/master.m3u8", b"#EXTM3U\n")
    told = fsspec.filesystem("s3").info(folder.url_of("hls/master.m3u8"))["ContentType"]
    assert told == "application/vnd.apple.mpegurl"
