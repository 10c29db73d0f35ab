"""The verb that brings a corpus onto this machine."""

from pathlib import Path
from typing import Annotated

import typer

from audiotok.cli.application import app
from audiotok.cli.screen import console, log_on_screen, one_sentence


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="esc50, fsd50k, audioset (tables and audio) or audioset-csv (tables only).")
    ],
    to: Annotated[Path, typer.Option(help="The folder to download into.")],
    mirror: Annotated[
        str | None, typer.Option(envvar="AUDIOTOK_MIRROR", help="The base URL of a mirror to download from.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="For audioset: bal_train, unbal_train or eval. May be repeated."),
    ] = None,
) -> None:
    """Download a corpus, or the files that are missing, and verify it."""
    from audiotok.download.download import download as fetch

    with one_sentence("; the same command downloads what is missing"), log_on_screen():
        done = fetch(name, to, mirror, sets)
    screen = console()
    screen.print(f"{done.title} is in {done.root}; {to / 'download.json'} lists what was downloaded.")
    screen.print(done.command)
