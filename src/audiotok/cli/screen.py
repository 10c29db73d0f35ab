"""How every verb prints: errors in one sentence, the log of the library, and text as it is."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from audiotok.errors import UserError
from audiotok.run.stopping import Stopped

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def log_on_screen() -> Iterator[None]:
    """Print the log of the library, for commands that do not go through Hydra."""
    log, handler = logging.getLogger("audiotok"), logging.StreamHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextmanager
def one_sentence(after_a_signal: str = "") -> Iterator[None]:
    """Print an error that the user can fix, in red and without a traceback, and exit with 1.

    Args:
        after_a_signal: What to do where a signal has stopped the command.
    """
    try:
        yield
    except Stopped as stopped:
        typer.echo(f"{stopped}{after_a_signal}.", err=True)
        raise
    except UserError as error:
        _say_in_red(error)
        raise typer.Exit(1) from None


def _say_in_red(error: UserError) -> None:
    console(stderr=True).print(str(error), style="red")


def warn_of_changes(run: Path) -> None:
    """Warn that a run's configuration is not the one that the run has written; it is used as it is."""
    from audiotok.run.folder import RunFolder

    folder = RunFolder(run)
    if folder.config_is_changed:
        console(stderr=True).print(
            f"{folder.config} was changed after the run had written it; it is used as it is.", style="yellow"
        )


def console(stderr: bool = False) -> "Console":
    """Return a console that prints text as it is: names may contain [brackets] and :colons:."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
