"""``callboard batch``: starts a batch, and follows it when asked to."""

from __future__ import annotations

from typing import Annotated

import typer

from .terminal import AsJson, Follow, declared_application, prepare_to_start, read_input, show

_CALLED = "An actor's name or a webhook's URL, called once"


def batch(
    name: Annotated[str, typer.Argument(help="The batch's name, for people.")],
    files: Annotated[list[str] | None, typer.Argument(help="Files, or storage URLs.")] = None,
    matching: Annotated[str | None, typer.Option("--glob", help="Files by pattern; ** goes deeper.")] = None,
    manifest: Annotated[
        str | None, typer.Option(help="A file that names one file a line; - reads standard input.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="A folder with all below it, such as s3://bucket/scans/.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Of names below the prefix, such as *.png; images and PDFs else.")
    ] = None,
    workflow: Annotated[str, typer.Option(help="What each file goes through.")] = "cr_extract_workflow",
    options: Annotated[str, typer.Option(help="`options` of each chain's input: JSON, or @file.")] = "{}",
    public_manifest: Annotated[
        str | None, typer.Option(help="A file that names the public path of each file, one a line.")
    ] = None,
    chunk_size: Annotated[
        str, typer.Option(help="Files of a chunk, or auto: by their sizes and the time they take.")
    ] = "10",
    window: Annotated[
        str | None, typer.Option(help="Chunks under way at a time; enough for all workers unless given.")
    ] = None,
    priority: Annotated[str, typer.Option(help="high, default or low.")] = "default",
    success_threshold: Annotated[
        str, typer.Option(help="Share of the images, 0 to 1, that must succeed for the batch to succeed.")
    ] = "1",
    on_complete: Annotated[str | None, typer.Option(help=f"{_CALLED} it has ended, however.")] = None,
    on_success: Annotated[str | None, typer.Option(help=f"{_CALLED} it has succeeded.")] = None,
    on_failure: Annotated[str | None, typer.Option(help=f"{_CALLED} it has failed.")] = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Start a chain for each of many files, chunk by chunk, and print the batch's id.

    With --follow the exit status is 1 for a batch that has failed or was revoked.
    """
    from actors.batches.start import start_batch_pipeline  # noqa: PLC0415 (loads everything)

    from .batch import files_of, follow_batch, lines_of, number_of  # noqa: PLC0415

    application = declared_application()
    asked = read_input(options, None, "--options")
    public = None if public_manifest is None else lines_of(public_manifest, "--public-manifest")
    paths = files_of(files or [], matching, manifest, prefix, pattern)
    prepare_to_start(application)
    batch_id = start_batch_pipeline(
        name,
        paths,
        public,
        asked,
        chunk_size=number_of(chunk_size),
        workflow=workflow,
        priority=priority,
        window=number_of(window),
        success_threshold=number_of(success_threshold),
        on_complete=on_complete,
        on_success=on_success,
        on_failure=on_failure,
        initiated_by="cli",
        application=application,
    )
    show({"batch_id": batch_id}, batch_id, as_json)
    if follow:
        raise typer.Exit(0 if follow_batch(application, batch_id, as_json) else 1)
