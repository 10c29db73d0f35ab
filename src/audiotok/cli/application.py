"""The command `audiotok`: it ends in order when a signal tells it to, and prints its version."""

from typing import Annotated, Any

import typer

from audiotok import __version__
from audiotok.run.plugins import search_current_folder
from audiotok.run.stopping import handling_signals
from audiotok.run.streams import keep_streams


class _Command(typer.Typer):
    """The command, which ends in order when a signal tells it to."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        keep_streams()
        with handling_signals():
            return super().__call__(*args, **kwargs)


app = _Command(
    help="Turn sound into words and find out what a language model can hear in them.", no_args_is_help=True
)
# The context settings of a verb whose command line Hydra reads.
OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
Trust = Annotated[
    list[str] | None,
    typer.Option(
        help="A module of your own whose classes the run's configuration may name. May be repeated."
    ),
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"audiotok {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Prepare what every verb needs."""
    search_current_folder()
