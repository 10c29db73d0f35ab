"""What the tables of a corpus and its files disagree on, and what a run does not use of it, in sentences."""

from typing import Any

import pyarrow.compute as pc

from audiotok.data.clip import Tally
from audiotok.data.corpus.catalogue import Catalogue

_PHRASES = {
    "listed_twice": "rows repeat an id that is already listed; the first row counts",
    "found_twice": (
        "clips have several files; flac is preferred to wav, ogg, mp3 and opus, an empty file is taken last"
    ),
    "not_listed": "files are not listed",
    "beyond_full_scale": "usable clips are louder than full scale; scale their samples to -1 .. 1",
    "cut_short": "usable stretches end with their recordings, before their listed ends",
    "unknown_labels": "labels are not in the class table and are left out",
    "not_audio": "files are not audio",
    "outside": "audio files lie in no folder of a class",
}


def cut_short(usable: Catalogue) -> Tally:
    """Count the usable stretches that end after their recordings, and show where some are cut."""
    table = usable.table().select(["id", "detail"])
    table = table.filter(pc.not_equal(table["detail"], ""))
    some = table.slice(0, 3).to_pylist()
    return Tally(len(table), [f"{row['id']}: {row['detail']}" for row in some])


def sentences(findings: dict[str, dict[str, Any]]) -> list[str]:
    """Return a sentence with examples for each kind of finding.

    Args:
        findings: `Findings` as plain JSON.
    """
    return [
        f"{findings[name]['n']:,} {phrase} (for example {', '.join(findings[name]['examples'])})."
        for name, phrase in _PHRASES.items()
        if findings[name]["n"]
    ]


def unused(findings: dict[str, dict[str, Any]], n_classes: int, training: Catalogue) -> str:
    """Return one sentence on what is dropped without being a skipped clip; "" if nothing is.

    Args:
        findings: `Findings` as plain JSON.
        n_classes: C.
        training: The usable training clips.
    """
    counts = training.class_counts(n_classes)
    n_labelled = len(set(training.label_rows(range(len(training)))[0].tolist()))
    found = [
        (findings["listed_twice"]["n"], "rows that repeat an id"),
        (findings["found_twice"]["n"], "further files of a clip"),
        (findings["not_listed"]["n"], "files that are not listed"),
        (findings["unknown_labels"]["n"], "labels that are not in the class table"),
        (findings["not_audio"]["n"], "files that are not audio"),
        (findings["outside"]["n"], "audio files in no folder of a class"),
        (len(training) - n_labelled, "training clips without a label"),
        (int((counts == 0).sum()), f"of {n_classes:,} classes without a training clip"),
    ]
    return ", ".join(f"{n:,} {phrase}" for n, phrase in found if n)
