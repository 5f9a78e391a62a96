"""Chunks of an automatic size: by the files, then by the time, exact through every change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from batch_shop import Shop, counts
from chains import recorded
from dramatiq import Worker
from waiting import wait_until

from actors.batches.driver import advance
from actors.batches.items import list_items
from actors.batches.retry import retry_failed
from callboard.errors import BatchError
from db.batches.live import LiveBatch
from db.models import BatchChunk

Work = Callable[..., Worker]


def resize(shop: Shop, batch_id: str) -> None:
    """Have the size looked at now; the images of the shop take next to no time, so it becomes 50."""
    recorded(shop.application)
    shop.application.batches.set_moment(batch_id, "resize", -1)
    advance(shop.application, batch_id)


def resized(shop: Shop, batch_id: str) -> None:
    """Let images pass, chunk by chunk, until one is released in another size.

    A driver that looks while the window is full finds a size and releases nothing: then the next chunk is it.
    """
    recorded(shop.application)

    def look() -> bool:
        shop.application.batches.set_moment(batch_id, "resize", -1)
        live = shop.live(batch_id)
        if live.counts.succeeded + live.counts.failed == shop.free:
            shop.free += 5
        return len(live.facts.segments) > 1

    wait_until(look, interval=0.05)


def paused(shop: Shop, batch_id: str) -> LiveBatch:
    """The batch once those images have ended that the gate lets pass, and the next chunk waits there."""

    def look() -> LiveBatch | None:
        live = shop.live(batch_id)
        ended = live.counts.succeeded + live.counts.failed
        return live if ended == shop.free and live.images_in_flight() == 5 else None

    found = wait_until(look)
    assert found is not None
    return found


def close_after(shop: Shop, images: int) -> None:
    """Let so many images pass, and the others wait."""
    shop.gate.clear()
    shop.free = images


def large_files(shop: Shop, count: int) -> list[str]:
    """Files that start with chunks of five, and take no room on the disk."""
    files = shop.files(count)
    for file in files:
        with Path(file).open("r+b") as sparse:
            sparse.truncate(20_000_000)
    return files


def test_the_first_size_is_by_the_files(shop: Shop) -> None:
    small = shop.start(shop.files(103), chunk_size="auto")
    row = shop.row(small)
    assert (row.chunk_size, row.total_chunks) == (50, 3)
    assert shop.count(BatchChunk) == 21
    large = shop.row(shop.start(large_files(shop, 103), chunk_size="auto"))
    assert (large.chunk_size, large.total_chunks) == (5, 21)
    with pytest.raises(BatchError, match="from 1 to 1000, or 'auto'"):
        shop.start(shop.files(1), chunk_size="large")


def test_the_size_follows_the_time_of_an_image(postgres_shop: Shop, work: Work) -> None:
    shop = postgres_shop
    files = large_files(shop, 203)
    close_after(shop, 10)
    work(shop.application)
    batch_id = shop.start(files, chunk_size="auto", window=1)
    before = paused(shop, batch_id)
    resize(shop, batch_id)
    # Nothing is released while the window is full, so nothing is cut: the size changes with the release.
    assert shop.live(batch_id).facts.segments == before.facts.segments
    resized(shop, batch_id)
    shop.gate.set()
    status = shop.ended(batch_id)
    assert (status.status, counts(status)) == ("SUCCESS", (203, 0, 0))
    assert sorted(shop.ran) == sorted(files)
    live, row = shop.live(batch_id), shop.row(batch_id)
    assert [size for _, _, size in live.facts.segments] == [5, 50]
    assert (row.chunk_size, row.total_chunks) == (50, live.facts.chunks)
    assert row.completed_chunks == live.facts.chunks < 41
    listed = list_items(batch_id, application=shop.application)
    assert [item.file_path for item in listed.page(0, 203)] == files


def test_redis_is_emptied_between_two_sizes(shop: Shop, work: Work) -> None:
    files = large_files(shop, 150)
    # Most of them fast: those that wait at the gate count as slow.
    close_after(shop, 20)
    worker = work(shop.application)
    batch_id = shop.start(files, chunk_size="auto", window=1)
    paused(shop, batch_id)
    resized(shop, batch_id)
    wait_until(lambda: shop.row(batch_id).segments)
    segments, ran = shop.row(batch_id).segments, len(shop.ran)
    shop.application.board.clients.get().flushdb()
    shop.gate.set()
    worker.stop()
    work(shop.application)
    shop.sweep_to_the_end(batch_id)
    assert ran < 150
    assert counts(shop.status(batch_id)) == (150, 0, 0)
    assert set(shop.ran) == set(files)
    assert shop.row(batch_id).segments == segments
    assert shop.row(batch_id).completed_chunks == shop.row(batch_id).total_chunks


def test_what_failed_in_chunks_of_two_sizes_is_retried(shop: Shop, work: Work) -> None:
    bad = [*shop.files(3, "bad")]
    files = large_files(shop, 97)
    files = [bad[0], *files[:60], bad[1], *files[60:], bad[2]]
    close_after(shop, 10)
    work(shop.application)
    batch_id = shop.start(files, chunk_size="auto", window=1)
    paused(shop, batch_id)
    resized(shop, batch_id)
    shop.gate.set()
    assert counts(shop.ended(batch_id)) == (97, 3, 0)
    assert len(shop.live(batch_id).facts.segments) == 2
    shop.mend(bad)
    assert retry_failed(batch_id, application=shop.application).images == 3
    assert counts(shop.ended(batch_id)) == (100, 0, 0)
    assert len(shop.ran) == 103
