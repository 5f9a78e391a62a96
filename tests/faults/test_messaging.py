"""Workers that are killed while they send a list: everybody gets the message, at most one twice a death."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest
from house import House
from mail_server import MailServer, mail_server
from messaging_posts import SENDER, many
from servers import RedisServer
from waiting import wait_until


def sender_of(house: House, chain_id: str) -> int:
    """The process id of the worker that has the stage that sends."""
    task = house.board.task(chain_id, 2, 0) or {}
    assert task["status"] in ("STARTED", "RUNNING")
    return int(task["worker"].split(":")[1])


def is_sending(house: House, chain_id: str, mails: MailServer, arrived: int) -> bool:
    return len(mails.mails) >= arrived and sender_of(house, chain_id) > 0


def house_of(
    mails: MailServer, redis: RedisServer, database_url: str, folder: Path, **environment: str
) -> House:
    environment |= {"SMTP_URL": f"smtp://127.0.0.1:{mails.port}", "SMTP_FROM": SENDER, "LEASE_TTL": "3"}
    return House(redis, database_url, folder, "troupe", **environment)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_a_killed_worker_repeats_at_most_the_message_that_was_under_way(
    request: pytest.FixtureRequest,
    private_redis: RedisServer,
    postgres_url: str,
    tmp_path: Path,
    broker: str,
) -> None:
    rabbit = {"BROKER_URL": request.getfixturevalue("rabbit_url")} if broker == "rabbitmq" else {}
    with mail_server() as mails, house_of(mails, private_redis, postgres_url, tmp_path, **rabbit) as house:
        mails.seconds = 0.03
        options = {"subject": "Hello {name}", "text": "at {hour}"}
        chain_id = house.start("messaging_workflow", messages=many(80), options=options)
        kills = 0
        for arrived in (10, 30, 50):
            wait_until(partial(is_sending, house, chain_id, mails, arrived), 60)
            os.kill(sender_of(house, chain_id), signal.SIGKILL)
            kills += 1
        assert house.ended(chain_id, 90).status == "SUCCESS"
        got = mails.count()
        assert len(got) == 80
        twice = {address: times for address, times in got.items() if times > 1}
        assert sum(times - 1 for times in twice.values()) <= kills
        # A repeated message is the same message: a receiver that looks at its Message-ID drops it.
        assert len({mail["Message-ID"] for mail in mails.mails}) == 80
        report = house.command("status", chain_id, "--json")
        assert '"sent": 80' in report.stdout
        print(f"{kills} kills, repeated: {twice}")


def test_a_worker_that_was_taken_for_dead_sends_nothing_more(
    private_redis: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    """It is stopped, another takes over, and it wakes again with its list in hand."""
    with mail_server() as mails, house_of(mails, private_redis, postgres_url, tmp_path) as house:
        mails.seconds = 0.05
        options = {"subject": "Hello {name}", "text": "at {hour}"}
        chain_id = house.start("messaging_workflow", messages=many(120), options=options)
        wait_until(lambda: len(mails.mails) >= 10, 60)
        first = sender_of(house, chain_id)
        # With its helper, which else would go on to say that it is alive.
        stopped = [psutil.Process(first), *psutil.Process(first).children()]
        for process in stopped:
            process.suspend()
        wait_until(lambda: sender_of(house, chain_id) != first, 60)
        count = len(mails.mails)
        wait_until(lambda: len(mails.mails) > count + 5, 60)
        for process in stopped:
            process.resume()
        assert house.ended(chain_id, 90).status == "SUCCESS"
        got = mails.count()
        assert len(got) == 120
        assert sum(got.values()) <= 121
        print(f"{sum(got.values()) - 120} repeated")
