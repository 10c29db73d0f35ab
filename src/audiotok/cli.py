"""The command line: `audiotok COMMAND`.

Commands that run an experiment take Hydra overrides; the others take options. Heavy imports stand inside
the commands, so that `--help` is instant.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from audiotok.run.stopping import Stopped, handling_signals, install_handlers

if Path(sys.argv[0]).stem == "audiotok":  # the command, and not a program that imports this module
    install_handlers()  # the imports below take a moment too

import typer

from audiotok import __version__
from audiotok.errors import UserError
from audiotok.run.plugins import search_current_folder
from audiotok.run.streams import keep_streams

if TYPE_CHECKING:
    from rich.console import Console


class _Command(typer.Typer):
    """The command, which ends in order when a signal tells it to."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        keep_streams()
        with handling_signals():
            return super().__call__(*args, **kwargs)


app = _Command(
    help="Turn sound into words and find out what a language model can hear in them.", no_args_is_help=True
)
cache = typer.Typer(help="List, verify and remove cached results.", no_args_is_help=True)
app.add_typer(cache, name="cache")
CacheDir = Annotated[Path, typer.Option(envvar="AUDIOTOK_CACHE", help="The folder of cached results.")]
DEFAULT_CACHE = Path("~/.cache/audiotok")
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="Only entries of this kind, for example tokens. May be repeated."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        help="A module of your own whose classes the run's configuration may name. May be repeated."
    ),
]


@contextmanager
def _log_on_screen() -> Iterator[None]:
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


@contextmanager
def _one_sentence(after_a_signal: str = "") -> Iterator[None]:
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
    _console(stderr=True).print(str(error), style="red")


def _tell_of_changes(run: Path) -> None:
    """Warn that a run's configuration is not the one that the run has written; it is used as it is."""
    from audiotok.run.folder import RunFolder

    folder = RunFolder(run)
    if folder.config_is_changed:
        _console(stderr=True).print(
            f"{folder.config} was changed after the run had written it; it is used as it is.", style="yellow"
        )


def _console(stderr: bool = False) -> "Console":
    """Return a console that prints text as it is: names may contain [brackets] and :colons:."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
_PROGRAMS = {  # these take Hydra overrides and have a --help of their own
    "train": "Train and score a tagger. `audiotok train --help` lists its options.",
    "pretrain": "Pretrain a model without labels, on masked tokens.",
    "prepare": "Check the clips of a corpus before training, and report on them.",
    "doctor": "Look for problems that would keep a run from learning.",
    "evaluate": "Score a finished run on any data: audiotok evaluate RUN data=OPTION data.root=PATH.",
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
def repeat(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    trust: Trust = None,
) -> None:
    """Repeat a run from the configuration in its folder. Overrides of single keys may follow."""
    from audiotok.programs.repeating import repeat as hydra_repeat

    with _one_sentence():
        _tell_of_changes(run)
        hydra_repeat(run, context.args, trust or ())


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

    with _one_sentence("; the same command downloads what is missing"), _log_on_screen():
        done = fetch(name, to, mirror, sets)
    console = _console()
    console.print(f"{done.title} is in {done.root}; {to / 'download.json'} lists what was downloaded.")
    console.print(done.command)


@app.command()
def workspace(
    project: Annotated[str, typer.Option(help="The W&B project.")] = "audiotok",
    entity: Annotated[str | None, typer.Option(help="The W&B user or team; by default your own.")] = None,
) -> None:
    """Create a W&B dashboard: scores, settings that matter, examples, vocabulary."""
    from audiotok.logger.workspace import save

    with _one_sentence():
        typer.echo(save(project, entity))


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or one of its checkpoints.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Audio files, and folders of them.")
    ],
    window: Annotated[
        float | None, typer.Option(help="The length of a window, s; by default that of the run's clips.")
    ] = None,
    overlap: Annotated[float, typer.Option(help="What neighbouring windows share, s.")] = 0.0,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The probability above which a class is heard; by default each class has its own, from "
            "validation.",
            min=0,
            max=1,
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="The number of classes shown for each file.", min=1)] = 5,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Write detections to a file: .csv, .jsonl, .parquet, .txt (labels for Audacity) or "
            ".selections.txt (for Raven); or to a folder, a file for each sound. A command that was stopped "
            "goes on."
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="csv, jsonl, parquet, audacity or raven, whatever the ending of --to."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --to, and begin anew.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw a spectrogram over what is heard when: a picture, or a folder of them."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = "auto",
    trust: Trust = None,
) -> None:
    """Tag your own sounds with a trained model: what is heard, and when."""
    from audiotok.prediction.program import Options
    from audiotok.prediction.program import predict as tag

    options = Options(
        window, overlap, threshold, top, to, format_, overwrite, plot, device, tuple(trust or ())
    )
    with _one_sentence("; the same command goes on with the next file" if to else ""):
        _tell_of_changes(run)
        is_complete = tag(run, files, options, _console(), _console(stderr=True))
    if not is_complete:
        raise typer.Exit(1)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or a checkpoint in it.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write, new or empty.")],
    to: Annotated[
        str, typer.Option(help="hf: a folder for transformers and the Hugging Face Hub; onnx: an ONNX model.")
    ],
    push: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME", help="Upload it to the Hugging Face Hub; a new repository is private."
        ),
    ] = None,
    trust: Trust = None,
) -> None:
    """Write a trained model for use without audiotok."""
    from audiotok.export.program import export as write

    with _one_sentence():
        _tell_of_changes(run)
        said = write(run, directory, to, push, trust or ())
    _console().print(said)


@app.command()
def demo(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or one of its checkpoints.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 for everyone who can reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen at; 0 for the first free one.", min=0, max=65535)
    ] = 7860,
    max_mb: Annotated[int, typer.Option(help="The largest sound that is taken, MB.", min=1)] = 50,
    trust: Trust = None,
) -> None:
    """Try a trained model in the browser: drop or record sounds."""
    from audiotok.demo import open_demo

    with _one_sentence():
        _tell_of_changes(run)
        page = open_demo(run, trust or ())
        try:
            typer.echo(f"{page.start(host, port, max_mb)} shows {run}; Ctrl-C ends it.")
            page.wait()
        finally:
            page.close()


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

    with _one_sentence():
        runs = write_page(folders, to, metric)
    lacking = sum(bool(run.notes) for run in runs)
    noted = f"; {lacking} of them are incomplete, as the page says" if lacking else ""
    _console().print(f"Compared {len(runs)} runs in {to} ({to.stat().st_size / 1e6:.1f} MB){noted}.")


@cache.command("list")
def list_cache(cache_dir: CacheDir = DEFAULT_CACHE, kind: Kinds = None) -> None:
    """List the entries of the cache: their contents, rows, sizes and last use."""
    from audiotok.inventory import chosen, table_of, take
    from audiotok.store import Store

    with _one_sentence():
        items = chosen(take(Store(cache_dir)), kind or ())
    _console().print(table_of(items, f"Cache {cache_dir}"), soft_wrap=False)


@cache.command("verify")
def verify_cache(cache_dir: CacheDir = DEFAULT_CACHE, kind: Kinds = None) -> None:
    """Verify the entries of the cache against their checksums; exit with 1 if one is damaged."""
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
    days: Annotated[float, typer.Option(help="Only entries unused for this many days.", min=0)] = 0,
    unused: Annotated[
        bool, typer.Option("--unused", help="Only entries that nothing reads any more.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove the entries that match every option given; entries in use stay."""
    from audiotok.inventory import chosen, table_of, take
    from audiotok.kinds import KINDS
    from audiotok.store import Store

    if not (kind or days or unused):
        typer.echo("This would remove everything; narrow it with --kind, --days or --unused.", err=True)
        raise typer.Exit(2)
    store = Store(cache_dir)
    with _one_sentence():
        items = chosen(take(store), kind or KINDS, days, unused)  # a folder of another kind is not ours
    if dry_run:
        _console().print(table_of(items, "Would be removed"), soft_wrap=False)
        return
    with _one_sentence():
        removed = [item for item in items if store.remove(item.entry)]
        for name in {item.entry.kind for item in items}.union(kind or KINDS):
            store.tidy(name)
    _console().print(table_of(removed, "Removed"), soft_wrap=False)
    if len(removed) < len(items):
        typer.echo(f"{len(items) - len(removed)} are in use and were not removed.")
