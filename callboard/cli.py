"""The command line: ``callboard up · run · start · status · resume · revoke · migrate · doctor``.

Exit status: 0 when all went well, 1 when the chain has failed or was revoked, 2 when the command could not
be carried out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from .errors import CallboardError, UnknownChain
from .settings import Settings

if TYPE_CHECKING:
    from actors.application import Application

commands = typer.Typer(
    name="callboard",
    help="Tracked workflows on Dramatiq. Settings come from the environment: REDIS_URL, DATABASE_URL, …",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ChainId = Annotated[str, typer.Argument(help="The chain's id, as start printed it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show progress until the chain has ended.")]
File = Annotated[
    str | None, typer.Option("--file", help="A file (or storage URL) that becomes the input's file_path.")
]
Input = Annotated[str, typer.Option("--input", help="The chain's input: JSON, or @file to read it from one.")]


def main() -> None:
    """Entry point of the console script."""
    # A module named in WORKFLOWS is looked for where the command runs, as `dramatiq` does.
    sys.path.insert(0, "")
    try:
        commands()
    except CallboardError as error:
        print(f"callboard: {error}", file=sys.stderr)
        sys.exit(2)


@commands.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@commands.command()
def up(
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="Worker processes.")] = 1,
    threads: Annotated[int, typer.Option("--threads", "-t", min=1, help="Threads of each.")] = 4,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")] = False,
) -> None:
    """Run everything in this terminal, like the Procfile: worker, clock, and Redis where none is set.

    Ctrl-C ends it.
    """
    from .processes import Crew  # noqa: PLC0415 (each command loads only what it uses)

    application = _prepared()
    with Crew(application, processes=processes, threads=threads, quiet=quiet) as crew:
        crew.run_until_stopped()


@commands.command()
def run(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    file: File = None,
    data: Input = "{}",
    as_json: AsJson = False,
) -> None:
    """Bring everything up, run one chain to its end, and take everything down again."""
    from .follow import follow_chain  # noqa: PLC0415
    from .processes import Crew  # noqa: PLC0415

    application = _prepared()
    declared = application.workflow(workflow)
    with Crew(application, processes=1, threads=2, quiet=True) as crew:
        chain_id = declared.start(_input(data, file), initiated_by="cli")
        _announce(chain_id, as_json)
        succeeded = follow_chain(application.status, chain_id, as_json=as_json, still_running=crew.check)
    raise typer.Exit(0 if succeeded else 1)


@commands.command()
def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    file: File = None,
    data: Input = "{}",
    follow: Follow = False,
    chain_id: Annotated[str | None, typer.Option(help="An id of your own for the chain.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key returns the same chain and starts nothing twice.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a chain and print its id."""
    application = _application()
    started = application.workflow(workflow).start(
        _input(data, file), chain_id=chain_id, idempotency_key=idempotency_key, initiated_by="cli"
    )
    _announce(started, as_json)
    if follow:
        _follow(application, started, as_json)


@commands.command()
def status(chain_id: ChainId, follow: Follow = False, as_json: AsJson = False) -> None:
    """Show where a chain stands: a bar for each stage, and the error of a failed one."""
    from .follow import show_chain  # noqa: PLC0415

    application = _application()
    if follow:
        _follow(application, chain_id, as_json)
    ended_well = show_chain(application.status, chain_id, as_json=as_json)
    raise typer.Exit(0 if ended_well else 1)


@commands.command()
def resume(
    chain_id: ChainId,
    from_stage: Annotated[int | None, typer.Option(min=1, help="Run again from this stage.")] = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Let a failed or revoked chain go on from the first stage that has not succeeded."""
    from actors.control import resume as resume_chain  # noqa: PLC0415

    application = _application()
    stage = resume_chain(chain_id, from_stage=from_stage, application=application)
    _print({"chain_id": chain_id, "resumed_from": stage}, f"{chain_id} goes on from stage {stage}", as_json)
    if follow:
        _follow(application, chain_id, as_json)


@commands.command()
def revoke(
    chain_id: ChainId,
    reason: Annotated[str, typer.Option(help="Kept as the chain's error message.")] = "revoked",
    as_json: AsJson = False,
) -> None:
    """Call a chain off; a running stage stops at its next progress report."""
    from actors.control import revoke as revoke_chain  # noqa: PLC0415

    receipts = revoke_chain(chain_id, reason, application=_application())
    tasks = [{"member": receipt.member, "was": receipt.was} for receipt in receipts]
    words = ", ".join(f"{receipt.was.lower()}" for receipt in receipts)
    _print({"chain_id": chain_id, "revoked": tasks}, f"{chain_id} revoked (its task was {words})", as_json)


@commands.command()
def migrate() -> None:
    """Bring the ledger's tables up to date."""
    from db.connection import open_database  # noqa: PLC0415
    from db.migrate import migrate as migrate_database  # noqa: PLC0415

    applied = migrate_database(open_database(Settings.from_environment().database_url))
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


@commands.command()
def doctor(as_json: AsJson = False) -> None:
    """Check connections, versions and settings, and say what is missing."""
    from .doctor import examine  # noqa: PLC0415

    healthy = True
    for finding in examine(_application(start=False)):
        healthy = healthy and finding.level != "error"
        _print(finding.as_json(), f"{finding.level:8} {finding.subject}: {finding.text}", as_json)
    raise typer.Exit(0 if healthy else 2)


def _application(*, start: bool = True) -> Application:
    import actors  # noqa: F401, PLC0415 (declares the workflows)
    from actors.application import current  # noqa: PLC0415

    application = current()
    if start:
        application.prepare()
    return application


def _prepared() -> Application:
    from db.migrate import migrate as migrate_database  # noqa: PLC0415

    application = _application()
    migrate_database(application.database)
    return application


def _input(text: str, file: str | None) -> Any:
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CallboardError(f"--input: cannot read {text[1:]}: {error}") from None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise CallboardError(f"--input is not JSON: {error}") from None
    if file is None:
        return data
    if not isinstance(data, dict):
        raise CallboardError("--file goes with an --input that is a JSON object")
    if "://" in file:
        return {**data, "file_path": file}
    path = Path(file).resolve()
    if not path.is_file():
        raise CallboardError(f"--file: there is no file {file}")
    return {**data, "file_path": str(path)}


def _announce(chain_id: str, as_json: bool) -> None:
    _print({"chain_id": chain_id}, chain_id, as_json)


def _print(facts: dict[str, Any], words: str, as_json: bool) -> None:
    print(json.dumps(facts, ensure_ascii=False) if as_json else words, flush=True)


def _follow(application: Application, chain_id: str, as_json: bool) -> None:
    from .follow import follow_chain  # noqa: PLC0415

    if application.status.find(chain_id) is None:
        raise UnknownChain(chain_id)
    raise typer.Exit(0 if follow_chain(application.status, chain_id, as_json=as_json) else 1)
