"""Verbs on the cache of computed results: cache list, verify, prune."""

from pathlib import Path
from typing import Annotated

import typer

from audiotok.cli.application import app
from audiotok.cli.screen import console, one_sentence

cache = typer.Typer(help="List, verify and remove cached results.", no_args_is_help=True)
app.add_typer(cache, name="cache")
CacheDir = Annotated[Path, typer.Option(envvar="AUDIOTOK_CACHE", help="The folder of cached results.")]
DEFAULT_CACHE = Path("~/.cache/audiotok")
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="Only entries of this kind, for example tokens. May be repeated."),
]


@cache.command("list")
def list_cache(cache_dir: CacheDir = DEFAULT_CACHE, kind: Kinds = None) -> None:
    """List the entries of the cache: their contents, rows, sizes and last use."""
    from audiotok.inventory import chosen, table_of, take
    from audiotok.store import Store

    with one_sentence():
        items = chosen(take(Store(cache_dir)), kind or ())
    console().print(table_of(items, f"Cache {cache_dir}"), soft_wrap=False)


@cache.command("verify")
def verify_cache(cache_dir: CacheDir = DEFAULT_CACHE, kind: Kinds = None) -> None:
    """Verify the entries of the cache against their checksums; exit with 1 if one is damaged."""
    from audiotok.inventory import chosen, faults_of, take
    from audiotok.store import Store

    with one_sentence():
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
    with one_sentence():
        items = chosen(take(store), kind or KINDS, days, unused)  # a folder of another kind is not ours
    if dry_run:
        console().print(table_of(items, "Would be removed"), soft_wrap=False)
        return
    with one_sentence():
        removed = [item for item in items if store.remove(item.entry)]
        for name in {item.entry.kind for item in items}.union(kind or KINDS):
            store.tidy(name)
    console().print(table_of(removed, "Removed"), soft_wrap=False)
    if len(removed) < len(items):
        typer.echo(f"{len(items) - len(removed)} are in use and were not removed.")
