"""The command line: `audiotok VERB`.

Verbs that build an experiment take Hydra overrides; verbs that look at what exists take options. Heavy
imports stand inside the verbs, so that `--help` is instant.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from audiotok.errors import UserError

app = typer.Typer(
    help="Turn sound into words and find out what a language model can hear in them.", no_args_is_help=True
)


@app.callback()
def _main() -> None:
    """Keep verbs verbs, however few there are."""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def train(context: typer.Context) -> None:
    """Train and score a tagger; takes Hydra overrides, as train.py does (audiotok train --help)."""
    from audiotok.train import train as hydra_train

    sys.argv = ["audiotok train", *context.args]
    hydra_train()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def pretrain(context: typer.Context) -> None:
    """Learn to fill masked tokens, for model.init_from; takes Hydra overrides (audiotok pretrain --help)."""
    from audiotok.train import pretrain as hydra_pretrain

    sys.argv = ["audiotok pretrain", *context.args]
    hydra_pretrain()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def prepare(context: typer.Context) -> None:
    """Find out which clips a corpus has, and report; takes Hydra overrides (audiotok prepare --help)."""
    from audiotok.train import prepare as hydra_prepare

    sys.argv = ["audiotok prepare", *context.args]
    hydra_prepare()


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    top: Annotated[int, typer.Option(help="Tags shown for each file.", min=1)] = 5,
) -> None:
    """Print the tags of your own sounds."""
    from rich.console import Console

    from audiotok.experiment import restore
    from audiotok.prediction import tag

    console = Console(highlight=False, soft_wrap=True)
    failed = False
    try:
        restored = restore(run)
    except UserError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), style="red")
        raise typer.Exit(1) from None
    for file in files:
        try:
            tags = tag(restored, file)[:top]
        except UserError as error:
            Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), style="red")
            failed = True
            continue
        console.print(f"{file}", style="bold")
        for found in tags:
            console.print(f"  {found.probability:6.3f}  {found.sound_class.name}")
    if failed:
        raise typer.Exit(1)
