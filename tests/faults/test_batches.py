"""A batch whose workers are killed: every image is counted, once."""

from __future__ import annotations

import signal
from pathlib import Path

from house import House
from servers import RedisServer
from waiting import wait_until

from db.batches.ledger import read
from db.models import BatchExecution

IMAGES = 300


def test_images_are_counted_once_whatever_dies(
    private_redis: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in range(IMAGES):
        (scans / f"{number}.png").touch()
    with House(private_redis, postgres_url, tmp_path, "troupe", LEASE_TTL="3") as house:
        arguments = ("--glob", f"{scans}/*.png", "--workflow", "filed", "--chunk-size", "5")
        started = house.command("batch", "kills", *arguments)
        assert started.returncode == 0, started.stderr
        batch_id = started.stdout.strip()

        def row() -> BatchExecution:
            found = read(house.database, batch_id)
            assert found is not None
            return found

        for share in (0.1, 0.4, 0.7):
            wait_until(lambda share=share: row().completed_images > share * IMAGES, 120, interval=0.1)
            before = row().completed_images
            assert house.pool.signal(house.pool.workers()[0], signal.SIGKILL)
            assert row().completed_images >= before
        wait_until(lambda: row().finished_at, 180, "the batch has not ended", 0.2)
        ended = row()
    assert (ended.status, ended.completed_images, ended.failed_images) == ("SUCCESS", IMAGES, 0)
    assert (ended.completed_chunks, ended.total_chunks) == (60, 60)
