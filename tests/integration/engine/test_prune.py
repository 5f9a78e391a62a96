"""What is left behind in Redis and in the storage goes; what still holds work stays."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import fsspec
import pytest
from chains import ended, recorded
from dramatiq import Worker
from fsspec.implementations.memory import MemoryFileSystem
from servers import RedisServer

from actors import prune
from actors.application import Application
from actors.clock import build_scheduler
from actors.sweep import Sweep
from actors.workflow import Workflow, stage
from db.models import BatchExecution, ChainExecution, TaskLog
from db.values import utc_now

Work = Callable[..., Worker]
DAY = 86_400


def one_stage() -> Workflow:
    @stage
    def only(document: Any) -> Any:
        return document

    return Workflow("one_stage", [only])


def pruned(application: Application) -> dict[str, int]:
    """A dry run, then a real one: both say the same, and a second one finds nothing more."""
    dry: Counter[str] = Counter()
    wet: Counter[str] = Counter()
    for removed in prune.steps(application, dry_run=True):
        dry[removed.kind] += removed.count
    for removed in prune.steps(application):
        wet[removed.kind] += removed.count
    assert wet == dry
    assert set(wet) <= set(prune.KINDS)
    assert list(prune.steps(application)) == []
    return dict(wet)


def set_back(application: Application, chain_id: str, days: float) -> None:
    """Let a chain on the board have moved so many days ago."""
    client, live = application.board.clients.get(), application.board.keys.live(chain_id)
    moment = time.time() - days * DAY
    array = json.loads(client.hget(live, "array") or "[]")  # type: ignore[arg-type]
    older = ",\n".join(json.dumps({**entry, "updated_at": moment}) for entry in array)
    client.hset(live, mapping={"array": f"[{older}]", "created": moment})


def forget_message(application: Application) -> None:
    """Let the queue have lost its messages."""
    namespace: Any = getattr(application.broker, "namespace", "")
    client = application.board.clients.get()
    client.delete(f"{namespace}:default", f"{namespace}:default.msgs")


def rows(application: Application, **values: Any) -> None:
    ChainExecution.update(values).execute(application.database)


# -- chains ------------------------------------------------------------------------------------------------


def test_an_open_chain_that_the_ledger_has_as_ended(build_application: Any) -> None:
    application = build_application()
    board, workflow = application.board, one_stage()
    stale, moving, queued = (workflow.start(name) for name in ("stale", "moving", "queued"))
    client = board.clients.get()
    forget_message(application)
    task_id = board.chain(queued).plan[0]["tasks"][0]["task_id"]
    client.hset(f"{application.broker.namespace}:default.msgs", task_id, b"")
    for chain_id in (stale, queued):
        set_back(application, chain_id, 8)
    set_back(application, moving, 6)
    assert pruned(application) == {}
    rows(application, status="FAILURE", finished_at=utc_now())
    client.xadd(board.keys.messages(stale), {"message": "{}"})
    assert pruned(application) == {"stale chains": 1}
    assert board.chain(stale) is None
    keys = [board.keys.live(stale), board.keys.array(stale), board.keys.messages(stale)]
    assert client.exists(*keys) == 0
    assert board.chain(moving) is not None
    assert board.chain(queued) is not None


def test_an_open_chain_that_the_ledger_does_not_have(build_application: Any) -> None:
    application = build_application()
    chain_id = one_stage().start({})
    forget_message(application)
    ChainExecution.delete().execute(application.database)
    assert pruned(application) == {}
    set_back(application, chain_id, 8)
    assert pruned(application) == {"stale chains": 1}


def test_a_chain_whose_worker_lives_stays(build_application: Any) -> None:
    application = build_application()
    board = application.board
    chain_id = one_stage().start({})
    forget_message(application)
    ChainExecution.delete().execute(application.database)
    client = board.clients.get()
    client.hset(board.keys.live(chain_id), "1.0", json.dumps({"status": "RUNNING", "worker": "host:1:a"}))
    client.set(board.keys.life("host:1:a"), "1", ex=30)
    set_back(application, chain_id, 8)
    assert pruned(application) == {}
    client.delete(board.keys.life("host:1:a"))
    assert pruned(application) == {"stale chains": 1}


def test_no_chain_is_stale_while_the_recorder_is_behind(build_application: Any) -> None:
    application = build_application()
    board = application.board
    chain_id = one_stage().start({})
    forget_message(application)
    set_back(application, chain_id, 8)
    rows(application, status="FAILURE")
    long_ago = f"{int((time.time() - 9 * DAY) * 1000)}-0"
    event = board.clients.get().xadd(board.keys.events, {"chain": "x"}, id=long_ago)
    assert pruned(application) == {}
    board.clients.get().xdel(board.keys.events, event)
    assert pruned(application) == {"stale chains": 1}


def test_days_of_nought_are_for_ever(build_application: Any) -> None:
    nothing = {"STALE_DAYS": "0", "RETENTION_DAYS": "0", "IDEMPOTENCY_DAYS": "0", "STORAGE_DAYS": "0"}
    application = build_application(**nothing)
    chain_id = one_stage().start({}, idempotency_key="key")
    forget_message(application)
    set_back(application, chain_id, 1000)
    rows(application, status="FAILURE", created_at=utc_now() - timedelta(days=1000))
    assert pruned(application) == {}


# -- what stands beside the chains -------------------------------------------------------------------------


def test_streams_of_chains_that_have_left(build_application: Any) -> None:
    application = build_application()
    board, client = application.board, application.board.clients.get()
    messages = board.keys.messages
    old = f"{int((time.time() - 8 * DAY) * 1000)}-0"
    client.xadd(messages("silent"), {"message": "{}"}, id=old)
    client.xadd(messages("drained"), {"message": "{}"}, id=old)
    client.xdel(messages("drained"), old)
    client.xadd(messages("fresh"), {"message": "{}"})
    client.xadd(messages("expires"), {"message": "{}"}, id=old)
    client.expire(messages("expires"), 3600)
    at_work = one_stage().start({})
    client.xadd(messages(at_work), {"message": "{}"}, id=old)
    assert pruned(application) == {"message streams": 2}
    assert client.exists(messages("silent"), messages("drained")) == 0
    assert client.exists(messages("fresh"), messages("expires"), messages(at_work)) == 3


def test_silent_recorders(build_application: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.stale.SILENT_RECORDER", 0)
    application = build_application()
    client, keys = application.board.clients.get(), application.board.keys
    assert pruned(application) == {}
    client.xgroup_create(keys.events, keys.recorders, id="0", mkstream=True)
    client.xadd(keys.events, {"chain": "x"})
    client.xreadgroup(keys.recorders, "with an event", {keys.events: ">"})
    client.xgroup_createconsumer(keys.events, keys.recorders, "without")
    assert pruned(application) == {"recorders": 1}
    (left,) = client.xinfo_consumers(keys.events, keys.recorders)
    assert (left["name"], left["pending"]) == (b"with an event", 1)


def test_a_recorder_that_was_heard_of_stays(build_application: Any) -> None:
    application = build_application()
    client, keys = application.board.clients.get(), application.board.keys
    client.xgroup_create(keys.events, keys.recorders, id="0", mkstream=True)
    client.xgroup_createconsumer(keys.events, keys.recorders, "at work")
    assert pruned(application) == {}


def test_dead_workers(build_application: Any) -> None:
    application = build_application()
    client, keys = application.board.clients.get(), application.board.keys
    namespace = application.broker.namespace
    long_ago = time.time() - 2 * DAY
    facts = {"host": "h", "pid": 1, "queues": ["default"], "threads": 1}
    for name, started in (
        ("dead", long_ago),
        ("alive", long_ago),
        ("fresh", time.time()),
        ("holds", long_ago),
        ("held events", long_ago),
    ):
        client.hset(keys.workers, name, json.dumps({**facts, "broker": f"b-{name}", "started": started}))
    client.set(keys.life("alive"), "1", ex=30)
    client.sadd(f"{namespace}:__acks__.b-holds.default.DQ", "message")
    # Another recorder claims them from who is known to be dead.
    client.xgroup_create(keys.events, keys.recorders, id="0", mkstream=True)
    client.xadd(keys.events, {"chain": "x"})
    client.xreadgroup(keys.recorders, "held events", {keys.events: ">"})
    assert pruned(application) == {"workers": 1}
    assert set(client.hkeys(keys.workers)) == {b"alive", b"fresh", b"holds", b"held events"}


def test_marks_of_open_chains(build_application: Any) -> None:
    application = build_application()
    board, client, workflow = application.board, application.board.clients.get(), one_stage()
    flushed, at_work = workflow.start({}), workflow.start({})
    client.delete(board.keys.live(flushed))
    now = time.time() * 1000
    client.zadd(board.keys.open, {flushed: now, at_work: now, "unknown": now})
    # What the ledger has as open is for the sweep to restore.
    assert pruned(application) == {"open marks": 1}
    assert set(client.zrange(board.keys.open, 0, -1)) == {flushed.encode(), at_work.encode()}
    rows(application, status="REVOKED")
    assert pruned(application) == {"open marks": 1}
    assert client.zrange(board.keys.open, 0, -1) == [at_work.encode()]


# -- the ledger and the board ------------------------------------------------------------------------------


def test_an_old_chain_that_was_resumed_keeps_its_rows(build_application: Any, work: Work) -> None:
    application = build_application()
    workflow = one_stage()
    old, resumed = workflow.start({}), workflow.start({})
    work(application)
    for chain_id in (old, resumed):
        ended(application, chain_id)
    recorded(application)
    long_ago = utc_now() - timedelta(days=100)
    rows(application, created_at=long_ago, finished_at=long_ago)
    client, live = application.board.clients.get(), application.board.keys.live(resumed)
    state = json.loads(client.hget(live, "state"))
    client.hset(live, "state", json.dumps({**state, "status": "STARTED"}))
    assert pruned(application) == {"chains": 1, "tasks": 1}
    assert application.ledger.read_chain(old) is None
    assert TaskLog.select().count(application.database) == 1


# -- the storage -------------------------------------------------------------------------------------------


def make_old(folder: Path, days: float) -> None:
    moment = time.time() - days * DAY
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (moment, moment))


def test_old_files_go_where_the_setting_says_so(build_application: Any, work: Work, tmp_path: Path) -> None:
    application = build_application(STORAGE_DAYS="30")
    assert pruned(application) == {}
    workflow = one_stage()
    done = workflow.start({}, chain_id="of-my-own")
    work(application)
    ended(application, done)
    recorded(application)
    open_chain, lost, written = str(uuid4()), str(uuid4()), str(uuid4())
    row = {"chain_id": open_chain, "chain_name": "x", "status": "STARTED"}
    ChainExecution.insert(row).execute(application.database)
    lone = str(uuid4())
    application.board.clients.get().hset(application.board.keys.lone(lone), "state", "{}")
    names = [done, open_chain, lost, written, lone, "archive"]
    for name in names:
        application.storage.folder(name).write_json("pages/1.json", {})
        make_old(tmp_path / "storage" / name, 31)
    (tmp_path / "storage" / "readme.txt").write_text("not a folder")
    application.storage.folder(written).write_json("pages/2.json", {})
    assert pruned(application) == {"storage folders": 2}
    left = {path.name for path in (tmp_path / "storage").iterdir()}
    assert left == {open_chain, written, lone, "archive", "readme.txt"}


def test_files_stay_unless_a_setting_says_otherwise(build_application: Any, tmp_path: Path) -> None:
    application = build_application()
    name = str(uuid4())
    application.storage.folder(name).write_json("pages.json", {})
    make_old(tmp_path / "storage" / name, 10_000)
    assert pruned(application) == {}


def test_a_storage_that_cannot_be_reached_holds_up_nothing(
    build_application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    application = build_application(STORAGE_URL="nowhere://bucket", STORAGE_DAYS="1")
    one_stage().start({}, idempotency_key="key")
    rows(application, status="FAILURE", created_at=utc_now() - timedelta(days=8))
    assert pruned(application) == {"idempotency keys": 1}
    assert "The storage cannot be pruned: nowhere://bucket" in caplog.text


class KeepingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """In memory; whoever wants to delete is told that he may not."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    protocol = "keeping"

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return super()._strip_protocol(path.removeprefix("keeping://"))

    def rm(self, path: str, **options: Any) -> None:
        raise PermissionError(f"{path} is kept")


def test_folders_of_a_batch(build_application: Any, tmp_path: Path) -> None:
    application = build_application(STORAGE_DAYS="1", RETENTION_DAYS="0")
    goes_on, over, forgotten = (str(uuid4()) for _ in range(3))
    for batch_id, finished in ((goes_on, None), (over, utc_now())):
        BatchExecution.insert(batch_id=batch_id, finished_at=finished).execute(application.database)
    for batch_id in (goes_on, over, forgotten):
        for part in ("upload-0123456789ab", "17"):
            application.storage.folder(f"{batch_id}.{part}").write_json("file.json", {})
            make_old(tmp_path / "storage" / f"{batch_id}.{part}", 2)
    assert pruned(application) == {"storage folders": 4}
    left = {path.name for path in (tmp_path / "storage").iterdir()}
    assert left == {f"{goes_on}.upload-0123456789ab", f"{goes_on}.17"}


def test_a_folder_that_cannot_be_removed_holds_up_nothing(
    build_application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fsspec.register_implementation("keeping", KeepingFileSystem, clobber=True)
    application = build_application(STORAGE_URL="keeping://house", STORAGE_DAYS="1")
    name = str(uuid4())
    application.storage.folder(name).write_json("page.json", {})
    for file in KeepingFileSystem.store.values():
        file.created -= timedelta(days=2)
    one_stage().start({}, idempotency_key="key")
    rows(application, status="FAILURE", created_at=utc_now() - timedelta(days=8))
    assert [removed.kind for removed in prune.steps(application)] == ["idempotency keys"]
    assert f"The folder keeping://house/{name} stays: " in caplog.text


def test_other_file_systems(build_application: Any) -> None:
    place = f"memory://prune-{uuid4().hex}"
    application = build_application(STORAGE_URL=place, STORAGE_DAYS="1")
    name = str(uuid4())
    application.storage.folder(name).write_json("page.json", {})
    assert application.storage.folders() == [name]
    assert abs(application.storage.folder(name).changed() - utc_now()) < timedelta(minutes=1)
    assert pruned(application) == {}


# -- the clock ---------------------------------------------------------------------------------------------


def test_one_clock_prunes_in_an_hour(build_application: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="actors.prune")
    application = build_application()
    client, keys = application.board.clients.get(), application.board.keys
    chain_id = one_stage().start({}, idempotency_key="key")
    rows(application, status="FAILURE", created_at=utc_now() - timedelta(days=8))
    client.set(keys.pruner, "another", ex=60)
    prune.hourly(application)
    assert caplog.messages == []
    client.delete(keys.pruner)
    prune.hourly(application)
    assert caplog.messages == ["Pruned: 1 idempotency keys."]
    assert 0 < client.ttl(keys.pruner) <= prune.STANDBY
    assert application.ledger.read_chain(chain_id).chain.idempotency_key is None


def test_an_outage_ends_the_round(
    build_application: Any, private_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    application = build_application(REDIS_URL=private_redis.url)
    private_redis.stop()
    prune.hourly(application)
    assert "Pruning waits for the next round" in caplog.text


def test_the_clock_prunes_hourly(build_application: Any) -> None:
    application = build_application()
    jobs = {job.func: job for job in build_scheduler(application, Sweep(application)).get_jobs()}
    trigger = jobs[prune.hourly].trigger
    assert (trigger.interval, trigger.jitter) == (timedelta(hours=1), 600)
