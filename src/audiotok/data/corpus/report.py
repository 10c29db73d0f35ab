"""The report of `audiotok prepare` on a corpus: the clips that were found, against those that are listed."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from audiotok.data.clip import SPLITS, Split, Tally
from audiotok.data.corpus import coverage, disagreements
from audiotok.data.corpus.catalogue import USABLE, Catalogue
from audiotok.data.corpus.duplicates import Duplicates, find_duplicates
from audiotok.data.corpus.manifest import Manifest

_SHOWN = 10  # classes on screen; the file has all
_LOUD = 2.0  # of full scale; decoders of compressed sound go a little beyond 1


def report(manifest: Manifest, min_positives: int) -> dict[str, Any]:
    """Return the report as plain JSON; clips that are not usable count only as listed."""
    listed = Catalogue(manifest.table)
    usable = listed.select(listed.where("status", USABLE))
    splits = {split: listed.select(listed.where("split", split)) for split in SPLITS}
    usable_of = {split: usable.select(usable.where("split", split)) for split in SPLITS}
    return {
        "manifest": str(manifest.folder),
        "n_classes": len(manifest.classes),
        "n_listed": len(listed),
        "n_found": len(listed) - int(listed.where("status", "missing").sum()),
        "splits": {split: _split(clips) for split, clips in splits.items()},
        "rates": _counts(usable, "rate"),
        "channels": _counts(usable, "channels"),
        **asdict(manifest.findings),
        "beyond_full_scale": asdict(_beyond_full_scale(usable)),
        "cut_short": asdict(disagreements.cut_short(usable)),
        "duplicates": [asdict(duplicates) for duplicates in find_duplicates(usable)],
        "min_positives": min_positives,
        "few_positives": _few_positives(manifest, usable_of, min_positives),
        "coverage": coverage.sentences(manifest.classes, usable_of),
    }


def _split(clips: Catalogue) -> dict[str, Any]:
    usable = clips.select(clips.where("status", USABLE))
    return {
        "listed": len(clips),
        "statuses": clips.counts("status"),
        "hours": round(float(usable.seconds.sum()) / 3600, 3),
    }


def _beyond_full_scale(usable: Catalogue) -> Tally:
    """Count the clips whose samples are not scaled to 1, and show the levels of some."""
    peaks = usable.column("peak")
    places = np.flatnonzero(peaks > _LOUD)
    tally = Tally(len(places))
    for id_, peak in zip(usable.ids(places[:3]), peaks[places[:3]], strict=True):
        tally.examples.append(f"{id_} at {20 * np.log10(peak):+.0f} dB")
    return tally


def _counts(clips: Catalogue, name: str) -> dict[str, int]:
    """Count the values of a column, the most frequent first."""
    return {str(value): n for value, n in Counter(clips.column(name).tolist()).most_common()}


def _few_positives(manifest: Manifest, usable: dict[Split, Catalogue], least: int) -> dict[str, Any]:
    """Return the classes of each split with too few usable clips: id, name, number of clips, fewest first."""
    few: dict[str, Any] = {}
    for split, clips in usable.items():
        counts = clips.class_counts(len(manifest.classes)).tolist()
        rows = zip(manifest.classes, counts, strict=True)
        few[split] = sorted(([c.id, c.name, n] for c, n in rows if n < least), key=lambda row: row[2])
    return few


# ---- on screen ----


def show(found: dict[str, Any]) -> None:
    """Print a report."""
    console = Console(markup=False, emoji=False)  # ids and names may contain brackets and colons
    console.print(_clips_table(found))
    console.print(_few_table(found))
    for line in sentences(found):
        console.print(line, highlight=False, soft_wrap=True)


def sentences(found: dict[str, Any]) -> list[str]:
    """Return what the tables do not show, a sentence each."""
    rates, channels = _listed(found["rates"], "at {} Hz"), _listed(found["channels"], "with {} channels")
    lines = [
        f"{found['n_found']:,} of {found['n_listed']:,} listed clips were found.",
        f"Usable clips: {rates}; {channels}.",
    ]
    lines += disagreements.sentences(found) + found["coverage"]
    return lines + [f"{Duplicates(**duplicates)}." for duplicates in found["duplicates"]]


def _listed(counts: dict[str, int], phrase: str) -> str:
    return ", ".join(f"{n:,} {phrase.format(value)}" for value, n in counts.items()) or "none"


def _clips_table(found: dict[str, Any]) -> Table:
    splits = found["splits"]
    statuses = list(dict.fromkeys(status for split in splits.values() for status in split["statuses"]))
    statuses.sort(key=lambda status: status != USABLE)
    table = Table(title=f"Clips of {found['n_classes']:,} classes")
    table.add_column("split")
    for name in ("listed", *statuses, "hours"):
        table.add_column(name, justify="right")
    for name, split in splits.items():
        counts = [f"{split['statuses'].get(status, 0):,}" for status in statuses]
        table.add_row(name, f"{split['listed']:,}", *counts, f"{split['hours']:,.1f}")
    return table


def _few_table(found: dict[str, Any]) -> Table:
    table = Table(title=f"Classes with fewer than {found['min_positives']} usable clips")
    for name in ("split", "classes", "of these without any"):
        table.add_column(name, justify="left" if name == "split" else "right")
    table.add_column("the others, fewest first", overflow="fold")
    for split, rows in found["few_positives"].items():
        some = [f"{name} ({n})" for _, name, n in rows if n]
        more = f" and {len(some) - _SHOWN:,} more" if len(some) > _SHOWN else ""
        absent = sum(not n for _, _, n in rows)
        table.add_row(split, f"{len(rows):,}", f"{absent:,}", ", ".join(some[:_SHOWN]) + more)
    return table
