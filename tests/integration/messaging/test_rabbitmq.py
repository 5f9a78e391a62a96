"""Who has got his mail is sent nothing again where messages travel through RabbitMQ, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chains import check_stores, ended, recorded
from mail_server import MailServer
from messaging_posts import SENDER, Post, many, people
from waiting import wait_until

from actors.control import resume, revoke


@pytest.fixture
def post(build_post: Callable[..., Post], mails: MailServer, rabbit_url: str) -> Post:
    url = f"smtp://127.0.0.1:{mails.port}"
    return build_post(SMTP_URL=url, SMTP_FROM=SENDER, BROKER_URL=rabbit_url)


def test_some_are_put_off_some_refused_and_a_failed_list_goes_on(post: Post, mails: MailServer) -> None:
    mails.busy_times = 2
    chain = post.send(people("a@example.com", "busy@example.com", "refused@example.com", "b@example.com"))
    assert chain.status == "FAILURE"
    assert chain.error is not None
    assert "3 of 4 messages were sent" in chain.error
    assert mails.attempts["busy@example.com"] == 3
    for stage, attempts in ((2, 2), (1, 3)):
        resume(chain.chain_id, from_stage=stage, application=post.application)
        wait_until(lambda attempts=attempts: mails.attempts["refused@example.com"] == attempts)  # type: ignore[misc]
        assert ended(post.application, chain.chain_id).status == "FAILURE"
    assert mails.count() == {"a@example.com": 1, "busy@example.com": 1, "b@example.com": 1}
    recorded(post.application)
    check_stores(post.application, chain.chain_id)


def test_a_message_that_is_delivered_again_sends_nothing(post: Post, mails: MailServer) -> None:
    """While the first run sends, and once it has ended."""
    chain_id = post.start([*many(5), *people("slow@example.com", "later@example.com")])
    wait_until(lambda: mails.attempts["slow@example.com"] == 1, 20)
    arguments = post.application.status.arguments_of(chain_id, 2)
    (message,) = post.workflow.first_messages(chain_id, *arguments, from_stage=2)
    for _ in range(2):
        post.application.broker.enqueue(message)
    # Another thread of the worker has looked at them, and put them off.
    wait_until(lambda: not post.application.broker.get_queue_message_counts(message.queue_name)[0], 30)
    mails.gate.set()
    assert ended(post.application, chain_id, 30).status == "SUCCESS"
    post.application.broker.enqueue(message)
    # What the worker does next shows that it is done with the copies.
    assert post.send(people("other@example.com")).status == "SUCCESS"
    assert set(mails.count().values()) == {1}
    assert sum(mails.attempts.values()) == 8


def test_no_message_begins_after_a_revoke_and_the_list_goes_on(post: Post, mails: MailServer) -> None:
    chain_id = post.start([*many(5), *people("slow@example.com", "later@example.com")])
    wait_until(lambda: mails.attempts["slow@example.com"] == 1, 20)
    revoke(chain_id, application=post.application)
    mails.gate.set()
    wait_until(lambda: mails.count()["slow@example.com"] == 1)
    assert ended(post.application, chain_id).status == "REVOKED"
    assert post.send(people("other@example.com")).status == "SUCCESS"
    assert mails.attempts["later@example.com"] == 0
    resume(chain_id, application=post.application)
    assert ended(post.application, chain_id, 30).status == "SUCCESS"
    got = mails.count()
    assert len(got) == 8
    # The one that was under way may have been sent before anybody noted it.
    assert {address for address, times in got.items() if times > 1} <= {"slow@example.com"}
