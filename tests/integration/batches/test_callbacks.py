"""What is called at a batch's end: once, whatever dies, and again when it ends again."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from chains import recorded
from dramatiq import Worker
from dramatiq.errors import Retry
from waiting import wait_until

from actors import control, webhook
from actors.application import Application
from actors.batches import callbacks, chunks, driver, revoke
from actors.batches.driver import advance
from actors.batches.start import start_batch_pipeline
from actors.workflow import Workflow, stage
from callboard.errors import BatchError, WebhookError, WebhookRefused
from db.batches.ledger import chain_id_of, read, run_of
from db.models import BatchExecution, TaskLog

Work = Callable[..., Worker]
SECRET = "a secret of the receiver"


@dataclass
class Receiver:
    """A server to be called; it answers with ``answers``, one after the other, and then with 200."""

    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, headers = made.answers.pop(0) if made.answers else (200, {})
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/hook?of=batches"
    yield made
    server.shutdown()
    thread.join(60)
    server.server_close()


class Shop:
    """An application with a workflow of one stage, whose files named ``bad…`` fail, and an actor to call."""

    def __init__(self, application: Application, folder: Path) -> None:
        self.application = application
        self.folder = folder
        self.heard: list[dict[str, Any]] = []
        self.broken = True
        self.actor = chunks.declare(application.broker)
        application.broker.get_actor(callbacks.ACTOR).options["min_backoff"] = 50

        @stage(name="Only", actor_name="only", max_retries=0)
        def only(document: dict[str, Any]) -> None:
            if self.broken and Path(document["file_path"]).name.startswith("bad"):
                raise ValueError("bad")

        Workflow("small", [only])
        dramatiq.actor(actor_name="told", broker=application.broker)(self.heard.append)

    def start(self, *, good: int = 3, bad: int = 0, **options: Any) -> str:
        names = [f"good-{number}" for number in range(good)] + [f"bad-{number}" for number in range(bad)]
        paths = [self.folder / name for name in names]
        for path in paths:
            path.touch()
        return start_batch_pipeline(
            "october", list(map(str, paths)), workflow="small", application=self.application, **options
        )

    def row(self, batch_id: str) -> BatchExecution:
        row = read(self.application.database, batch_id)
        assert row is not None
        return row

    def ended(self, batch_id: str) -> BatchExecution:
        wait_until(lambda: self.row(batch_id).finished_at, 60, "the batch has not ended", 0.05)
        wait_until(lambda: self.live(batch_id).finished)
        return self.row(batch_id)

    def live(self, batch_id: str) -> Any:
        live = self.application.batches.read(batch_id)
        assert live is not None
        return live

    def idle(self) -> None:
        """Returns once every message has been dealt with."""
        for queue in ("callboard", "default"):
            self.application.broker.join(queue, timeout=60_000)


@pytest.fixture
def shop(build_application: Any, tmp_path: Path) -> Shop:
    return Shop(build_application(WEBHOOK_SECRET=SECRET), tmp_path)


# -- who is called -----------------------------------------------------------------------------------------


def test_actors_are_called_once(application: Application, work: Work, tmp_path: Path) -> None:
    shop = Shop(application, tmp_path)
    work(shop.application)
    told = {"on_complete": "told", "on_success": "told", "on_failure": "told"}
    good = shop.start(**told)
    row = shop.ended(good)
    wait_until(lambda: len(shop.heard) == 2)
    shop.idle()
    assert sorted(one["event"] for one in shop.heard) == ["on_complete", "on_success"]
    for one in shop.heard:
        assert (one["batch_id"], one["batch_name"], one["workflow"]) == (good, "october", "small")
        assert (one["status"], one["total_images"], one["completed_images"]) == ("SUCCESS", 3, 3)
        assert one["finished_at"] == row.finished_at.isoformat()
        assert one["run"] == run_of(row.finished_at)
    shop.heard.clear()
    shop.ended(shop.start(bad=1, **told))
    wait_until(lambda: len(shop.heard) == 2)
    shop.idle()
    assert sorted(one["event"] for one in shop.heard) == ["on_complete", "on_failure"]
    assert {one["failed_images"] for one in shop.heard} == {1}


def test_a_revoked_batch_is_complete_only(shop: Shop, work: Work) -> None:
    batch_id = shop.start(on_complete="told", on_success="told", on_failure="told")
    revoke.revoke_batch(batch_id, application=shop.application)
    work(shop.application)
    shop.ended(batch_id)
    wait_until(lambda: shop.heard)
    shop.idle()
    assert [(one["event"], one["status"]) for one in shop.heard] == [("on_complete", "REVOKED")]


def test_a_batch_that_ends_again_calls_again(shop: Shop, work: Work) -> None:
    work(shop.application)
    batch_id = shop.start(good=1, bad=1, on_complete="told", on_success="told", on_failure="told")
    shop.ended(batch_id)
    wait_until(lambda: len(shop.heard) == 2)
    shop.broken = False
    control.resume(chain_id_of(batch_id, 1), application=shop.application)
    wait_until(lambda: len(shop.heard) == 4)
    shop.idle()
    runs = {one["run"] for one in shop.heard}
    assert len(runs) == 2
    assert sorted(one["event"] for one in shop.heard if one["run"] == max(runs)) == [
        "on_complete",
        "on_success",
    ]
    # The ledger says the same as the board, to the millisecond.
    assert max(runs) == run_of(shop.ended(batch_id).finished_at)


# -- webhooks ----------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_and_called_until_it_answers(shop: Shop, work: Work, receiver: Receiver) -> None:
    receiver.answers += [(500, {}), (429, {"Retry-After": "0"})]
    work(shop.application)
    batch_id = shop.start(on_success=receiver.url)
    shop.ended(batch_id)
    wait_until(lambda: len(receiver.calls) == 3)
    shop.idle()
    assert len(receiver.calls) == 3
    assert len({body for _, body in receiver.calls}) == 1
    ids = {(headers["idempotency-key"], headers["callboard-delivery"]) for headers, _ in receiver.calls}
    ((key, delivery),) = ids
    assert key == delivery
    for headers, body in receiver.calls:
        assert headers["content-type"] == "application/json"
        moment, signed = (part.partition("=")[2] for part in headers["callboard-signature"].split(","))
        assert abs(int(moment) - time.time()) < 60
        expected = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        assert signed == expected
    assert receiver.bodies()[0]["batch_id"] == batch_id
    recorded(shop.application)
    (task,) = TaskLog.select().where(TaskLog.task_id == key).execute(shop.application.database)
    assert (task.task_name, task.status, task.retries) == (callbacks.ACTOR, "SUCCESS", 2)


def test_a_webhook_that_says_no_is_not_called_again(shop: Shop, work: Work, receiver: Receiver) -> None:
    receiver.answers += [(410, {}), (301, {"Location": receiver.url})]
    work(shop.application)
    for _ in range(2):
        shop.ended(shop.start(on_complete=receiver.url))
    wait_until(lambda: len(receiver.calls) == 2)
    shop.idle()
    recorded(shop.application)
    assert len(receiver.calls) == 2
    rows = TaskLog.select().where(TaskLog.task_name == callbacks.ACTOR).execute(shop.application.database)
    assert sorted((row.status, row.error) for row in rows) == [
        ("FAILURE", "127.0.0.1 answered 301"),
        ("FAILURE", "127.0.0.1 answered 410"),
    ]


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    assert webhook.deliver(receiver.url, {"a": "한글"}, delivery_id="x", secret=None, private=True) == 200
    ((headers, body),) = receiver.calls
    assert "callboard-signature" not in headers
    assert json.loads(body) == {"a": "한글"}
    assert headers["host"] == receiver.url.split("/")[2]


def test_answers_that_may_change(receiver: Receiver) -> None:
    def call() -> None:
        webhook.deliver(receiver.url, {}, delivery_id="x", secret=None, private=True)

    receiver.answers += [(503, {}), (408, {}), (503, {"Retry-After": "7"})]
    for _ in range(2):
        with pytest.raises(WebhookError, match=r"answered (503|408)"):
            call()
    with pytest.raises(Retry) as asked:
        call()
    assert asked.value.delay == 7000


def test_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.2)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        url = f"http://127.0.0.1:{silent.server_port}"
        with pytest.raises(WebhookError, match="does not answer: timed out"):
            webhook.deliver(url, {}, delivery_id="x", secret=None, private=True)
    with pytest.raises(WebhookError, match="does not answer") as refused:
        webhook.deliver(url, {}, delivery_id="x", secret=None, private=True)
    assert not isinstance(refused.value, WebhookRefused)


def test_private_addresses_are_refused_where_it_matters(shop: Shop, receiver: Receiver) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    for host in (
        "127.0.0.1",
        "localhost",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
    ):
        url = f"http://{host}:{port}/"
        with pytest.raises(BatchError, match="WEBHOOK_PRIVATE"):
            shop.start(on_complete=url, private_webhooks=False)
        # Where it leads is looked at once more when it is called.
        with pytest.raises(WebhookRefused, match="of its own networks"):
            webhook.deliver(url, {}, delivery_id="x", secret=None, private=False)
    assert receiver.calls == []
    assert webhook.is_public("93.184.215.14")
    assert webhook.is_public("2606:4700::1111")
    for address in ("64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1", "100.64.0.1", "fe80::1"):
        assert not webhook.is_public(address)


def test_callbacks_that_cannot_be(shop: Shop) -> None:
    for target, words in (
        ("nobody", "no actor is named 'nobody' \\(known: .*told"),
        (callbacks.ACTOR, "no actor is named"),
        ("callboard.start", "no actor is named"),
        ("", "expected an actor"),
        (3, "expected an actor"),
        ("ftp://host/x", "https://host/path"),
        ("http://", "https://host/path"),
        ("http://host:99999/", "ort"),
        ("https://user:word@host/", "no user"),
        ("https://host/ü", "ASCII"),
        ("https://host/" + "x" * 2000, "2013 characters"),
    ):
        for event in callbacks.EVENTS:
            with pytest.raises(BatchError, match=words) as refused:
                shop.start(**{event: target})
            assert str(refused.value).startswith(event)
    assert BatchExecution.select().count(shop.application.database) == 0


# -- whatever dies -----------------------------------------------------------------------------------------


def all_ended(shop: Shop, batch_id: str) -> None:
    """Every image has ended on the board; no driver has noticed."""
    shop.application.batches.mark(batch_id, "S", [range(3)])


def test_a_driver_that_dies_before_the_close_is_followed_by_another(
    application: Application, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(application, tmp_path)
    batch_id = shop.start(on_complete="told")
    all_ended(shop, batch_id)
    with monkeypatch.context() as dying:
        dying.setattr(driver, "_close", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            advance(shop.application, batch_id)
    # The ledger has the end, the board has not.
    moment = shop.row(batch_id).finished_at
    assert moment is not None
    for _ in range(3):
        advance(shop.application, batch_id)
    work(shop.application)
    wait_until(lambda: shop.heard)
    shop.idle()
    assert [one["run"] for one in shop.heard] == [run_of(moment)]
    assert shop.row(batch_id).finished_at == moment


def test_on_rabbitmq_what_was_not_sent_is_sent_by_the_sweep(
    rabbit_url: str, build_application: Any, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "LOST_AFTER", 0)
    shop = Shop(build_application(BROKER_URL=rabbit_url), tmp_path)
    batch_id = shop.start(on_complete="told")
    all_ended(shop, batch_id)
    with monkeypatch.context() as dying:
        dying.setattr(shop.application.broker, "send", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            advance(shop.application, batch_id)
    assert shop.live(batch_id).finished is not None
    work(shop.application)
    assert callbacks.send_lost(shop.application, emptied=False) == 1
    wait_until(lambda: shop.heard)
    shop.idle()
    recorded(shop.application)
    assert callbacks.send_lost(shop.application, emptied=False) == 0
    assert len(shop.heard) == 1


def test_what_an_emptied_redis_has_lost_is_sent_again(shop: Shop, work: Work) -> None:
    batch_id = shop.start(on_complete="told", on_failure="told")
    all_ended(shop, batch_id)
    advance(shop.application, batch_id)
    assert shop.row(batch_id).finished_at is not None
    assert callbacks.send_lost(shop.application, emptied=True) == 0
    shop.application.board.clients.get().flushdb()
    assert callbacks.send_lost(shop.application, emptied=False) == 0
    assert callbacks.send_lost(shop.application, emptied=True) == 1
    assert callbacks.send_lost(shop.application, emptied=True) == 0
    work(shop.application)
    wait_until(lambda: shop.heard)
    shop.idle()
    recorded(shop.application)
    # What the ledger has seen end is not sent again, whatever Redis has forgotten.
    shop.application.board.clients.get().flushdb()
    assert callbacks.send_lost(shop.application, emptied=True) == 0
    assert [one["event"] for one in shop.heard] == ["on_complete"]


def test_a_second_copy_calls_nobody(shop: Shop, work: Work, receiver: Receiver) -> None:
    work(shop.application)
    batch_id = shop.start(on_complete=receiver.url)
    live = shop.live(batch_id)
    shop.ended(batch_id)
    wait_until(lambda: receiver.calls)
    finished = shop.live(batch_id).finished
    for message in callbacks.messages_at_end(shop.application, batch_id, shop.live(batch_id), finished):
        for _ in range(3):
            shop.application.broker.enqueue(message)
    shop.idle()
    assert len(receiver.calls) == 1
    assert live.facts.callbacks == {"on_complete": receiver.url}


def test_an_old_end_does_not_call_once_more(shop: Shop, work: Work) -> None:
    """A batch that the board has forgotten, and that is looked at again, has ended already."""
    work(shop.application)
    batch_id = shop.start(on_complete="told")
    row = shop.ended(batch_id)
    wait_until(lambda: shop.heard)
    shop.idle()
    client: redis.Redis = shop.application.board.clients.get()
    client.delete(
        shop.application.board.keys.batch(batch_id), shop.application.board.keys.batch_items(batch_id)
    )
    recorded(shop.application)
    advance(shop.application, batch_id)
    shop.idle()
    assert len(shop.heard) == 1
    assert shop.row(batch_id).finished_at == row.finished_at
