"""The command line: ``callboard up``, ``start``, ``status``, ``why``, … (``callboard --help`` has them all).

Exit status: 0 when all went well, 1 when the chain has failed or was revoked, 2 when the command could not
be carried out, 130 when Ctrl-C ended it. What cannot be done is said in one line on stderr.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from . import __version__, batch_control
from .batch_items import batch_items
from .batch_start import batch
from .errors import CallboardError, LedgerUnavailable, UnknownBatch, UnknownChain
from .settings import Settings
from .terminal import (
    AsJson,
    ChainId,
    File,
    Follow,
    Input,
    WorkflowName,
    announce,
    check_key,
    complain,
    declared_application,
    follow_to_the_end,
    prepare_to_start,
    read_input,
    ready_application,
    show,
)
from .up import run, up

commands = typer.Typer(
    name="callboard",
    help="Tracked workflows on Dramatiq. Settings come from the environment: REDIS_URL, DATABASE_URL, "
    "BROKER_URL, STORAGE_URL, WORKFLOWS, …; each has a default. `callboard doctor` tells what they come to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the console script."""
    # A module named in WORKFLOWS is looked for where the command runs, as `dramatiq` does.
    sys.path.insert(0, "")
    # A terminal without Hangul shows escapes instead of it.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        commands()
    except LedgerUnavailable as error:
        silent = "does not answer" in str(error)
        complain(f"{error}{'; is DATABASE_URL right? `callboard doctor` looks further' if silent else ''}")
        sys.exit(2)
    except CallboardError as error:
        complain(str(error))
        sys.exit(2)
    except Exception as error:
        words = _server_error(error)
        if words is None:
            raise
        complain(words)
        sys.exit(2)


@commands.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


commands.command()(up)
commands.command()(run)


@commands.command()
def start(
    workflow: WorkflowName,
    file: File = None,
    data: Input = "{}",
    follow: Follow = False,
    chain_id: Annotated[str | None, typer.Option(help="An id of your own for the chain.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key returns the same chain and starts nothing twice.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a chain and print its id. A worker (`callboard up`) runs it."""
    application = declared_application()
    declared, document = application.workflow(workflow), read_input(data, file)
    check_key(idempotency_key)
    prepare_to_start(application)
    started = declared.start(document, chain_id=chain_id, idempotency_key=idempotency_key, initiated_by="cli")
    announce(started, as_json)
    if follow:
        follow_to_the_end(application, started, as_json)


commands.command()(batch)
commands.command()(batch_items)
commands.command()(batch_control.retry_failed)


@commands.command()
def status(chain_id: ChainId, follow: Follow = False, as_json: AsJson = False) -> None:
    """Show where a chain or a batch stands: a bar for each stage, and the error of a failed one.

    The exit status is 1 for one that has failed or was revoked, 2 for an unknown one.
    """
    from .follow import show_chain  # noqa: PLC0415

    application = ready_application()
    try:
        if follow:
            follow_to_the_end(application, chain_id, as_json)
        ended_well = show_chain(application.status, chain_id, as_json=as_json)
    except UnknownChain as unknown:
        from .batch import follow_batch, show_batch  # noqa: PLC0415

        try:
            ended_well = (follow_batch if follow else show_batch)(application, chain_id, as_json)
        except UnknownBatch:
            raise unknown from None
    raise typer.Exit(0 if ended_well else 1)


@commands.command()
def why(chain_id: ChainId, as_json: AsJson = False) -> None:
    """Say why a chain is not moving: who has it, what it waits for, or how it ended.

    Of a batch it says how that stands. The exit status is 1 for one that has failed or was revoked, 2 for an
    unknown one.
    """
    from .why import why as explain  # noqa: PLC0415

    application = ready_application()
    try:
        answer = explain(application, chain_id)
    except UnknownChain as unknown:
        raise typer.Exit(0 if batch_control.why(application, chain_id, as_json, unknown) else 1) from None
    show(answer.as_json(), answer.sentence, as_json)
    raise typer.Exit(1 if answer.status in ("FAILURE", "REVOKED") else 0)


@commands.command()
def resume(
    chain_id: ChainId,
    from_stage: Annotated[int | None, typer.Option(min=1, help="Run again from this stage.")] = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Let a failed or revoked chain go on from the first stage that has not succeeded.

    What of a batch has failed goes on by `callboard retry-failed`.
    """
    from actors.control import resume as resume_chain  # noqa: PLC0415

    application = ready_application()
    try:
        stage = resume_chain(chain_id, from_stage=from_stage, application=application)
    except UnknownChain as unknown:
        raise batch_control.refuse_resume(application, chain_id, unknown) from None
    show({"chain_id": chain_id, "resumed_from": stage}, f"{chain_id} goes on from stage {stage}", as_json)
    if follow:
        follow_to_the_end(application, chain_id, as_json)


@commands.command()
def revoke(
    chain_id: ChainId,
    reason: Annotated[str, typer.Option(help="Kept as the chain's error message.")] = "revoked",
    as_json: AsJson = False,
) -> None:
    """Call a chain off, or by its id a whole batch: what waits will not run, what runs is told to stop."""
    from actors.control import revoke as revoke_chain  # noqa: PLC0415
    from db.values import clean_text  # noqa: PLC0415

    application, reason = ready_application(), clean_text(reason)
    try:
        receipts = revoke_chain(chain_id, reason, application=application)
    except UnknownChain as unknown:
        batch_control.revoke(application, chain_id, reason, as_json, unknown)
        return
    tasks = [
        {"stage": receipt.stage, "member": receipt.member, "was": receipt.was, "outcome": receipt.outcome}
        for receipt in receipts
    ]
    words = "; ".join(
        f"stage {receipt.stage}{f' member {receipt.member}' if receipt.member else ''} "
        f"was {receipt.was}: {receipt.outcome}"
        for receipt in receipts
    )
    show({"chain_id": chain_id, "revoked": tasks}, f"{chain_id} revoked ({words})", as_json)


@commands.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; nothing does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let go of what is old or left behind. The clock does it by itself, once an hour.

    RETENTION_DAYS, IDEMPOTENCY_DAYS, STALE_DAYS and STORAGE_DAYS say after how long; 0 keeps for ever.
    """
    from .pruning import prune as prune_all  # noqa: PLC0415

    prune_all(ready_application(), dry_run=dry_run, as_json=as_json)


@commands.command()
def workflows(as_json: AsJson = False) -> None:
    """List what can be started, and what cannot for want of an extra, with the command that installs it."""
    from .listing import listed  # noqa: PLC0415

    for facts, words in listed(declared_application()):
        show(facts, words, as_json)


@commands.command()
def migrate() -> None:
    """Bring the ledger's tables up to date."""
    from db.connection import open_database  # noqa: PLC0415
    from db.migrate import migrate as migrate_database  # noqa: PLC0415

    applied = migrate_database(open_database(Settings.from_environment().database_url))
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


@commands.command()
def doctor(as_json: AsJson = False) -> None:
    """Check connections, versions and settings, and say what is missing.

    The exit status is 2 if anything is wrong.
    """
    from .doctor import examine  # noqa: PLC0415

    healthy = True
    for finding in examine(declared_application()):
        healthy = healthy and finding.level != "error"
        show(finding.as_json(), f"{finding.level:8} {finding.subject}: {finding.text}", as_json)
    raise typer.Exit(0 if healthy else 2)


@commands.command()
def chaos(
    workflow: Annotated[
        str | None, typer.Argument(help="A workflow of WORKFLOWS; samples that tell more unless given.")
    ] = None,
    data: Input = "{}",
    seed: Annotated[int | None, typer.Option(help="Repeats a run; chosen by chance unless given.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Several runs, such as 1..200.")] = None,
    chains: Annotated[int, typer.Option(min=1, help="Chains of each run.")] = 50,
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="Worker processes.")] = 2,
    threads: Annotated[int, typer.Option("--threads", "-t", min=1, help="Threads of each.")] = 4,
    faults: Annotated[
        str,
        typer.Option(help="Names with commas between them, NAME:NUMBER for so many; 'list', 'none'."),
    ] = "all",
    seconds: Annotated[float, typer.Option(min=1, help="Chains start and faults happen in so long.")] = 15.0,
    revokes: Annotated[bool, typer.Option(help="Call some of the samples' chains off.")] = True,
    broker_url: Annotated[
        str | None, typer.Option(help="An empty RabbitMQ virtual host; the private Redis unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run chains while workers, Redis and PostgreSQL are killed, paused and cut off; check ten invariants.

    Everything happens on private servers in a temporary folder: REDIS_URL, DATABASE_URL and STORAGE_URL are
    not touched. The exit status is 1 if an invariant was broken; the seed that is printed repeats the run.
    """
    from .chaos.command import fault_list, run_seeds, wanted  # noqa: PLC0415

    if faults == "list":
        print(fault_list())
        raise typer.Exit
    asked = wanted(
        chains=chains,
        seconds=seconds,
        faults=faults,
        workflow=workflow,
        data=read_input(data, None),
        revokes=revokes,
    )
    held = run_seeds(
        seed, seeds, asked, processes=processes, threads=threads, broker_url=broker_url, as_json=as_json
    )
    raise typer.Exit(0 if held else 1)


def _server_error(error: Exception) -> str | None:
    """What to say of a server, a file or an argument that cannot be used; None for any other error."""
    import redis  # noqa: PLC0415 (loaded already, if it has raised)
    from dramatiq.errors import ConnectionError as BrokerError  # noqa: PLC0415

    if isinstance(error, redis.RedisError):
        return f"Redis does not answer: {error}; is REDIS_URL right? `callboard doctor` looks further"
    if isinstance(error, BrokerError):
        return f"the broker does not answer: {error}; is BROKER_URL right? `callboard doctor` looks further"
    if isinstance(error, UnicodeEncodeError):
        return f"read {error.object[error.start : error.end]!r}, expected text in UTF-8"
    if isinstance(error, OSError):
        return str(error)
    return None
