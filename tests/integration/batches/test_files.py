"""Which files a batch takes: of this machine and of an S3 server; and what is refused starts nothing."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from dramatiq import Worker
from servers import S3Server
from waiting import wait_until

from actors import remote_files
from actors.application import Application
from actors.batches import chunks
from actors.batches.files import Listed, checked, files_under, shown
from actors.batches.start import start_batch_pipeline
from actors.batches.status import BatchStatus, batch_status
from actors.progress import current_stage
from actors.storage import local_copy, read_json
from actors.workflow import Workflow, stage
from callboard.errors import BatchError, LedgerUnavailable, StorageUnavailable, UnknownWorkflow
from db.connection import session
from db.models import BatchChunk, BatchExecution, ChainExecution

Work = Callable[..., Worker]
DEFAULTS = {"batch_name": "a batch", "workflow": "measure"}


def declare(application: Application) -> None:
    """A workflow that reads the file where it lies, and writes and reads one of its own."""
    chunks.declare(application.broker)

    @stage(name="Measure", actor_name="measure", max_retries=0)
    def measure(document: dict[str, Any]) -> str:
        with local_copy(document["file_path"]) as path:
            size = path.stat().st_size
        return current_stage().folder.write_json("size.json", {"size": size})

    @stage(name="Report", actor_name="report", max_retries=0)
    def report(url: str) -> dict[str, Any]:
        found: dict[str, Any] = read_json(url)
        return found

    Workflow("measure", [measure, report])


@pytest.fixture
def application(build_application: Any) -> Application:
    built: Application = build_application()
    declare(built)
    return built


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for in time on a machine of its own may take longer on a busy one."""
    monkeypatch.setattr(remote_files, "SECONDS", 60.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the process runs, with ``a.png`` and ``b.png``."""
    place = tmp_path / "scans"
    (place / "sub").mkdir(parents=True)
    monkeypatch.chdir(place)
    for name in ("a.png", "b.png"):
        (place / name).write_bytes(b"12345")
    return place


def put(prefix: str, *names: str, content: bytes = b"12345") -> list[str]:
    """Files of a bucket; returns their URLs."""
    file_system = fsspec.filesystem("s3")
    for name in names:
        file_system.pipe_file(f"{prefix}/{name}", content)
    return [f"{prefix}/{name}" for name in names]


def ended(application: Application, batch_id: str) -> BatchStatus:
    def look() -> Any:
        status = batch_status(batch_id, application=application)
        return status if status.finished_at else None

    found: BatchStatus = wait_until(look, 60, "the batch has not ended", 0.05)
    return found


def counted(application: Application) -> list[int]:
    models: list[Any] = [BatchExecution, BatchChunk, ChainExecution]
    return [model.select().count(application.database) for model in models]


# -- of this machine ---------------------------------------------------------------------------------------


def test_paths_become_whole(folder: Path) -> None:
    assert checked(["a.png", f"file://{folder}/b.png"]) == [
        (f"{folder}/a.png", None),
        (f"file://{folder}/b.png", None),
    ]
    given = [Path("a.png"), "./b.png"]
    assert checked(iter(given), ["https://x/1", "s3://p/2"]) == [  # type: ignore[arg-type]
        (f"{folder}/a.png", "https://x/1"),
        (f"{folder}/./b.png", "s3://p/2"),
    ]


@pytest.mark.parametrize(
    "spelling",
    [
        "a.png",
        "./a.png",
        "sub/../a.png",
        "{folder}/a.png",
        "{folder}//a.png",
        "file://{folder}/a.png",
        "local://{folder}/a.png",
        "file://a.png",
        "link.png",
        "way/a.png",
        "way/link.png",
        "file://{folder}/way/link.png",
    ],
)
def test_one_file_by_two_names(folder: Path, spelling: str) -> None:
    (folder / "link.png").symlink_to("a.png")
    (folder / "way").symlink_to(folder)
    second = spelling.format(folder=folder)
    with pytest.raises(BatchError) as refused:
        checked(["b.png", "a.png", second])
    assert str(refused.value) == f"file_paths: {second!r} is named twice"


def test_a_hard_link_is_a_file_of_its_own(folder: Path) -> None:
    os.link(folder / "a.png", folder / "copy.png")
    assert len(checked(["a.png", "copy.png"])) == 2


def test_names_that_fsspec_would_read_as_something_else(
    application: Application, folder: Path, work: Work
) -> None:
    names = ["a.png::b.png", "100%.png", "a#b?.png", "[1].png", "그림 1.png", "~x.png"]
    for number, name in enumerate(names):
        (folder / name).write_bytes(b"x" * number)
    batch_id = start_batch_pipeline(**DEFAULTS, file_paths=names, application=application)
    work(application)
    assert ended(application, batch_id).completed_images == len(names)
    results = ChainExecution.select(ChainExecution.final_result).order_by(ChainExecution.chain_id)
    wait_until(lambda: all(row.final_result for row in results.clone().execute(application.database)))
    sizes = [row.final_result["size"] for row in results.execute(application.database)]
    assert sizes == list(range(len(names)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"file_paths": []}, "file_paths: a batch needs at least one file"),
        ({"file_paths": "a.png"}, "file_paths: read one text, expected a list of paths"),
        ({"file_paths": 7}, "file_paths: read '7', expected a list of paths"),
        ({"file_paths": [3]}, "file_paths: '3' is no path"),
        ({"file_paths": [""]}, "file_paths: '' is no path"),
        ({"file_paths": ["a\0b"]}, "file_paths: 'a\\x00b' has characters that cannot be kept"),
        ({"file_paths": ["\udcff.png"]}, "file_paths: '\\udcff.png' has characters that cannot be kept"),
        ({"file_paths": ["none.png"]}, "file_paths: none.png: no such file"),
        ({"file_paths": ["x" * 5000]}, "file_paths: " + "x" * 200 + ": no such file"),
        ({"file_paths": ["a.png/b.png"]}, "file_paths: a.png/b.png: no such file"),
        ({"file_paths": ["sub"]}, "file_paths: sub: a folder, not a file"),
        ({"file_paths": ["pipe"]}, "file_paths: pipe: no regular file"),
        ({"file_paths": ["closed.png"]}, "file_paths: closed.png: it cannot be read"),
        (
            {"file_paths": [f"none-{number}.png" for number in range(7)]},
            "file_paths: none-0.png: no such file; none-1.png: no such file; none-2.png: no such file; "
            "none-3.png: no such file; none-4.png: no such file (and 2 more)",
        ),
        ({"file_paths": ["gopher://x/a.png"]}, "Protocol not known: gopher"),
        ({"file_paths": ["FILE:///a.png"]}, "Protocol not known: FILE"),
        ({"file_paths": ["ftp://me:secret@host/a.png"]}, "file_paths: ftp://me:***@host/a.png holds a pass"),
        ({"batch_name": ""}, "batch_name: a batch needs a name"),
        ({"batch_name": 5}, "batch_name: a batch needs a name"),
        ({"batch_name": "n" * 10_240}, "has 10240 characters, expected up to 255 and no NUL"),
        ({"chunk_size": 0}, "chunk_size: read 0, expected"),
        ({"chunk_size": 1_000_000}, "chunk_size: read 1000000, expected"),
        ({"chunk_size": 2.5}, "chunk_size: read 2.5, expected"),
        ({"window": 0}, "window: read 0, expected a whole number from 1 to 1000"),
        ({"window": True}, "window: read True, expected a whole number from 1 to 1000"),
        ({"priority": "urgent"}, "priority: read 'urgent', expected one of high, default, low"),
        ({"success_threshold": float("nan")}, "success_threshold: read nan, expected a number from 0 to 1"),
        ({"options": [1]}, "options: read '[1]', expected an object"),
        ({"options": {"a": object()}}, "options: not JSON"),
        ({"public_file_paths": []}, "public_file_paths: read 0, expected one for each of 1 file_paths"),
        ({"public_file_paths": "x"}, "public_file_paths: expected a list, one for each of file_paths"),
        ({"public_file_paths": [None]}, "public_file_paths: 'None' is no path"),
    ],
)
def test_what_is_refused_starts_nothing(
    application: Application,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    message: str,
) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "closed.png").touch()
    # Whoever runs the tests may be root, who can read everything.
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: "closed" not in str(path) and access(path, mode))
    with pytest.raises(BatchError) as refused:
        start_batch_pipeline(**{**DEFAULTS, "file_paths": ["a.png"], **asked}, application=application)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert counted(application) == [0, 0, 0]
    assert application.board.clients.get().zcard(application.board.keys.batches) == 0


def test_an_unknown_workflow_starts_nothing(application: Application, folder: Path) -> None:
    with pytest.raises(UnknownWorkflow, match="no workflow is named 'nothing'"):
        start_batch_pipeline("a", ["a.png"], workflow="nothing", application=application)
    assert counted(application) == [0, 0, 0]


def test_a_key_starts_one_batch(application: Application, folder: Path) -> None:
    def start(*paths: str) -> str:
        return start_batch_pipeline(
            **DEFAULTS, file_paths=paths, idempotency_key="monday", application=application
        )

    first = start("a.png", "b.png")
    (folder / "a.png").unlink()
    # Its files may be gone by the time that it is asked for again.
    assert start("a.png") == first
    assert counted(application) == [1, 1, 0]


# -- half-way ----------------------------------------------------------------------------------------------


def many(folder: Path, count: int) -> list[str]:
    paths = [folder / f"{number:05}{'x' * 80}.png" for number in range(count)]
    for path in paths:
        path.touch()
    return [str(path) for path in paths]


def test_postgresql_ends_the_connection_among_the_chunks(
    postgres_url: str, build_application: Any, folder: Path
) -> None:
    application = build_application(DATABASE_URL=postgres_url)
    declare(application)
    with session(application.database) as database:
        database.execute_sql(
            """CREATE FUNCTION die() RETURNS trigger AS $$ BEGIN
               IF NEW.number = 450 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
               RETURN NEW; END $$ LANGUAGE plpgsql"""
        )
        database.execute_sql(
            "CREATE TRIGGER die BEFORE INSERT ON batch_chunks FOR EACH ROW EXECUTE FUNCTION die()"
        )
    files = many(folder, 500)
    with pytest.raises(LedgerUnavailable, match="the database does not answer"):
        start_batch_pipeline(**DEFAULTS, file_paths=files, chunk_size=1, application=application)
    assert counted(application) == [0, 0, 0]
    assert application.board.clients.get().zcard(application.board.keys.batches) == 0
    with session(application.database) as database:
        database.execute_sql("DROP TRIGGER die ON batch_chunks")
    start_batch_pipeline(**DEFAULTS, file_paths=files, chunk_size=1, application=application)
    assert counted(application) == [1, 500, 0]


def test_a_full_disk_among_the_chunks(application: Application, folder: Path) -> None:
    files = many(folder, 2000)
    with session(application.database) as database:
        pages = database.pragma("page_count")
        # More than the batch's row needs, less than its chunks do.
        database.pragma("max_page_count", pages + 20)
        with pytest.raises(LedgerUnavailable, match="full"):
            start_batch_pipeline(**DEFAULTS, file_paths=files, application=application)
        database.pragma("max_page_count", 1 << 30)
    assert counted(application) == [0, 0, 0]
    start_batch_pipeline(**DEFAULTS, file_paths=files, application=application)
    assert counted(application) == [1, 200, 0]


# -- folders and prefixes ----------------------------------------------------------------------------------

NAMES = ("b.PNG", "a.jpg", "deep/er/c.pdf", "deep/d.tiff", "notes.txt", "png", "deep/.hidden.png.part")


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place with the files ``NAMES``, in the spelling that :func:`files_under` takes."""
    root = f"{tmp_path}/place"
    if request.param in ("memory", "s3"):
        root = request.getfixturevalue("bucket") if request.param == "s3" else "memory://place"
    file_system, path = fsspec.core.url_to_fs(root)
    for name in NAMES:
        file_system.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
        file_system.pipe_file(f"{path}/{name}", b"12345")
    yield f"file://{root}" if request.param == "file" else root
    if request.param == "memory":
        file_system.rm(path, recursive=True)


def test_a_prefix_is_listed(prefix: str) -> None:
    def names(pattern: str | None = None) -> list[str]:
        found = files_under(f"{prefix}/", pattern)
        return [url.partition("/place/")[2] or "/".join(url.split("/")[3:]) for url in found]

    assert names() == ["a.jpg", "b.PNG", "deep/d.tiff", "deep/er/c.pdf"]
    assert names("*.txt") == ["notes.txt"]
    assert names("deep/d*") == ["deep/d.tiff"]
    assert names("*.p*") == ["deep/.hidden.png.part", "deep/er/c.pdf"]
    assert len(files_under(f"{prefix}/deep/er")) == 1
    # As it comes, and asked for one by one.
    found = files_under(prefix)
    assert [path for path, _ in checked(found)] == [path for path, _ in checked(list(found))] == list(found)
    for nothing in (f"{prefix}/none/", f"{prefix}/notes.txt"):
        with pytest.raises(BatchError, match="prefix: no image or PDF under"):
            files_under(nothing)
    with pytest.raises(BatchError, match=r"prefix: no file that matches '\*.gif' under"):
        files_under(prefix, "*.gif")


def test_prefixes_that_cannot_be(monkeypatch: pytest.MonkeyPatch, bucket: str, tmp_path: Path) -> None:
    put(f"{bucket}/scans", "a.png", "b.png", "c.png")
    monkeypatch.setattr("actors.batches.files.MOST_IMAGES", 2)
    for prefix, message in (
        (f"{bucket}/scans", "prefix: 3 files, a batch takes up to 2"),
        ("s3://", "prefix: s3:// names no folder"),
        ("/", "prefix: / names no folder"),
        ("", "prefix: '' is no path"),
        ("gopher://x/", "Protocol not known"),
        ("s3://no-such-bucket-here/x", "prefix: no image or PDF under s3://no-such-bucket-here/x"),
    ):
        with pytest.raises(BatchError) as refused:
            files_under(prefix)
        assert message in str(refused.value)


# -- S3 ----------------------------------------------------------------------------------------------------


def test_a_whole_batch_on_s3(build_application: Any, bucket: str, work: Work) -> None:
    application = build_application(STORAGE_URL=f"{bucket}/callboard")
    declare(application)
    put(f"{bucket}/scans", *(f"{number}.png" for number in range(25)))
    files = files_under(f"{bucket}/scans/")
    batch_id = start_batch_pipeline(**DEFAULTS, file_paths=files, chunk_size=4, application=application)
    work(application)
    status = ended(application, batch_id)
    assert (status.status, status.completed_images) == ("SUCCESS", 25)
    written = fsspec.filesystem("s3").find(f"{bucket}/callboard")
    assert len(written) == 25
    assert read_json(f"s3://{written[0]}") == {"size": 5}
    rows = [row.items for row in BatchChunk.select().execute(application.database)]
    assert "secret-of-the-tests" not in json.dumps(rows)
    assert "key-of-the-tests" not in json.dumps(rows)


def test_remote_files_that_are_not_there(bucket: str) -> None:
    files = put(f"{bucket}/scans", *(f"{number:03}.png" for number in range(60)))
    assert len(checked(files)) == 60
    again = files[7].replace("s3://", "s3a://")
    cases: list[tuple[list[str], str]] = [
        ([*files, f"{bucket}/scans/none.png"], f"file_paths: {bucket}/scans/none.png: no such file"),
        ([f"{bucket}/scans"], f"file_paths: {bucket}/scans: a folder, not a file"),
        (["s3://no-such-bucket-here/a.png"], "file_paths: s3://no-such-bucket-here/a.png: no such file"),
        ([*files, again], f"file_paths: {again!r} is named twice"),
    ]
    for paths, message in cases:
        with pytest.raises(BatchError) as refused:
            checked(paths)
        assert str(refused.value) == message
    with pytest.raises(BatchError, match=r"no such file \(and at least \d+ more\)"):
        checked([f"{bucket}/none/{number}.png" for number in range(3000)])
    # What has come since the folder was listed is there, what has gone is not.
    (new,) = put(f"{bucket}/scans", "new.png")
    fsspec.filesystem("s3").rm(files[0])
    assert len(checked([*files[1:], new])) == 60
    with pytest.raises(BatchError, match=r"000.png: no such file"):
        checked(files)
    # A listing of a moment ago is not asked for again.
    assert checked(Listed(files))[0] == (files[0], None)


def test_a_folder_with_many_of_them_is_listed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = put(f"{bucket}/scans", *(f"{number:05}.png" for number in range(300)))
    paths += put(f"{bucket}/few", "a.png", "b.png")
    file_system = fsspec.filesystem("s3")
    info, asked = file_system.info, []

    def count(path: str) -> Any:
        asked.append(path)
        return info(path)

    monkeypatch.setattr(file_system, "info", count)
    assert len(checked(paths)) == 302
    assert len(asked) == 3


def test_what_is_not_asked_for_in_time_is_left_to_its_chain(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = put(bucket, *(f"{number}/a.png" for number in range(60)))
    file_system = fsspec.filesystem("s3")
    info = file_system.info

    def slow(path: str) -> Any:
        time.sleep(0.3)
        return info(path)

    # The server is real; it is only far away.
    monkeypatch.setattr(file_system, "info", slow)
    monkeypatch.setattr(remote_files, "SECONDS", 0.5)
    monkeypatch.setattr(remote_files, "THREADS", 4)
    with caplog.at_level(logging.WARNING):
        assert len(checked(paths)) == 60
    assert "of 60 files were not asked for in time" in caplog.text


def test_a_storage_that_does_not_answer(
    application: Application, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    monkeypatch.setattr(remote_files, "SECONDS", 1.0)
    server = S3Server(INITIAL_NO_AUTH_ACTION_COUNT="0")
    with server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
        fsspec.filesystem("s3").clear_instance_cache()
        try:
            for begin in (
                lambda: files_under("s3://bucket/scans/"),
                lambda: start_batch_pipeline(
                    **DEFAULTS, file_paths=["s3://bucket/a.png"], application=application
                ),
            ):
                with pytest.raises((StorageUnavailable, BatchError)) as refused:
                    begin()
                assert "secret" not in str(refused.value)
                assert "key-of-the-tests" not in str(refused.value)
                print(refused.value)
            server.stop()
            with pytest.raises(StorageUnavailable, match="nothing was started"):
                start_batch_pipeline(**DEFAULTS, file_paths=["s3://bucket/a.png"], application=application)
        finally:
            fsspec.filesystem("s3").clear_instance_cache()
    assert counted(application) == [0, 0, 0]


def test_what_an_error_shows_of_a_url() -> None:
    assert shown("https://host/a.png?X-Amz-Signature=abc") == "https://host/a.png"
    assert shown("ftp://me:secret@host/a.png") == "ftp://me:***@host/a.png"
    assert shown("s3://bucket/a@b:c.png") == "s3://bucket/a@b:c.png"
    assert shown("/a?b") == "/a?b"
