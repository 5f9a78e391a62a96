"""Where RabbitMQ and Redis have to agree without a common transaction."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from chains import check_stores, ended, recorded
from dramatiq import Worker
from dramatiq.errors import BrokerConnectionError
from waiting import wait_until

from actors.application import Application
from actors.workflow import Workflow, stage
from db.chains import Transition

Work = Callable[..., Worker]


@pytest.fixture
def application(build_application: Any, rabbit_url: str) -> Application:
    built: Application = build_application(BROKER_URL=rabbit_url)
    return built


def test_a_connection_that_the_server_has_closed_is_replaced(application: Application) -> None:
    @stage
    def body(document: Any) -> Any:
        return document

    broker: Any = application.broker
    assert not broker.may_hold(["default"])
    # As the server does with a clock that has said nothing for a while.
    broker.connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(BrokerConnectionError):
        broker.may_hold(["default"])
    assert not broker.may_hold(["default"])
    Workflow("counted", [body]).start(1)
    wait_until(lambda: broker.may_hold(["default"]))


@pytest.mark.parametrize("lost", ["finish", "retry"])
def test_what_follows_is_sent_though_the_answer_of_the_transition_was_lost(
    application: Application, work: Work, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    @stage(max_retries=1, min_backoff=1, max_backoff=1)
    def first(document: Any) -> Any:
        calls.append("first")
        if lost == "retry" and len(calls) == 1:
            raise ValueError("once")
        return "of the first"

    @stage
    def second(document: Any) -> Any:
        calls.append("second")
        return document

    apply = application.board.apply

    def apply_twice(transition: Transition) -> Any:
        answer = apply(transition)
        return apply(transition) if transition.name == lost else answer

    monkeypatch.setattr(application.board, "apply", apply_twice)
    chain_id = Workflow("repeated", [first, second]).start(1)
    work(application)
    assert ended(application, chain_id).final_result == "of the first"
    assert calls == ["first"] * (1 + (lost == "retry")) + ["second"]
    recorded(application)
    check_stores(application, chain_id)
