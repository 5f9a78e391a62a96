"""A worker dies after its recorder has read events and before it has written them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from house import House
from servers import RedisServer
from waiting import wait_until

from db.events import Event

#: Seconds in which another recorder has written them; without a proof of life it would wait for thirty.
SOON = 10


def is_empty(house: House) -> bool:
    return not house.board.clients.get().xlen(house.board.keys.events)


def test_events_that_a_killed_recorder_had_taken_are_soon_in_the_ledger(
    private_redis: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    mark = tmp_path / "marks" / "before_ledger"
    mark.parent.mkdir()
    crash = {
        "CRASH_AT": "before_ledger:1",
        "CRASH_MARKS": str(mark.parent),
        "WORKFLOWS": "troupe,crash_points",
    }
    with (
        ThreadPoolExecutor(1) as executor,
        House(private_redis, postgres_url, tmp_path, "troupe") as house,
        house.new_pool(**crash) as doomed,
    ):
        doomed.wait_until_ready()
        client, keys = house.board.clients.get(), house.board.keys
        chains = []
        deadline = time.monotonic() + 90
        while not mark.exists():
            assert time.monotonic() < deadline, "no recorder of the doomed has read anything"
            # Beside the look for the mark: what is left by the dead does not lie there for long.
            start = executor.submit(house.start, "written", full=str(tmp_path / "none"), room=0, size=10)
            chains.append(start)
            wait_until(lambda start=start: mark.exists() or (start.done() and is_empty(house)), 30)
        died = time.monotonic()
        taken: Any = client.xrange(keys.events)
        assert taken
        last = taken[-1][0]
        wait_until(lambda: not client.xrange(keys.events, max=last, count=1), 60)
        seconds = time.monotonic() - died
        for _, fields in taken:
            event = Event.from_fields(fields)
            record = house.ledger.read_chain(event.chain_id)
            assert record is not None
            if event.chain is not None:
                assert record.chain.seq >= event.seq
            if event.task is not None:
                assert [
                    task.seq >= event.seq for task in record.tasks if task.task_id == event.task.task_id
                ] == [True]
        print(f"{len(taken)} events, {seconds:.1f} s after the death")
        assert seconds < SOON
        for start in chains:
            assert house.ended(start.result()).status == "SUCCESS"
        doomed.end()
        house.pool.deaths.update(doomed.deaths)

        def left() -> set[int]:
            consumers: Any = client.xinfo_consumers(keys.events, keys.recorders)
            return {int(consumer["name"].split(b":")[1]) for consumer in consumers}

        wait_until(lambda: left() <= set(house.pool.workers()), 20)
