"""Retry of a batch what has failed: only that, from where it failed, within the window, counted exactly."""

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

from actors import control
from actors.batches.driver import advance
from actors.batches.release import FEWEST_THREADS, IMAGES_PER_THREAD, room_of, send_chunks
from actors.batches.retry import ErrorShare, RetryPlan, StageShare, retry_failed
from actors.batches.revoke import revoke_batch
from callboard.errors import BatchStateError, LedgerUnavailable, UnknownBatch
from db.batches.ledger import chain_id_of
from db.workers import WorkerFacts, Workers

Work = Callable[..., Worker]


def retry(shop: Shop, batch_id: str, **options: Any) -> RetryPlan:
    return retry_failed(batch_id, application=shop.application, **options)


def broken_batch(shop: Shop, work: Work, **options: Any) -> tuple[str, list[str], list[str], list[str]]:
    """A batch that has ended: its id, its good files, and those that fail in the first and second stage."""
    good, bad, late = shop.files(190), shop.files(6, "bad"), shop.files(4, "late")
    files = list(good)
    for number, file in enumerate([*bad, *late]):
        files.insert(20 * number, file)
    work(shop.application, worker_threads=4)
    batch_id = shop.start(files, **options)
    assert counts(shop.ended(batch_id)) == (190, 10, 0)
    wait_until(lambda: shop.live(batch_id).finished)
    recorded(shop.application)
    return batch_id, good, bad, late


def test_what_was_mended_finishes_and_nothing_else_runs_again(postgres_shop: Shop, work: Work) -> None:
    shop = postgres_shop
    batch_id, good, bad, late = broken_batch(shop, work)
    first_end = shop.row(batch_id).finished_at
    shop.mend([*bad, *late])
    plan = retry(shop, batch_id)
    assert plan.stages == [StageShare(1, "First", 6), StageShare(2, "Second", 4)]
    assert plan.errors == [ErrorShare("bad", 6), ErrorShare("late", 4)]
    status = shop.ended(batch_id)
    assert (status.status, counts(status), status.source) == ("SUCCESS", (200, 0, 0), "redis")
    assert status.completed_chunks == 20
    assert first_end is not None
    assert status.finished_at is not None
    assert status.finished_at > first_end
    assert counts(shop.row(batch_id)) == (200, 0, 0)
    assert sorted(shop.ran) == sorted([*good, *bad, *bad, *late])
    assert sorted(shop.ran_second) == sorted([*good, *bad, *late, *late])
    recorded(shop.application)
    for item in range(200):
        record = shop.application.ledger.read_chain(chain_id_of(batch_id, item))
        assert record is not None
        assert (record.chain.status, record.chain.completed_tasks) == ("SUCCESS", 2)


def test_a_dry_run_changes_nothing(shop: Shop, work: Work) -> None:
    batch_id, *_ = broken_batch(shop, work)
    advance(shop.application, batch_id)
    before, ran = shop.row(batch_id).__data__, len(shop.ran)
    letters = shop.live(batch_id).letters
    plan = retry(shop, batch_id, dry_run=True)
    assert (plan.dry_run, plan.images) == (True, 10)
    assert plan.stages == [StageShare(1, "First", 6), StageShare(2, "Second", 4)]
    assert plan.errors == [ErrorShare("bad", 6), ErrorShare("late", 4)]
    assert plan.expected_seconds is None or plan.expected_seconds >= 0
    advance(shop.application, batch_id)
    assert shop.live(batch_id).letters == letters
    after = shop.row(batch_id).__data__
    assert {**before, "seq": 0} == {**after, "seq": 0}
    assert len(shop.ran) == ran


def test_the_expected_time(shop: Shop, work: Work) -> None:
    shop.gate.clear()
    batch_id = shop.start([*shop.files(2), *shop.files(3, "bad"), *shop.files(1, "late")])
    begun = time.monotonic()
    work(shop.application, worker_threads=6)
    wait_until(lambda: len(shop.ran) == 6)
    time.sleep(0.3)  # the length of the stage that is measured
    shop.gate.set()
    shop.ended(batch_id)
    elapsed = time.monotonic() - begun
    recorded(shop.application)
    workers = Workers(shop.application.board.clients, shop.application.board.keys)
    known = sum(worker.facts.threads for worker in workers.known() if worker.alive_for)
    workers.register("w1", WorkerFacts("", "h", 1, ["default"], 2 - known, time.time()), 30)
    expected = retry(shop, batch_id, dry_run=True).expected_seconds
    # Three images of the long stage on two threads, and next to nothing for the short one.
    assert expected is not None
    assert 3 * 0.3 / 2 <= expected <= 3 * elapsed


def test_a_stage_whose_time_nobody_knows(shop: Shop, work: Work) -> None:
    work(shop.application)
    batch_id = shop.start(shop.files(3, "bad"))
    shop.ended(batch_id)
    recorded(shop.application)
    assert retry(shop, batch_id, dry_run=True).expected_seconds is None


def test_what_is_asked_for_is_open_at_once_and_asking_twice_is_harmless(shop: Shop, work: Work) -> None:
    batch_id, _, bad, late = broken_batch(shop, work)
    shop.mend([*bad, *late])
    shop.gate.clear()
    assert retry(shop, batch_id).images == 10
    row = shop.row(batch_id)
    assert (row.status, row.finished_at, row.failed_images) == ("STARTED", None, 0)
    status = shop.status(batch_id)
    assert (status.status, status.finished_at, status.failed_images) == ("STARTED", None, 0)
    again = retry(shop, batch_id)
    assert (again.images, again.stages, again.errors) == (0, [], [])
    shop.gate.set()
    assert counts(shop.ended(batch_id)) == (200, 0, 0)
    assert all(shop.ran.count(file) == 2 for file in bad)
    assert all(shop.ran_second.count(file) == 2 for file in late)
    with pytest.raises(BatchStateError, match=f"nothing of batch {batch_id} has failed"):
        retry(shop, batch_id)


def test_what_fails_again_is_failed_again(shop: Shop, work: Work) -> None:
    batch_id, _, bad, late = broken_batch(shop, work)
    shop.mend(late)
    retry(shop, batch_id)
    status = shop.ended(batch_id)
    assert (status.status, counts(status)) == ("FAILURE", (194, 6, 0))
    shop.mend(bad)
    recorded(shop.application)
    assert retry(shop, batch_id).stages == [StageShare(1, "First", 6)]
    assert counts(shop.ended(batch_id)) == (200, 0, 0)
    assert [shop.ran.count(file) for file in bad] == [3] * 6


@pytest.mark.parametrize("window", [2, None], ids=["asked for", "by the workers"])
def test_the_window_is_respected(shop: Shop, work: Work, window: int | None) -> None:
    bad = shop.files(60, "bad")
    work(shop.application, worker_threads=6)
    batch_id = shop.start(bad, chunk_size=2, window=window)
    assert counts(shop.ended(batch_id)) == (0, 60, 0)
    shop.gate.clear()
    assert retry(shop, batch_id).images == 60
    chunks = 2 if window else 6
    wait_until(lambda: shop.live(batch_id).images_in_flight() == 2 * chunks)
    for _ in range(10):
        advance(shop.application, batch_id)
    live = shop.live(batch_id)
    assert len(live.in_flight()) == chunks
    assert (live.counts.open, live.images_in_flight()) == (60, 2 * chunks)
    shop.mend(bad)
    shop.gate.set()
    assert counts(shop.ended(batch_id)) == (60, 0, 0)


def test_few_failures_of_many_chunks_fill_the_window_by_images(shop: Shop, work: Work) -> None:
    bad = shop.files(60, "bad")
    files = [file for one in bad for file in (one, *shop.files(9, f"good-{Path(one).stem}"))]
    worker = work(shop.application)
    batch_id = shop.start(files, chunk_size=10)
    shop.ended(batch_id, 90)
    shop.gate.clear()
    retry(shop, batch_id)
    room = IMAGES_PER_THREAD * FEWEST_THREADS
    wait_until(lambda: shop.live(batch_id).images_in_flight() == room)
    assert len(shop.live(batch_id).in_flight()) == room
    shop.mend(bad)
    shop.gate.set()
    assert counts(shop.ended(batch_id)) == (600, 0, 0)
    worker.stop()


def test_few_failures_of_many_chunks_fill_a_window_that_was_asked_for(shop: Shop, work: Work) -> None:
    bad = shop.files(30, "bad")
    files = [file for one in bad for file in (one, *shop.files(4, f"good-{Path(one).stem}"))]
    work(shop.application, worker_threads=4)
    batch_id = shop.start(files, chunk_size=5, window=2)
    assert counts(shop.ended(batch_id, 90)) == (120, 30, 0)
    shop.gate.clear()
    retry(shop, batch_id)
    # As many images as two chunks hold, and no more.
    wait_until(lambda: shop.live(batch_id).images_in_flight() == 10, 30)
    for _ in range(10):
        advance(shop.application, batch_id)
    assert shop.live(batch_id).images_in_flight() == 10
    shop.mend(bad)
    shop.gate.set()
    assert counts(shop.ended(batch_id)) == (150, 0, 0)


def test_how_fast_they_failed_does_not_count(shop: Shop, work: Work) -> None:
    worker = work(shop.application)
    batch_id = shop.start(shop.files(30, "bad"), chunk_size=1)
    shop.ended(batch_id)
    worker.stop()
    assert shop.live(batch_id).let_go is not None
    shop.application.batches.retry(batch_id)
    assert shop.live(batch_id).newest_rate(time.time()) == 0


def test_a_chunk_that_is_larger_than_the_window_goes_alone(shop: Shop, work: Work) -> None:
    live = shop.live(shop.start(shop.files(50, "bad"), chunk_size=10, window=1))
    # The chunks were cut smaller while it ran, and all are out.
    facts = replace(live.facts, segments=[(0, 0, 40), (1, 40, 5)])
    room = room_of(shop.application, replace(live, facts=facts, released=3), 1)
    assert room.has(chunks=0, images=0, count=40)
    assert not room.has(chunks=1, images=1, count=5)
    assert room.has(chunks=1, images=1, count=4)


def test_redis_is_emptied_in_the_middle_of_a_retry(shop: Shop, work: Work) -> None:
    bad = shop.files(40, "bad")
    good = shop.files(10)
    worker = work(shop.application)
    batch_id = shop.start([*bad, *good], chunk_size=5, window=2)
    assert counts(shop.ended(batch_id)) == (10, 40, 0)
    recorded(shop.application)
    shop.gate.clear()
    shop.mend(bad)
    retry(shop, batch_id)
    wait_until(lambda: len(shop.ran) >= 54)
    shop.application.board.clients.get().flushdb()
    shop.gate.set()
    worker.stop()
    work(shop.application)
    shop.sweep_to_the_end(batch_id)
    assert counts(shop.status(batch_id)) == (50, 0, 0)
    assert all(shop.ran.count(file) == 1 for file in good)
    assert all(shop.ran_second.count(file) == 1 for file in good)


def test_after_the_board_has_forgotten_the_batch(shop: Shop, work: Work) -> None:
    batch_id, good, bad, late = broken_batch(shop, work)
    shop.application.board.clients.get().flushdb()
    shop.mend([*bad, *late])
    assert retry(shop, batch_id, dry_run=True).images == 10
    assert not shop.application.batches.is_known([batch_id])[0]
    assert retry(shop, batch_id).images == 10
    assert counts(shop.ended(batch_id)) == (200, 0, 0)
    assert sorted(shop.ran_second) == sorted([*good, *bad, *late, *late])


def test_chunks_that_never_started(shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.actor.options["min_backoff"] = 50
    files = shop.files(30)
    create = shop.application.ledger.create_chains

    def refuse(chains: Any) -> None:
        if not chains[0].chain_id.endswith(".10"):
            raise RuntimeError("the stage hand is ill")
        create(chains)

    with monkeypatch.context() as broken:
        broken.setattr(shop.application.ledger, "create_chains", refuse)
        batch_id = shop.start(files)
        work(shop.application)
        status = shop.ended(batch_id)
    assert (counts(status), status.failed_chunks) == ((10, 20, 0), 2)
    plan = retry(shop, batch_id)
    assert plan.stages == [StageShare(None, "not started", 20)]
    assert plan.errors == [ErrorShare("its chains could not be started", 20)]
    status = shop.ended(batch_id)
    assert (status.status, counts(status), status.failed_chunks) == ("SUCCESS", (30, 0, 0), 0)
    assert sorted(shop.ran) == sorted(files)
    # The ledger has let go of the chunks' errors, too.
    recorded(shop.application)
    shop.application.board.clients.get().flushdb()
    advance(shop.application, batch_id)
    assert shop.live(batch_id).counts.succeeded == 30


def test_a_retry_whose_messages_were_lost(shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id, _, bad, late = broken_batch(shop, work)
    shop.mend([*bad, *late])
    with monkeypatch.context() as dying:
        dying.setattr("actors.batches.release.send_chunks", lambda *_: None)
        retry(shop, batch_id)
        wait_until(lambda: b"n" in shop.live(batch_id).letters)
        assert shop.live(batch_id).not_sent()
    for moment in ("look", "resend"):
        shop.application.batches.set_moment(batch_id, moment, -1)
    advance(shop.application, batch_id)
    assert counts(shop.ended(batch_id)) == (200, 0, 0)


def test_duplicates_of_a_chunk_resume_nothing_twice(shop: Shop, work: Work) -> None:
    bad = shop.files(4, "bad")
    worker = work(shop.application)
    batch_id = shop.start([*bad, *shop.files(4)], chunk_size=4)
    shop.ended(batch_id)
    worker.stop()
    retry(shop, batch_id)
    for _ in range(5):
        send_chunks(shop.application, batch_id, range(2))
    work(shop.application, worker_threads=4)
    assert counts(shop.ended(batch_id)) == (4, 4, 0)
    shop.application.broker.join("callboard")
    shop.application.broker.join("default")
    assert [shop.ran.count(file) for file in bad] == [2] * 4


def test_a_single_chain_may_be_resumed_before_its_turn(shop: Shop, work: Work) -> None:
    bad = shop.files(20, "bad")
    worker = work(shop.application)
    batch_id = shop.start(bad, chunk_size=2, window=1)
    shop.ended(batch_id)
    worker.stop()
    shop.mend(bad)
    retry(shop, batch_id)
    control.resume(chain_id_of(batch_id, 19), application=shop.application)
    work(shop.application)
    assert counts(shop.ended(batch_id)) == (20, 0, 0)
    assert shop.ran.count(bad[19]) == 2


def test_while_the_batch_still_runs(shop: Shop, work: Work) -> None:
    bad, good = shop.files(4, "bad"), shop.files(20)
    work(shop.application)
    batch_id = shop.start([*bad, *good], chunk_size=4, window=1)
    wait_until(lambda: shop.live(batch_id).counts.failed == 4, interval=0.01)
    recorded(shop.application)
    shop.mend(bad)
    assert retry(shop, batch_id).images == 4
    assert counts(shop.ended(batch_id)) == (24, 0, 0)


def test_a_retry_that_is_revoked(shop: Shop, work: Work) -> None:
    batch_id, *_ = broken_batch(shop, work, chunk_size=5, window=1)
    shop.gate.clear()
    retry(shop, batch_id)
    # What the window takes waits at the gate; in between, a chain is neither waiting nor open.
    wait_until(lambda: shop.live(batch_id).letters.count(b"p") == 5)
    receipt = revoke_batch(batch_id, application=shop.application)
    assert receipt.not_started == 0
    assert (receipt.retries_called_off, receipt.queued + receipt.told_to_stop) == (5, 5)
    status = shop.ended(batch_id)
    assert status.status == "REVOKED"
    assert status.failed_images + status.revoked_images == 10
    assert status.failed_images == receipt.retries_called_off
    with pytest.raises(BatchStateError, match="was revoked and is not retried"):
        retry(shop, batch_id)
    # The ledger agrees.
    recorded(shop.application)
    shop.application.board.clients.get().flushdb()
    with pytest.raises(BatchStateError, match="was revoked and is not retried"):
        retry(shop, batch_id)
    shop.gate.set()


def test_unknown_batches_and_a_ledger_that_is_away(
    shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownBatch):
        retry(shop, "none")
    work(shop.application)
    batch_id = shop.start(shop.files(2, "bad"))
    shop.ended(batch_id)
    recorded(shop.application)

    def away(*_: Any) -> None:
        raise LedgerUnavailable("down")

    with monkeypatch.context() as outage:
        outage.setattr("actors.batches.retry.ledger.ask_retry", away)
        with pytest.raises(LedgerUnavailable):
            retry(shop, batch_id)
    assert counts(shop.status(batch_id)) == (0, 2, 0)
    assert retry(shop, batch_id).images == 2
