"""The machine itself: a held GIL, a full disk, a clock set back; bad messages, new releases of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from chaos_runs import a_seed, run_chaos
from house import House
from servers import RedisServer
from waiting import wait_until

OpenHouse = Callable[..., House]


@pytest.fixture
def open_house(private_redis: RedisServer, postgres_url: str, tmp_path: Path) -> Iterator[OpenHouse]:
    """Makes the test's house; it is entered with ``with``."""

    def make(modules: str = "troupe", **environment: str) -> House:
        return House(private_redis, postgres_url, tmp_path, modules, **environment)

    return make


def hold(house: House, seconds: int) -> None:
    with house:
        chain_id = house.start("held", seconds=seconds)
        assert house.ended(chain_id, seconds + 60).status == "SUCCESS"
        held = [body for body in house.bodies() if body.stage == 2]
        assert [body.completed for body in held] == [True]


def test_a_stage_that_holds_the_interpreter_for_longer_than_the_lease_runs_once(
    open_house: OpenHouse,
) -> None:
    hold(open_house(LEASE_TTL="3"), 8)


@pytest.mark.long
def test_a_stage_that_holds_the_interpreter_for_ninety_seconds_runs_once(open_house: OpenHouse) -> None:
    hold(open_house(), 90)


def test_a_full_disk_fails_the_stage_and_leaves_no_half_file(open_house: OpenHouse, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.touch()
    with open_house() as house:
        chain_id = house.start("written", size=64 << 20, room=32 << 20, full=str(full))
        failed = house.ended(chain_id)
        assert failed.status == "FAILURE"
        assert "File too large" in failed.error
        files = [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]
        assert not files

        full.unlink()
        resumed = house.command("resume", chain_id)
        assert resumed.returncode == 0, resumed.stderr
        wait_until(lambda: house.ended(chain_id).status == "SUCCESS", 60)
        [file] = [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]
        assert (file.name, file.stat().st_size) == ("score.bin", 64 << 20)


def test_workers_whose_clock_is_set_back_by_an_hour_stop_nothing() -> None:
    # No worker is killed: who had a task when is told from moments, and those of the workers are wrong here.
    run_chaos(
        *("--chains", "20", "--seconds", "6", "--faults", "none"),
        seed=a_seed(),
        WORKFLOWS="shifted_clock",
        SHIFT_AFTER="0",
    )


def test_a_message_that_cannot_be_decoded_holds_nobody_up(
    open_house: OpenHouse, private_redis: RedisServer
) -> None:
    with open_house() as house, redis.Redis.from_url(f"{private_redis.url}/0") as client:
        for number, data in enumerate([b"\xff\x00 not JSON", b'{"queue_name": 1}', b"[]", b""]):
            client.hset("callboard:dramatiq:default.msgs", f"bad-{number}", data)
            client.rpush("callboard:dramatiq:default", f"bad-{number}")
            client.rpush("callboard:dramatiq:default:wake", "1")
        chains = [house.start("held", seconds=0) for _ in range(3)]
        assert [house.ended(chain_id).status for chain_id in chains] == ["SUCCESS"] * 3


def test_a_chain_whose_workflow_was_redefined_is_not_resumed_and_stays_as_it_is(
    open_house: OpenHouse,
) -> None:
    with open_house() as house:
        chain_id = house.start("cast")
        assert house.ended(chain_id).status == "FAILURE"
        house.replace_pool(TROUPE="new")
        refused = house.command("resume", chain_id, TROUPE="new")
        assert refused.returncode == 2
        assert "'fail'" in refused.stderr
        assert "'hold'" in refused.stderr
        assert house.ended(chain_id).status == "FAILURE"
        # Back to the release that it was started with, it goes on.
        house.replace_pool()
        assert house.command("resume", chain_id).returncode == 0
        wait_until(lambda: [body.stage for body in house.bodies()] == [1, 2, 2], 60)
        assert house.ended(chain_id).status == "FAILURE"
