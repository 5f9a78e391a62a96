"""What the commands share: their options, the application that they work with, and how they speak."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .errors import CallboardError
from .settings import Settings

if TYPE_CHECKING:
    from actors.application import Application

#: Characters of an idempotency key.
LONGEST_KEY = 255

WorkflowName = Annotated[
    str, typer.Argument(help="The workflow's name; modules of your own are named in WORKFLOWS.")
]
ChainId = Annotated[str, typer.Argument(help="The chain's id, as start printed it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show progress until the chain has ended.")]
File = Annotated[
    str | None, typer.Option("--file", help="A file (or storage URL) that becomes the input's file_path.")
]
Input = Annotated[str, typer.Option("--input", help="The chain's input: JSON, or @file to read it from one.")]


def declared_application() -> Application:
    """The application with its workflows declared; nothing is started."""
    # What cannot be used is said before anything else is loaded.
    Settings.from_environment()
    import actors  # noqa: F401, PLC0415 (declares the workflows)
    from actors.application import current  # noqa: PLC0415

    return current()


def ready_application() -> Application:
    """The application, with the embedded Redis started where it is the one to use."""
    application = declared_application()
    application.prepare()
    return application


def prepared_application() -> Application:
    """As :func:`ready_application`, with the tables up to date and Redis known to answer."""
    from db.migrate import migrate as migrate_database  # noqa: PLC0415

    application = ready_application()
    application.board.clients.get().ping()
    migrate_database(application.database)
    return application


def prepare_to_start(application: Application) -> None:
    """The embedded Redis is there, and so are the tables where the ledger is a SQLite file.

    A server's tables are for the release to make; such a file has nobody but ``callboard up``, which may
    just be starting.
    """
    from db.migrate import migrate as migrate_database  # noqa: PLC0415

    application.prepare()
    if application.settings.database_url.startswith("sqlite:"):
        migrate_database(application.database)


def check_key(key: str | None) -> None:
    """Refuse what cannot be an idempotency key.

    Raises:
        CallboardError: it is empty, too long, or no text.
    """
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        shown = repr(key if len(key) <= LONGEST_KEY else f"{key[:20]}…")
        raise CallboardError(f"--idempotency-key: read {shown}, expected 1 to 255 printable characters")


def read_input(text: str, file: str | None, option: str = "--input") -> Any:
    """The chain's input that ``--input`` and ``--file`` name. ``option``: how errors call it.

    Raises:
        CallboardError: it cannot be read, or is not JSON.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CallboardError(f"{option}: cannot read {text[1:]}: {error}") from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CallboardError(f"{option} is not JSON: {error}") from None
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


def announce(chain_id: str, as_json: bool) -> None:
    """Print the id of a chain that has just started."""
    show({"chain_id": chain_id}, chain_id, as_json)


def show(facts: dict[str, Any], words: str, as_json: bool) -> None:
    """Print facts for programs, or words for people."""
    print(json.dumps(facts, ensure_ascii=False) if as_json else words, flush=True)


def complain(words: str) -> None:
    """Say in one line on stderr what cannot be done."""
    print(f"callboard: {' '.join(words.split())}", file=sys.stderr, flush=True)


def follow_to_the_end(application: Application, chain_id: str, as_json: bool) -> NoReturn:
    """Show a chain's progress, and end the command with its outcome as the exit status."""
    from .follow import follow_chain  # noqa: PLC0415

    try:
        succeeded = follow_chain(application.status, chain_id, as_json=as_json)
    except KeyboardInterrupt:
        complain(f"chain {chain_id} goes on; `callboard status {chain_id} --follow` shows it again")
        raise typer.Exit(130) from None
    raise typer.Exit(0 if succeeded else 1)
