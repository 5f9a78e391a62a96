"""Mail through a real server: what arrives, who is refused, what is tried again, and what is sent once."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from chains import check_stores, ended, recorded
from mail_server import MailServer, mail_server
from messaging_posts import SENDER, Post, many, people
from waiting import wait_until

from actors.control import resume, revoke, send_again

Build = Callable[..., Post]


def test_each_gets_a_mail_of_his_own(post: Post, mails: MailServer) -> None:
    rows = [
        {"to": "kim@example.com", "name": "김 <b>", "hour": 7},
        {"to": "lee@예시.kr", "name": "Lee", "hour": 8},
    ]
    chain = post.send(rows, html="<p>{name}</p>", reply_to="desk@example.com")
    assert chain.status == "SUCCESS", chain.error
    result = chain.final_result
    assert {name: result[name] for name in ("total", "sent", "failed", "rejected", "success_rate")} == {
        "total": 2,
        "sent": 2,
        "failed": 0,
        "rejected": 0,
        "success_rate": 1.0,
    }
    kim, lee = mails.mails
    assert (kim["From"], kim["To"], kim["Subject"]) == (SENDER, "kim@example.com", "Hello 김 <b>")
    assert kim["Reply-To"] == "desk@example.com"
    text, html = (part.get_content().strip() for part in kim.iter_parts())
    assert text == "Dear 김 <b>, the rehearsal is at 7."
    assert html == "<p>김 &lt;b&gt;</p>"
    assert lee["To"] == "lee@xn--vv4b11d.kr"
    ids = {row["message_id"] for row in post.report(chain.chain_id)["rows"]}
    assert {mail["Message-ID"] for mail in mails.mails} == {f"<{one}@example.com>" for one in ids}
    assert mails.connections == 1
    recorded(post.application)
    check_stores(post.application, chain.chain_id)


def test_some_are_refused_and_the_rest_are_sent(post: Post, mails: MailServer) -> None:
    rows = people("a@example.com", "refused@example.com", "rejected@example.com", "b@example.com")
    chain = post.send(rows, success_threshold=0.5)
    assert chain.status == "SUCCESS", chain.error
    assert post.statuses(chain.chain_id) == {
        "a@example.com": "sent",
        "refused@example.com": "failed",
        "rejected@example.com": "failed",
        "b@example.com": "sent",
    }
    told = {row["to"]: (row["attempts"], row["reply"]) for row in post.report(chain.chain_id)["rows"]}
    assert told["refused@example.com"] == (1, "550 5.1.1 no such mailbox")
    assert told["rejected@example.com"] == (1, "554 5.7.1 this is spam")
    assert mails.attempts["refused@example.com"] == 1
    csv = Path(chain.final_result["csv_url"].removeprefix("file://")).read_text("utf-8-sig").splitlines()
    assert csv[0] == "row,to,status,attempts,repeats,at,message_id,reply"
    assert csv[2].startswith("2,refused@example.com,failed,1,0,20")


def test_too_few_fail_the_chain_and_the_report_is_there(post: Post, mails: MailServer) -> None:
    chain = post.send(people("a@example.com", "refused@example.com"))
    assert chain.status == "FAILURE"
    assert "1 of 2 messages were sent, 100% of them should have been (1 failed" in chain.error
    report = post.report(chain.chain_id)
    assert (report["sent"], report["failed"], report["success_rate"]) == (1, 1, 0.5)
    # From the stage that sends, those that have failed are tried once more, and nobody else.
    resume(chain.chain_id, from_stage=2, application=post.application)
    wait_until(lambda: mails.attempts["refused@example.com"] == 2)
    assert ended(post.application, chain.chain_id).status == "FAILURE"
    # And from the first one: the same recipients are the same messages.
    resume(chain.chain_id, from_stage=1, application=post.application)
    wait_until(lambda: mails.attempts["refused@example.com"] == 3)
    assert ended(post.application, chain.chain_id).status == "FAILURE"
    assert mails.count() == {"a@example.com": 1}


def test_who_is_put_off_is_tried_again_and_nobody_else(post: Post, mails: MailServer) -> None:
    mails.busy_times = 2
    chain = post.send(people("a@example.com", "busy@example.com", "b@example.com"))
    assert chain.status == "SUCCESS", chain.error
    assert mails.attempts == {"a@example.com": 1, "busy@example.com": 3, "b@example.com": 1}
    assert mails.count() == {"a@example.com": 1, "busy@example.com": 1, "b@example.com": 1}
    (row,) = (row for row in post.report(chain.chain_id)["rows"] if row["to"] == "busy@example.com")
    assert (row["attempts"], row["repeats"]) == (3, 0)


def test_who_is_put_off_for_ever_fails_after_so_many_attempts(post: Post, mails: MailServer) -> None:
    mails.busy_times = 99
    chain = post.send(people("a@example.com", "busy@example.com"), max_attempts=3, success_threshold=0)
    assert chain.status == "SUCCESS", chain.error
    assert mails.attempts["busy@example.com"] == 3
    assert post.statuses(chain.chain_id)["busy@example.com"] == "failed"
    assert mails.count() == {"a@example.com": 1}


def test_a_connection_that_breaks_before_the_content_repeats_nothing(post: Post, mails: MailServer) -> None:
    chain = post.send(people("a@example.com", "early@example.com", "b@example.com"))
    assert chain.status == "SUCCESS", chain.error
    assert mails.count() == {"a@example.com": 1, "early@example.com": 1, "b@example.com": 1}


def test_a_connection_that_breaks_before_the_answer_repeats_that_one_message(
    post: Post, mails: MailServer
) -> None:
    chain = post.send(people("a@example.com", "drop@example.com", "b@example.com"))
    assert chain.status == "SUCCESS", chain.error
    assert mails.count() == {"a@example.com": 1, "drop@example.com": 2, "b@example.com": 1}
    # The receiver can tell: it is the same message.
    assert len({mail["Message-ID"] for mail in mails.mails}) == 3
    (row,) = (row for row in post.report(chain.chain_id)["rows"] if row["to"] == "drop@example.com")
    assert (row["status"], row["attempts"], row["repeats"]) == ("sent", 2, 1)


def test_or_it_is_left_uncertain(post: Post, mails: MailServer) -> None:
    rows = people("a@example.com", "drop@example.com", "b@example.com")
    chain = post.send(rows, repeat_uncertain=False, success_threshold=0.6)
    assert chain.status == "SUCCESS", chain.error
    assert chain.final_result["uncertain"] == 1
    resume(chain.chain_id, from_stage=2, application=post.application)
    assert ended(post.application, chain.chain_id).status == "SUCCESS"
    assert mails.count() == {"a@example.com": 1, "drop@example.com": 1, "b@example.com": 1}


def test_a_server_that_is_away_is_waited_for(build_post: Build) -> None:
    with mail_server() as server:
        port = server.port
    post = build_post(SMTP_URL=f"smtp://127.0.0.1:{port}", SMTP_FROM=SENDER)
    chain_id = post.start(people("a@example.com"))

    def retried() -> dict[str, Any]:
        metadata: dict[str, Any] = (post.application.status.get_pipeline_status(chain_id) or [])[1][
            "metadata"
        ]
        return metadata if metadata.get("retries", 0) >= 2 else {}

    # What is told of the last attempt goes when the next one begins: the reading that shows it is looked at.
    assert "cannot be reached" in str(wait_until(retried, 30))
    revoke(chain_id, application=post.application)


def test_a_sender_that_is_not_taken_fails_at_once_and_goes_on_later(post: Post, mails: MailServer) -> None:
    mails.answer_to_mail = "550 5.7.1 you may not send from here"
    chain = post.send(people("a@example.com", "b@example.com"))
    assert chain.status == "FAILURE"
    assert "does not take mail from SMTP_FROM: 550 5.7.1" in chain.error
    mails.answer_to_mail = ""
    resume(chain.chain_id, application=post.application)
    assert ended(post.application, chain.chain_id).status == "SUCCESS"
    assert mails.count() == {"a@example.com": 1, "b@example.com": 1}


def test_no_message_begins_after_a_revoke(post: Post, mails: MailServer) -> None:
    chain_id = post.start([*many(20), *people("slow@example.com"), *people("later@example.com")])
    wait_until(lambda: mails.attempts["slow@example.com"] == 1, 20)
    revoke(chain_id, application=post.application)
    mails.gate.set()
    wait_until(lambda: mails.count()["slow@example.com"] == 1)
    assert ended(post.application, chain_id).status == "REVOKED"
    # What the worker does next shows that it is done with the revoked chain's list.
    assert post.send(people("other@example.com")).status == "SUCCESS"
    assert mails.attempts["later@example.com"] == 0
    # It goes on where it was.
    resume(chain_id, application=post.application)
    assert ended(post.application, chain_id, 30).status == "SUCCESS"
    assert set(mails.count().values()) <= {1, 2}
    repeated = [address for address, count in mails.count().items() if count == 2]
    assert repeated in ([], ["slow@example.com"])


def test_no_more_than_so_many_per_second(post: Post, mails: MailServer) -> None:
    begun = time.time()
    chain = post.send(many(11), per_second=10)
    assert chain.status == "SUCCESS", chain.error
    assert max(row["at"] for row in post.report(chain.chain_id)["rows"]) - begun >= 1
    assert mails.connections == 1


def test_an_emptied_redis_sends_nothing_twice(post: Post, mails: MailServer) -> None:
    """The folder's copy knows what was sent when the record in Redis is gone."""
    chain = post.send(people("a@example.com", "refused@example.com", "b@example.com"))
    assert chain.status == "FAILURE"
    client = post.application.board.clients.get()
    key = post.application.board.keys.deliveries(chain.chain_id)
    assert client.hlen(key) == 3
    assert 0 < client.ttl(key) <= 3600
    client.delete(key)
    resume(chain.chain_id, from_stage=1, application=post.application)
    wait_until(lambda: mails.attempts["refused@example.com"] == 2)
    assert ended(post.application, chain.chain_id).status == "FAILURE"
    assert mails.count() == {"a@example.com": 1, "b@example.com": 1}


def test_redis_is_emptied_in_the_middle(post: Post, mails: MailServer) -> None:
    chain_id = post.start([*many(5), *people("slow@example.com"), *people("later@example.com")])
    wait_until(lambda: mails.attempts["slow@example.com"] == 1, 30)
    recorded(post.application)
    post.application.board.clients.get().flushdb()
    mails.gate.set()
    copy = Path(post.application.storage.folder(chain_id).url_of("deliveries.json").removeprefix("file://"))
    wait_until(lambda: copy.exists() and copy.read_text().count('"sent"') == 6, 30)
    assert mails.attempts["later@example.com"] == 0
    send_again(chain_id, application=post.application)
    assert ended(post.application, chain_id, 60).status == "SUCCESS"
    assert set(mails.count().values()) == {1}
    assert len(mails.mails) == 7


# -- TLS and login -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context with a certificate of ours, and the file by which a client trusts it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return context, str(path)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_tls_and_login(build_post: Build, certificates: tuple[ssl.SSLContext, str], scheme: str) -> None:
    context, ca_file = certificates
    secret = "p@ss:w/rd"
    tls: Any = {"smtps": context} if scheme == "smtps" else {"starttls": context}
    with mail_server(**tls, login=("me", secret)) as server:
        url = f"{scheme}://me:p%40ss%3Aw%2Frd@127.0.0.1:{server.port}"
        post = build_post(SMTP_URL=url, SMTP_FROM=SENDER, SMTP_CA_FILE=ca_file)
        chain = post.send(people("a@example.com"))
        assert chain.status == "SUCCESS", chain.error
        assert server.logins == [("me", secret)]
        assert server.count() == {"a@example.com": 1}
        everything = b"".join(
            path.read_bytes()
            for path in Path(post.application.storage.url.removeprefix("file://")).rglob("*.*")
        )
        assert b"p%40ss" not in everything
        assert secret.encode() not in everything


def test_a_certificate_that_nobody_vouches_for(
    build_post: Build, certificates: tuple[ssl.SSLContext, str]
) -> None:
    with mail_server(smtps=certificates[0]) as server:
        post = build_post(SMTP_URL=f"smtps://127.0.0.1:{server.port}", SMTP_FROM=SENDER)
        chain = post.send(people("a@example.com"))
        assert chain.status == "FAILURE"
        assert "a certificate that is not trusted" in chain.error
        assert "SMTP_CA_FILE" in chain.error
        assert server.mails == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_wrong_password(build_post: Build) -> None:
    with mail_server(login=("me", "right")) as server:
        post = build_post(SMTP_URL=f"smtp://me:s3cret@127.0.0.1:{server.port}", SMTP_FROM=SENDER)
        chain = post.send(people("a@example.com"))
        assert chain.status == "FAILURE"
        assert "refuses SMTP_URL's login: 535" in chain.error
        recorded(post.application)
        record = post.application.ledger.read_chain(chain.chain_id)
        assert record is not None
        assert "s3cret" not in str([vars(row) for row in (record.chain, *record.tasks)])


def test_a_server_without_starttls(build_post: Build, mails: MailServer) -> None:
    post = build_post(SMTP_URL=f"smtp+starttls://127.0.0.1:{mails.port}", SMTP_FROM=SENDER)
    chain = post.send(people("a@example.com"))
    assert chain.status == "FAILURE"
    assert "does not offer what SMTP_URL asks for" in chain.error


def test_no_server_is_named(build_post: Build) -> None:
    chain = build_post().send(people("a@example.com"))
    assert (chain.status, chain.current_stage) == ("FAILURE", 1)
    assert "SMTP_URL is not set where the workers run" in chain.error
