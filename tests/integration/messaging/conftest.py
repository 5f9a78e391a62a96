"""Fixtures: the workflow on an application of the test's own, and the servers that it sends to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dramatiq import Worker
from mail_server import MailServer, mail_server
from messaging_posts import SENDER, Post

from actors.application import Application
from actors.messaging import messaging
from actors.workflow import Workflow, stage


@pytest.fixture
def mails() -> Iterator[MailServer]:
    """A mail server without TLS."""
    with mail_server() as server:
        yield server


@pytest.fixture
def build_post(
    build_application: Callable[..., Application], work: Callable[..., Worker]
) -> Callable[..., Post]:
    """Declares the workflow on an application with these variables, with a worker unless told otherwise."""

    def build(*, with_worker: bool = True, **environment: str) -> Post:
        application = build_application(**environment)
        actors = []
        for shipped in (one.actors[0] for one in messaging.stages):
            options: dict[str, Any] = {**shipped.options, "min_backoff": 20, "max_backoff": 100}
            body = shipped.fn.__wrapped__  # type: ignore[attr-defined]
            actors.append(
                stage(
                    name=options.pop("stage_name"),
                    actor_name=shipped.actor_name,
                    queue_name=shipped.queue_name,
                    **options,
                )(body)
            )
        workflow = Workflow(
            messaging.name, actors, accepts=messaging.accepts, progress_key="job:{chain_id}:progress"
        )
        if with_worker:
            work(application)
        return Post(application, workflow)

    return build


@pytest.fixture
def post(build_post: Callable[..., Post], mails: MailServer) -> Post:
    """With the mail server, and a worker."""
    return build_post(SMTP_URL=f"smtp://127.0.0.1:{mails.port}", SMTP_FROM=SENDER)
