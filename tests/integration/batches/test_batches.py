"""Batches: each image counted once, a window of chunks under way, and nothing lost or half-started."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_shop import Shop, counts
from chains import recorded
from dramatiq import Worker
from waiting import wait_until

from actors import control, starting
from actors.batches import chunks
from actors.batches.driver import NEXT_LOOK, BatchDriver, advance
from actors.batches.release import FEWEST_THREADS, REACTION, room_of, send_chunks
from actors.batches.revoke import revoke_batch
from actors.batches.status import batch_status
from callboard.errors import BatchError, BoardUnavailable, LedgerUnavailable, UnknownBatch
from db.batches.ledger import chain_id_of
from db.batches.pace import Pace, Sample
from db.models import BatchChunk, BatchExecution
from db.workers import WorkerFacts, Workers

Work = Callable[..., Worker]


def test_every_image_is_counted_in_both_stores(shop: Shop, work: Work) -> None:
    work(shop.application, worker_threads=2)
    files = shop.files(1000)
    batch_id = shop.start(files, chunk_size=20)
    status = shop.ended(batch_id, 180)
    assert (status.status, counts(status), status.completed_chunks) == ("SUCCESS", (1000, 0, 0), 50)
    assert status.source == "redis"
    assert counts(shop.row(batch_id)) == (1000, 0, 0)
    assert sorted(shop.ran) == sorted(files)


def test_on_postgresql_and_each_broker(postgres_shop: Shop, work: Work) -> None:
    shop = postgres_shop
    work(shop.application)
    files = [*shop.files(38), *shop.files(2, "bad")]
    public = [f"https://example.org/{number}" for number in range(40)]
    batch_id = shop.start(files, public_file_paths=public, options={"hangul": "off"}, chunk_size=7, window=2)
    status = shop.ended(batch_id)
    assert (status.status, counts(status)) == ("FAILURE", (38, 2, 0))
    assert (status.total_chunks, status.completed_chunks, status.failed_chunks) == (6, 6, 0)
    record = shop.application.ledger.read_chain(chain_id_of(batch_id, 39))
    assert record is not None
    assert record.chain.batch_id == batch_id
    assert record.chain.input_data == {
        "file_path": files[39],
        "options": {"hangul": "off"},
        "public_file_path": public[39],
    }


def test_a_share_may_be_enough(shop: Shop, work: Work) -> None:
    work(shop.application)
    files = [*shop.files(9), *shop.files(1, "bad")]
    assert shop.ended(shop.start(files, success_threshold=0.9)).status == "SUCCESS"
    assert shop.ended(shop.start(files, success_threshold=0.91)).status == "FAILURE"


def test_duplicates_and_a_resumed_chain_count_once(shop: Shop, work: Work) -> None:
    files = [*shop.files(5), *shop.files(1, "bad")]
    batch_id = shop.start(files, chunk_size=3)
    for _ in range(3):
        send_chunks(shop.application, batch_id, range(2))
    work(shop.application)
    assert counts(shop.ended(batch_id)) == (5, 1, 0)
    send_chunks(shop.application, batch_id, range(2))
    shop.application.broker.join("callboard")
    assert sorted(shop.ran) == sorted(files)

    assert counts(shop.status(batch_id)) == (5, 1, 0)
    shop.gate.clear()
    control.resume(chain_id_of(batch_id, 5), application=shop.application)
    open_again = shop.status(batch_id)
    assert (open_again.status, counts(open_again), open_again.finished_at) == ("STARTED", (5, 0, 0), None)
    shop.gate.set()
    wait_until(lambda: shop.ran.count(files[5]) == 2 and counts(shop.status(batch_id)) == (5, 1, 0))
    assert (shop.ended(batch_id).status, counts(shop.row(batch_id))) == ("FAILURE", (5, 1, 0))


def test_the_window_is_never_exceeded(shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start(shop.files(60), chunk_size=2, window=3)
    work(shop.application, worker_threads=8)
    most, seen = 0, set()

    def look() -> bool:
        nonlocal most
        live = shop.application.batches.read(batch_id)
        assert live is not None
        most = max(most, len(live.in_flight()))
        seen.add(live.released)
        return live.counts.ended

    wait_until(lambda: look() or len(shop.ran) == 6)
    # Nothing ends, so nothing more is let go, however often the batch is looked at.
    for _ in range(10):
        advance(shop.application, batch_id)
    look()
    assert seen == {3}
    shop.gate.set()
    wait_until(look, interval=0.002)
    assert most == 3
    assert counts(shop.ended(batch_id)) == (60, 0, 0)


def test_the_window_follows_the_threads_of_the_workers(shop: Shop) -> None:
    def released(images: int, chunk_size: int) -> int:
        batch_id = shop.start(shop.files(images, f"of-{chunk_size}"), chunk_size=chunk_size)
        count = shop.live(batch_id).released
        revoke_batch(batch_id, application=shop.application)
        return count

    assert released(100, 1) == 2 * FEWEST_THREADS
    workers = Workers(shop.application.board.clients, shop.application.board.keys)
    for name in ("w1", "w2"):
        workers.register(name, WorkerFacts("", "h", 1, ["default"], 8, time.time()), 30)
    assert released(100, 1) == 32
    assert released(100, 5) == 6
    assert released(100, 12) == 2
    # One that is larger goes whole.
    assert released(100, 50) == 1


def test_batches_share_the_window(shop: Shop) -> None:
    workers = Workers(shop.application.board.clients, shop.application.board.keys)
    workers.register("w", WorkerFacts("", "h", 1, ["default"], 16, time.time()), 30)
    first = shop.start(shop.files(100, "a"), chunk_size=1)
    second = shop.start(shop.files(100, "b"), chunk_size=1)
    assert (shop.live(first).released, shop.live(second).released) == (32, 16)


def test_more_lies_ready_where_images_end_fast(shop: Shop) -> None:
    live = shop.live(shop.start(shop.files(400), chunk_size=1))
    assert room_of(shop.application, live, 1).images == 2 * FEWEST_THREADS
    begun = time.time() - 2
    samples = tuple(Sample(begun + 0.2 * number, 20 * number, 4) for number in range(11))
    fast = replace(live, pace=Pace(begun, samples), letters=b"S" * 200 + bytes(200), let_go=None)
    assert room_of(shop.application, fast, 1).images == pytest.approx(100 * REACTION, rel=0.2)


def test_a_higher_priority_goes_first(shop: Shop) -> None:
    shop.start(shop.files(30, "a"), chunk_size=1, window=5, priority="high")
    low = shop.start(shop.files(30, "b"), chunk_size=1, window=5, priority="low")
    assert shop.live(low).released == 0
    # It goes on in spite of that, a chunk at each look.
    for released in (1, 1):
        shop.application.batches.set_moment(low, "look", -1)
        advance(shop.application, low)
        assert shop.live(low).released == released


def test_what_was_outranked_goes_when_the_others_are_out(shop: Shop, work: Work) -> None:
    high = shop.start(shop.files(30, "a"), chunk_size=1, window=5, priority="high")
    low = shop.start(shop.files(30, "b"), chunk_size=1, window=5, priority="low")
    work(shop.application)
    begun = time.monotonic()
    for batch_id in (high, low):
        assert counts(shop.ended(batch_id)) == (30, 0, 0)
    # A chunk at each look would take thirty of them.
    assert time.monotonic() - begun < 10 * NEXT_LOOK
    assert all(Path(path).name.startswith("a-") for path in shop.ran[:20])


def test_a_retry_starts_only_what_was_not_started(
    shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.actor.options["min_backoff"] = 50
    files = shop.files(10)
    batch_id = shop.start(files)
    create = shop.application.ledger.create_chains
    broken: list[int] = []

    def first_half_then_down(chains: Any) -> None:
        if not broken:
            broken.append(len(chains))
            starting.start_named(
                shop.application.workflow("small"),
                {chain.chain_id: chain.input_data for chain in chains[:5]},
                batch_id=batch_id,
            )
            raise RuntimeError("half of it was done")
        if len(broken) == 1 and len(chains) == 5:
            broken.append(5)
        create(chains)

    # The ledger itself is real; it is only away at one moment.
    monkeypatch.setattr(shop.application.ledger, "create_chains", first_half_then_down)
    work(shop.application)
    assert counts(shop.ended(batch_id)) == (10, 0, 0)
    assert sorted(shop.ran) == sorted(files)
    assert broken[0] == 10


def test_an_outage_is_no_fault_of_a_chunk(shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.actor.options["min_backoff"] = 50
    monkeypatch.setattr(chunks, "OUTAGE_PAUSE", 50)
    create, tries = shop.application.ledger.create_chains, []

    def away_for_a_while(chains: Any) -> None:
        tries.append(1)
        if len(tries) < 8:
            raise LedgerUnavailable("down")
        create(chains)

    # The ledger itself is real; it is only away eight times, which is more than the retries of a chunk.
    monkeypatch.setattr(shop.application.ledger, "create_chains", away_for_a_while)
    files = shop.files(5)
    batch_id = shop.start(files)
    work(shop.application)
    assert counts(shop.ended(batch_id)) == (5, 0, 0)
    assert (len(tries), sorted(shop.ran)) == (8, sorted(files))


def test_a_chunk_that_fails_for_good(shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.actor.options["min_backoff"] = 50
    files = shop.files(20)
    create, tries = shop.application.ledger.create_chains, []

    def down_for_the_first_chunk(chains: Any) -> None:
        if chains[0].chain_id.endswith(".0"):
            tries.append(1)
            raise RuntimeError("the stage hand is ill")
        create(chains)

    monkeypatch.setattr(shop.application.ledger, "create_chains", down_for_the_first_chunk)
    batch_id = shop.start(files)
    work(shop.application)
    status = shop.ended(batch_id)
    assert (status.status, counts(status)) == ("FAILURE", (10, 10, 0))
    assert (status.completed_chunks, status.failed_chunks) == (1, 1)
    assert len(tries) == 4
    # The ledger knows it, too.
    recorded(shop.application)
    shop.application.board.clients.get().flushdb()
    live = advance(shop.application, batch_id)
    assert live is not None
    wait_until(lambda: shop.live(batch_id).counts.succeeded == 10)
    assert (shop.live(batch_id).counts.failed, shop.live(batch_id).counts.new) == (10, 0)


def test_who_sees_success_sees_when_it_ended(shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.batches.driver._close", lambda *_: None)
    batch_id = shop.start(shop.files(3))
    work(shop.application)
    wait_until(lambda: shop.status(batch_id).status == "SUCCESS")
    assert shop.live(batch_id).finished is None
    wait_until(lambda: shop.row(batch_id).finished_at)
    told = shop.status(batch_id)
    assert (told.source, told.finished_at) == ("redis", shop.row(batch_id).finished_at)


def test_redis_is_emptied_in_the_middle(shop: Shop, work: Work) -> None:
    files = shop.files(60)
    shop.gate.clear()
    batch_id = shop.start(files, chunk_size=5, window=3)
    worker = work(shop.application)
    wait_until(lambda: len(shop.ran) >= 4)
    shop.application.board.clients.get().flushdb()
    shop.gate.set()
    worker.stop()
    work(shop.application)
    shop.sweep_to_the_end(batch_id)
    assert counts(shop.status(batch_id)) == (60, 0, 0)
    assert set(shop.ran) == set(files)


def test_a_start_that_died_before_the_board_goes_on(
    shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.batches.start.post", lambda *_: None)
    monkeypatch.setattr("actors.batches.start.advance", lambda *_: None)
    monkeypatch.setattr("actors.batches.driver.EMPTIED_GRACE", 0)
    batch_id = shop.start(shop.files(12), chunk_size=5)
    work(shop.application)
    BatchDriver(shop.application).compare(emptied=True)
    assert counts(shop.ended(batch_id)) == (12, 0, 0)


def test_chunks_whose_messages_were_lost_are_sent_again(
    shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr("actors.batches.release.send_chunks", lambda *_: None)
        batch_id = shop.start(shop.files(12), chunk_size=5, window=3)
    assert shop.live(batch_id).in_flight() == [0, 1, 2]
    work(shop.application)
    for moment in ("look", "resend"):
        shop.application.batches.set_moment(batch_id, moment, -1)
    advance(shop.application, batch_id)
    assert counts(shop.ended(batch_id)) == (12, 0, 0)


def test_an_end_that_only_the_ledger_knows_is_counted(shop: Shop, work: Work) -> None:
    work(shop.application)
    batch_id = shop.start(shop.files(3))
    shop.ended(batch_id)
    recorded(shop.application)
    board, client = shop.application.board, shop.application.board.clients.get()
    client.setrange(board.keys.batch_items(batch_id), 1, "p")
    client.delete(board.keys.live(chain_id_of(batch_id, 1)))
    assert counts(shop.status(batch_id)) == (2, 0, 0)
    shop.application.batches.set_moment(batch_id, "look", -1)
    advance(shop.application, batch_id)
    assert counts(shop.status(batch_id)) == (3, 0, 0)
    assert counts(shop.row(batch_id)) == (3, 0, 0)


def test_a_resumed_chain_takes_its_batch_out_of_the_revocation(shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start(shop.files(2))
    work(shop.application)
    wait_until(lambda: len(shop.ran) == 2)
    revoke_batch(batch_id, application=shop.application)
    assert counts(shop.ended(batch_id)) == (0, 0, 2)
    shop.gate.set()
    # Once the batch's end is on the board, too, a resume is not called off again.
    wait_until(lambda: shop.live(batch_id).finished)
    control.resume(chain_id_of(batch_id, 0), application=shop.application)
    wait_until(lambda: counts(shop.row(batch_id)) == (1, 0, 1))
    assert shop.ended(batch_id).status == "REVOKED"


def test_what_was_called_off_stays_so_when_redis_is_emptied(shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start(shop.files(30), chunk_size=2, window=1)
    work(shop.application)
    wait_until(lambda: len(shop.ran) == 2)
    revoke_batch(batch_id, application=shop.application)
    assert counts(shop.ended(batch_id)) == (0, 0, 30)
    wait_until(lambda: shop.live(batch_id).finished)
    recorded(shop.application)
    control.resume(chain_id_of(batch_id, 0), application=shop.application)
    wait_until(lambda: shop.row(batch_id).finished_at is None)
    recorded(shop.application)
    shop.application.board.clients.get().flushdb()
    shop.gate.set()
    shop.sweep_to_the_end(batch_id)
    assert counts(shop.status(batch_id)) == (1, 0, 29)
    assert len(set(shop.ran)) == 2


def test_revoked(shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start(shop.files(40), chunk_size=4, window=2)
    work(shop.application, worker_threads=2)
    wait_until(lambda: len(shop.ran) == 2)
    revoke_batch(batch_id, "not needed", application=shop.application)
    status = shop.ended(batch_id)
    assert (status.status, counts(status)) == ("REVOKED", (0, 0, 40))
    assert (status.completed_chunks, status.failed_chunks) == (0, 0)
    with pytest.raises(BatchError, match="has ended"):
        revoke_batch(batch_id, application=shop.application)
    shop.gate.set()
    shop.application.broker.join("callboard")
    shop.application.broker.join("default")
    assert len(shop.ran) == 2
    assert counts(shop.status(batch_id)) == (0, 0, 40)


def test_unknown_batches(shop: Shop) -> None:
    with pytest.raises(UnknownBatch):
        batch_status("none", application=shop.application)
    with pytest.raises(UnknownBatch):
        revoke_batch("none", application=shop.application)


def test_without_redis_nothing_is_left(private_redis: Any, build_application: Any, tmp_path: Path) -> None:
    shop = Shop(build_application(REDIS_URL=f"{private_redis.url}/0"), tmp_path)
    files = shop.files(3)
    private_redis.kill()
    with pytest.raises(BoardUnavailable, match="nothing was started"):
        shop.start(files)
    assert (shop.count(BatchExecution), shop.count(BatchChunk)) == (0, 0)


def test_ten_thousand_images_start_at_once(shop: Shop) -> None:
    files = shop.files(10_000)
    begun = time.monotonic()
    batch_id = shop.start(files)
    elapsed = time.monotonic() - begun
    assert shop.row(batch_id).total_chunks == 1000
    print(f"started in {elapsed:.2f} s")
    assert elapsed < 30  # two seconds on a machine of its own
