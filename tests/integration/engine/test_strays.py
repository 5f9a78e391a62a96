"""A fetch whose answer is lost: Redis counts its messages as handed to a worker that never got them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chains import ended
from dramatiq import Worker

from actors.application import Application
from actors.redis_broker import RedisBroker
from actors.workflow import Workflow, stage

BuildApplication = Callable[..., Application]
Work = Callable[..., Worker]


def test_messages_that_never_arrived_go_back_to_their_queue(
    build_application: BuildApplication, work: Work
) -> None:
    application = build_application()

    @stage
    def recite(data: Any) -> Any:
        return data

    chains = [Workflow("stray", [recite]).start(1), application.workflow("stray").start(2)]
    broker = application.broker
    assert isinstance(broker, RedisBroker)
    # The worker's own id has taken them, and the worker does not know.
    assert len(broker.do_fetch("default", 10)) == 2
    work(application)
    assert [ended(application, chain_id).status for chain_id in chains] == ["SUCCESS", "SUCCESS"]
