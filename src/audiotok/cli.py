"""The command line: `audiotok VERB`.

Verbs that build an experiment take Hydra overrides; verbs that look at what exists take options. Heavy
imports stand inside the verbs, so that `--help` is instant.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiotok.errors import UserError
from audiotok.run.plugins import search_current_folder

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Turn sound into words and find out what a language model can hear in them.", no_args_is_help=True
)
cache = typer.Typer(help="Look at what is computed once and kept, and clear it up.", no_args_is_help=True)
app.add_typer(cache, name="cache")
CacheDir = Annotated[Path, typer.Option(envvar="AUDIOTOK_CACHE", help="Folder of what is computed once.")]
DEFAULT_CACHE = Path("~/.cache/audiotok")
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Of this kind, tokens for example; repeatable.")
]


@contextmanager
def _log_on_screen() -> Iterator[None]:
    """Show what the library logs, where Hydra does not."""
    log, handler = logging.getLogger("audiotok"), logging.StreamHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@app.callback()
def _main() -> None:
    """Prepare what all verbs need."""
    search_current_folder()


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Say what the user can mend in red, without a traceback, and exit with 1."""
    try:
        yield
    except UserError as error:
        _say_in_red(error)
        raise typer.Exit(1) from None


def _say_in_red(error: UserError) -> None:
    _console(stderr=True).print(str(error), style="red")


def _console(stderr: bool = False) -> "Console":
    """Return what prints text as it is: classes and files may have [brackets] and :colons: in them."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
_PROGRAMS = {  # of Hydra, which take its overrides and have a --help of their own
    "train": "Train and score a tagger; takes Hydra overrides, as train.py does (audiotok train --help).",
    "pretrain": "Learn to fill masked tokens, for model.init_from; takes Hydra overrides.",
    "prepare": "Find out which clips a corpus has, and report; takes Hydra overrides.",
    "doctor": "Look for what keeps a run from learning, in two minutes; takes what train takes.",
}


def _add_program(name: str, says: str) -> None:
    @app.command(name, help=says, context_settings=_OVERRIDES, add_help_option=False)
    def program(context: typer.Context) -> None:
        from audiotok import programs

        sys.argv = [f"audiotok {name}", *context.args]
        getattr(programs, name)()


for _name, _says in _PROGRAMS.items():
    _add_program(_name, _says)


@app.command(context_settings=_OVERRIDES)
def repeat(context: typer.Context, run: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Run again what is in a run's folder, in a new one; Hydra overrides of values may follow."""
    from audiotok.programs.repeating import repeat as hydra_repeat

    with _one_sentence():
        hydra_repeat(run, context.args)


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="esc50, fsd50k, audioset-csv (its tables) or audioset (its audio, too).")
    ],
    to: Annotated[Path, typer.Option(help="Folder that it goes into.")],
    mirror: Annotated[
        str | None, typer.Option(envvar="AUDIOTOK_MIRROR", help="Base URL to take the files from instead.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Of audioset: bal_train, unbal_train, eval; may be given several times."),
    ] = None,
) -> None:
    """Fetch a corpus, or what is missing of it, and check it."""
    from audiotok.download.download import download as fetch

    with _one_sentence(), _log_on_screen():
        done = fetch(name, to, mirror, sets)
    console = _console()
    console.print(f"{done.title} is in {done.root}; what came is in {to / 'download.json'}.")
    console.print(done.command)


@app.command()
def workspace(
    project: Annotated[str, typer.Option(help="W&B project.")] = "audiotok",
    entity: Annotated[
        str | None, typer.Option(help="W&B user or team; the account's own without it.")
    ] = None,
) -> None:
    """Make the dashboard of a W&B project: scores, what matters, examples, vocabulary."""
    from audiotok.logger.workspace import save

    with _one_sentence():
        typer.echo(save(project, entity))


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    top: Annotated[int, typer.Option(help="Tags shown for each file.", min=1)] = 5,
) -> None:
    """Print the tags of your own sounds."""
    from audiotok.experiment import restore
    from audiotok.prediction import tag

    console = _console()
    failed = False
    with _one_sentence():
        restored = restore(run)
    for file in files:
        try:
            tags = tag(restored, file)[:top]
        except UserError as error:
            _say_in_red(error)
            failed = True
            continue
        console.print(f"{file}", style="bold")
        for found in tags:
            console.print(f"  {found.probability:6.3f}  {found.sound_class.name}")
    if failed:
        raise typer.Exit(1)


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Runs, or what contains them: a sweep, outputs.")
    ],
    to: Annotated[Path, typer.Option(help="The page.")] = Path("compare.html"),
    metric: Annotated[str, typer.Option(help="What runs are ranked by: a key of metrics.json.")] = "test/mAP",
) -> None:
    """Lay runs beside each other in one page that opens without a server: settings, scores, curves, luck."""
    from audiotok.compare.page import compare as write_page

    with _one_sentence():
        runs = write_page(folders, to, metric)
    lacking = sum(bool(run.notes) for run in runs)
    noted = f"; {lacking} lack something, which the page names" if lacking else ""
    _console().print(f"{len(runs)} runs are compared in {to} ({to.stat().st_size / 1e6:.1f} MB){noted}.")


@cache.command("list")
def list_cache(cache_dir: CacheDir = DEFAULT_CACHE, kind: Kinds = None) -> None:
    """List what is kept: what it is made of, its rows, its size, its last use."""
    from audiotok.inventory import chosen, table_of, take
    from audiotok.store import Store

    with _one_sentence():
        items = chosen(take(Store(cache_dir)), kind or ())
    _console().print(table_of(items, f"Cache {cache_dir}"), soft_wrap=False)


@cache.command("verify")
def verify_cache(cache_dir: CacheDir = DEFAULT_CACHE, kind: Kinds = None) -> None:
    """Read what is kept against its sums; exit with 1 where something does not fit."""
    from audiotok.inventory import chosen, faults_of, take
    from audiotok.store import Store

    with _one_sentence():
        items = chosen(take(Store(cache_dir)), kind or ())
    faults = [f"{item.entry.folder}: {fault}" for item in items for fault in faults_of(item)]
    for fault in faults:
        typer.echo(fault, err=True)
    typer.echo(f"{len(items)} entries, {len(faults)} faults.")
    if faults:
        raise typer.Exit(1)


@cache.command("prune")
def prune_cache(
    cache_dir: CacheDir = DEFAULT_CACHE,
    kind: Kinds = None,
    days: Annotated[float, typer.Option(help="What was not used for so many days.", min=0)] = 0,
    unused: Annotated[bool, typer.Option("--unused", help="What nothing reads any more.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")
    ] = False,
) -> None:
    """Remove what all options hold for, but nothing that is being made or read at this moment."""
    from audiotok.inventory import chosen, table_of, take
    from audiotok.store import Store

    if not (kind or days or unused):
        typer.echo("Without --kind, --days or --unused all would go; say what is to.", err=True)
        raise typer.Exit(2)
    store = Store(cache_dir)
    with _one_sentence():
        items = chosen(take(store), kind or (), days, unused)
    if dry_run:
        _console().print(table_of(items, "Would be removed"), soft_wrap=False)
        return
    removed = [item for item in items if store.remove(item.entry)]
    _console().print(table_of(removed, "Removed"), soft_wrap=False)
    if len(removed) < len(items):
        typer.echo(f"{len(items) - len(removed)} are in use and stay.")
