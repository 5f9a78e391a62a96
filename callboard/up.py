"""``callboard up`` and ``callboard run``: the processes of the Procfile, in one terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import CallboardError
from .settings import without_password
from .terminal import (
    AsJson,
    File,
    Input,
    WorkflowName,
    announce,
    complain,
    declared_application,
    prepared_application,
    read_input,
)

if TYPE_CHECKING:
    from actors.application import Application


def up(
    processes: Annotated[
        int, typer.Option("--processes", "-p", min=1, max=1000, help="Worker processes.")
    ] = 1,
    threads: Annotated[int, typer.Option("--threads", "-t", min=1, max=1000, help="Threads of each.")] = 4,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")] = False,
    with_web: Annotated[bool, typer.Option("--web/--no-web", help="The API, on HOST and PORT.")] = True,
) -> None:
    """Run everything in this terminal, like the Procfile: worker, clock, API, and Redis where none is set.

    Ctrl-C ends it within seconds; a second one ends it at once.
    """
    from .processes import Crew, Stopped, check_port, clock, say, web, worker  # noqa: PLC0415 (what it uses)

    application = prepared_application()
    if with_web:
        check_port(application.settings)
    members = [worker(processes, threads), clock(), *([web(application.settings)] if with_web else [])]
    with Crew(members, application.settings, quiet=quiet) as crew:
        for name, place in _places(application):
            say(name, place)
        for member in members:
            say(member.name, member.about)
        try:
            crew.wait_until_ready()
            say("callboard", "up; Ctrl-C ends it")
            crew.watch()
        except Stopped:
            say("callboard", "ending; Ctrl-C again ends it at once")


def run(
    workflow: WorkflowName,
    file: File = None,
    data: Input = "{}",
    as_json: AsJson = False,
) -> None:
    """Bring everything up, run one chain to its end, and take everything down again.

    Ctrl-C revokes the chain.
    """
    from .follow import follow_chain  # noqa: PLC0415
    from .processes import Crew, Stopped, clock, worker  # noqa: PLC0415

    application = declared_application()
    declared, document = application.workflow(workflow), read_input(data, file)
    prepared_application()
    chain_id = None
    try:
        with Crew([worker(1, 2), clock()], application.settings, quiet=True) as crew:
            try:
                crew.wait_until_ready()
                chain_id = declared.start(document, initiated_by="cli")
                announce(chain_id, as_json)
                succeeded = follow_chain(
                    application.status, chain_id, as_json=as_json, still_running=crew.check
                )
            except Stopped:
                if chain_id is not None:
                    _revoke_interrupted(application, chain_id)
                raise
    except Stopped as stop:
        raise typer.Exit(128 + stop.number) from None
    raise typer.Exit(0 if succeeded else 1)


def _places(application: Application) -> Iterator[tuple[str, str]]:
    """What this installation works with, and where that is."""
    settings, board = application.settings, application.board.clients.url
    yield "redis", f"{without_password(board)}{' (embedded)' if settings.embedded else ''}"
    if settings.broker_url:
        yield "broker", without_password(settings.broker_url)
    yield "ledger", without_password(settings.database_url)
    yield "storage", without_password(settings.storage_url)
    yield "workflows", ", ".join(sorted(application.workflows)) or "none; name modules of yours in WORKFLOWS"


def _revoke_interrupted(application: Application, chain_id: str) -> None:
    from actors.control import revoke as revoke_chain  # noqa: PLC0415

    try:
        revoke_chain(chain_id, "interrupted", application=application)
    except CallboardError as error:
        complain(f"chain {chain_id} could not be revoked: {error}")
    else:
        complain(f"interrupted: chain {chain_id} was revoked; `callboard resume {chain_id}` lets it go on")
