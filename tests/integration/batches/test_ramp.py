"""How fast a batch gets going: what its first images tell, and when it is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_shop import Shop
from dramatiq import Worker
from waiting import wait_until

from actors.batches.driver import NEXT_LOOK, advance
from actors.batches.release import FEWEST_THREADS, IMAGES_PER_THREAD, LATEST, REACTION, release, room_of
from db.batches.live import LiveBatch
from db.batches.pace import Pace, Sample

Work = Callable[..., Worker]
LEAST = IMAGES_PER_THREAD * FEWEST_THREADS


@pytest.fixture
def shop(build_application: Any, tmp_path: Path) -> Shop:
    return Shop(build_application(), tmp_path)


def test_each_release_is_noted_with_what_went_before(shop: Shop) -> None:
    begun = time.time() - 1
    batch_id = shop.start(shop.files(100), chunk_size=4, window=2)
    live = shop.live(batch_id)
    assert live.let_go is not None
    assert begun <= live.let_go <= time.time()
    assert (live.before, live.images_let_go()) == (0, 8)
    # What is released when some have ended counts those, and what is in flight.
    client, keys = shop.application.batches.clients.get(), shop.application.batches.keys
    client.setrange(keys.batch_items(batch_id), 0, "SSSSp")
    advance(shop.application, batch_id)
    assert (shop.live(batch_id).before, shop.live(batch_id).images_let_go()) == (8, 12)


def test_images_that_were_let_go_last_tell_how_many_may_follow(shop: Shop) -> None:
    batch_id = shop.start(shop.files(400), chunk_size=1)
    live = released(shop.live(batch_id), ended=40, released=45)
    moment = time.time()
    # Forty of them in two tenths of a second.
    fast = replace(live, let_go=moment - 0.2, before=0)
    assert room_of(shop.application, fast, 1).images == pytest.approx(200 * REACTION, rel=0.25)
    # As many had been under way before: it may be those that have ended, all at once.
    lumps = replace(live, let_go=moment - 0.2, before=40)
    assert room_of(shop.application, lumps, 1).images == LEAST
    # A clock that is behind makes nobody fast.
    assert replace(live, let_go=moment + 60, before=0).newest_rate(moment) == 40 / 0.05


def test_more_is_let_go_where_all_of_it_has_ended_soon(shop: Shop) -> None:
    batch_id = shop.start(shop.files(400), chunk_size=1)
    dry, moment = released(shop.live(batch_id), ended=30, released=30), time.time()
    soon = replace(dry, let_go=moment - REACTION + 0.05, before=10)
    assert room_of(shop.application, soon, 1).images == 40
    # It may have taken all that time.
    late = replace(dry, let_go=moment - 2 * REACTION, before=10)
    assert room_of(shop.application, late, 1).images < 20


def released(live: LiveBatch, ended: int, released: int) -> LiveBatch:
    letters = b"S" * ended + b"p" * (released - ended) + bytes(live.facts.images - released)
    return replace(live, letters=letters, released=released)


def test_a_young_batch_is_looked_at_soon_and_then_more_seldom(shop: Shop) -> None:
    batch_id, batches = shop.start(shop.files(100)), shop.application.batches
    assert batches.due(next_look=NEXT_LOOK, most=5)[0] == [batch_id]
    advance(shop.application, batch_id)
    due, seconds = batches.due(next_look=NEXT_LOOK, most=5)
    assert due == [batch_id] or seconds < LATEST
    wait_until(lambda: batches.due(next_look=NEXT_LOOK, most=5)[0] == [batch_id] or due, 5, interval=0.005)
    # Nothing has ended: later, the moves of its chains bring the next look about.
    live = shop.live(batch_id)
    old = replace(live, pace=Pace(time.time() - 5, (Sample(time.time() - 5, 0, 10),)))
    assert release(shop.application, batch_id, old) is None


def test_the_end_is_looked_for_when_it_is_near(shop: Shop) -> None:
    batch_id = shop.start(shop.files(400), chunk_size=1)
    begun = time.time() - 2
    samples = (Sample(begun, 0, 4), Sample(begun + 1, 200, 4))

    def next_look(in_flight: int) -> float | None:
        live = released(shop.live(batch_id), ended=400 - in_flight, released=400)
        return release(shop.application, batch_id, replace(live, pace=Pace(begun, samples), let_go=None))

    # Two hundred a second.
    assert next_look(10) == pytest.approx(0.05)
    assert next_look(1) == pytest.approx(0.02)
    assert next_look(100) is None
    assert next_look(0) is None


def test_a_chunk_stirs_the_driver_of_its_worker(
    shop: Shop, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("TICK", "IDLE_TICK"):
        monkeypatch.setattr(f"actors.batches.driver.{pause}", 60)
    batch_id = shop.start(shop.files(3), chunk_size=1, window=1)
    work(shop.application)
    # One of a window of one is out: only a look lets the next one go.
    wait_until(lambda: shop.live(batch_id).turn > 1 or len(shop.ran) > 1, 15)


def test_what_is_due_tells_when_the_next_is(shop: Shop) -> None:
    batches = shop.application.batches
    assert batches.due(next_look=7, most=5) == ([], 7)
    batch_id = shop.start(shop.files(3))
    assert batches.due(next_look=7, most=5)[0] == [batch_id]
    batches.look_again(batch_id, 3)
    due, seconds = batches.due(next_look=7, most=5)
    assert (due, 0 < seconds <= 3) == ([], True)
    # A later look does not put it off, and what has ended stays away.
    batches.look_again(batch_id, 5)
    assert 0 < batches.due(next_look=7, most=5)[1] <= 3
    batches.forget(batch_id)
    batches.look_again(batch_id, 0)
    assert batches.due(next_look=7, most=5) == ([], 7)
