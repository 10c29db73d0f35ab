"""Verbs that show runs side by side: compare, workspace."""

from pathlib import Path
from typing import Annotated

import typer

from audiotok.cli.application import app
from audiotok.cli.screen import console, one_sentence


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of runs, or folders that contain runs.")
    ],
    to: Annotated[Path, typer.Option(help="The page to write.")] = Path("compare.html"),
    metric: Annotated[str, typer.Option(help="The score to rank by.")] = "test/mAP",
) -> None:
    """Compare runs in one HTML page: settings, scores, learning curves, significance."""
    from audiotok.compare.page import compare as write_page

    with one_sentence():
        runs = write_page(folders, to, metric)
    lacking = sum(bool(run.notes) for run in runs)
    noted = f"; {lacking} of them are incomplete, as the page says" if lacking else ""
    console().print(f"Compared {len(runs)} runs in {to} ({to.stat().st_size / 1e6:.1f} MB){noted}.")


@app.command()
def workspace(
    project: Annotated[str, typer.Option(help="The W&B project.")] = "audiotok",
    entity: Annotated[str | None, typer.Option(help="The W&B user or team; by default your own.")] = None,
) -> None:
    """Create a W&B dashboard: scores, settings that matter, examples, vocabulary."""
    from audiotok.logger.workspace import save

    with one_sentence():
        typer.echo(save(project, entity))
