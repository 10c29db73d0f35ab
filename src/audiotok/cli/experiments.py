"""Verbs whose overrides Hydra reads: train, pretrain, prepare, doctor, fit, evaluate, explore, repeat."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from audiotok.cli.application import OVERRIDES, Trust, app
from audiotok.cli.screen import one_sentence, warn_of_changes

_PROGRAMS = {  # these take Hydra overrides and have a --help of their own
    "train": "Train and score a tagger. `audiotok train --help` lists its options.",
    "pretrain": "Pretrain a model without labels, on masked tokens.",
    "prepare": "Check the clips of a corpus before training, and report on them.",
    "doctor": "Look for problems that would keep a run from learning.",
    "explore": "Write a page about a run or a tokenizer: tokens, clips and classes, seen and heard.",
    "fit": "Fit a tokenizer to a corpus, and train no model.",
    "evaluate": "Score a finished run on any data: audiotok evaluate RUN data=OPTION data.root=PATH.",
}


def _add_program(name: str, says: str) -> None:
    @app.command(name, help=says, context_settings=OVERRIDES, add_help_option=False)
    def program(context: typer.Context) -> None:
        from audiotok import programs

        sys.argv = [f"audiotok {name}", *context.args]
        getattr(programs, name)()


for _name, _says in _PROGRAMS.items():
    _add_program(_name, _says)


@app.command(context_settings=OVERRIDES)
def repeat(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    trust: Trust = None,
) -> None:
    """Repeat a run from the configuration in its folder. Overrides of single keys may follow."""
    from audiotok.programs.repeating import repeat as hydra_repeat

    with one_sentence():
        warn_of_changes(run)
        hydra_repeat(run, context.args, trust or ())
