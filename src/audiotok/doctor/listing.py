"""Checks of the manifest alone: clips, positives, duplicates, sample rates. No clip is opened."""

from dataclasses import asdict

import numpy as np

from audiotok.data.clip import SPLITS
from audiotok.data.corpus.catalogue import USABLE, Catalogue
from audiotok.data.corpus.duplicates import find_duplicates
from audiotok.data.corpus.manifest import Manifest
from audiotok.doctor.finding import Finding, State, graded, worst

# AudioSet's clips disappear from the network: copies made years later lack a tenth to a fifth of them.
FEW_USABLE, HARDLY_USABLE = 0.8, 0.5  # share of the listed clips
# Validation chooses the epoch and the threshold, blindly for classes that it lacks.
SOME_ABSENT, MOST_ABSENT = 0.25, 0.9  # share of the classes of the training clips
# Share of clips recorded at too low a rate: a model may learn the rate of a class instead of its sound.
LOW_RATES = 0.1
# Half of the 95 % interval of a share near 1/2, as of 96 clips: differences between runs are mostly smaller.
WIDE_INTERVAL = 0.1


def clips(manifest: Manifest) -> Finding:
    """Count usable and unusable clips."""
    listed = Catalogue(manifest.table)
    statuses = {split: listed.select(listed.where("split", split)).counts("status") for split in SPLITS}
    shares = [counts.get(USABLE, 0) / max(1, sum(counts.values())) for counts in statuses.values()]
    kinds = listed.counts("status")
    faults = ", ".join(f"{n:,} {kind}" for kind, n in kinds.items() if kind != USABLE)
    state = graded(min(shares), FEW_USABLE, HARDLY_USABLE)
    return Finding(
        "clips",
        state,
        f"{kinds.get(USABLE, 0):,} of {len(listed):,} listed clips are usable"
        + (f": {faults}." if faults else "."),
        _OF_CLIPS if state != "good" else "",
        {"listed": len(listed), "splits": statuses},
    )


_OF_CLIPS = "Read the report of `audiotok prepare`; check data.root, data.limits and the files themselves."


def positives(manifest: Manifest) -> Finding:
    """Find classes that one split has and another lacks."""
    heard = _class_counts(manifest)
    trained = heard["train"] > 0
    absent = {split: trained & (heard[split] == 0) for split in SPLITS}
    untaught = ~trained & ((heard["val"] > 0) | (heard["test"] > 0))
    shares = {split: float(absent[split].sum() / max(1, trained.sum())) for split in SPLITS}
    states = [graded(shares[split] if trained.any() else 1.0, SOME_ABSENT, MOST_ABSENT) for split in SPLITS]
    state = worst(*states, "doubtful" if untaught.any() else "good")
    n_trained, least = int(trained.sum()), int(heard["train"][trained].min()) if trained.any() else 0
    lacking = {split: _names(manifest, absent[split]) for split in SPLITS if split != "train"}
    return Finding(
        "positives",
        state,
        f"{n_trained:,} of {len(trained):,} classes occur in training clips (the rarest in {least:,}); "
        f"{len(lacking['val']):,} of them are missing from validation and {len(lacking['test']):,} from test "
        f"clips. {int(untaught.sum()):,} classes are scored but never trained.",
        "" if state == "good" else _OF_POSITIVES,
        {
            "n_trained": n_trained,
            **{f"absent_from_{split}": names for split, names in lacking.items()},
            "never_trained": _names(manifest, untaught),
        },
    )


_OF_POSITIVES = "Choose another data.validation or data.classes, or check the labels of that split."


def certainty(manifest: Manifest) -> Finding:
    """Say how well scores are known that are measured on so few, or so many, clips.

    The interval is that of a share near 1/2, the widest there is: 1.96 sqrt(p (1 - p) / n).
    """
    usable = _usable(manifest)
    n_clips = {split: int(usable.where("split", split).sum()) for split in SPLITS if split != "train"}
    intervals = {split: 1.96 * 0.5 / max(1, n) ** 0.5 for split, n in n_clips.items()}
    state: State = "doubtful" if max(intervals.values()) >= WIDE_INTERVAL else "good"
    shown = " and ".join(f"±{intervals[s]:.2f} on {n:,} {s} clips" for s, n in n_clips.items())
    return Finding(
        "certainty",
        state,
        f"A score such as top-1 accuracy is known to {shown} (95 %); a smaller difference may be chance.",
        "" if state == "good" else _OF_CERTAINTY,
        {"n_clips": n_clips, "intervals": intervals},
    )


_OF_CERTAINTY = "Add clips, or compare means over several seeds, or over folds (data.test_fold)."


def duplicates(manifest: Manifest) -> Finding:
    """Find clips with the same bytes as a clip of another split, or that overlap with one."""
    found = find_duplicates(_usable(manifest))
    return Finding(
        "duplicates",
        "doubtful" if found else "good",
        "; ".join(map(str, found)) + "."
        if found
        else "No clip has the same bytes as a clip of another split.",
        _OF_DUPLICATES if found else "",
        {"duplicates": [asdict(pair) for pair in found]},
    )


_OF_DUPLICATES = "Keep each sound in one split: the scores of these clips measure memory, not learning."


def rates(manifest: Manifest, sample_rate: int) -> Finding:
    """Compare the sample rates of the recordings with the one that they are resampled to, Hz."""
    usable = _usable(manifest)
    found, counts = np.unique(usable.column("rate"), return_counts=True)
    low = float(counts[found < sample_rate].sum() / max(1, len(usable)))
    shown = ", ".join(
        f"{n:,} at {rate:,} Hz" for rate, n in zip(found.tolist(), counts.tolist(), strict=True)
    )
    state: State = "doubtful" if low >= LOW_RATES or not len(usable) else "good"
    return Finding(
        "rates",
        state,
        f"Usable clips: {shown or 'none'}; {100 * low:.0f} % are below features.sample_rate={sample_rate:,}.",
        "Lower features.sample_rate or f_max: the upper frequencies of these clips are empty."
        if low >= LOW_RATES
        else "",
        {"clips": dict(zip(map(str, found.tolist()), counts.tolist(), strict=True)), "share_below": low},
    )


def _usable(manifest: Manifest) -> Catalogue:
    listed = Catalogue(manifest.table)
    return listed.select(listed.where("status", USABLE))


def _class_counts(manifest: Manifest) -> dict[str, np.ndarray]:
    """Count the usable clips of each class, (C,), in each split."""
    usable = _usable(manifest)
    n_classes = len(manifest.classes)
    return {split: usable.select(usable.where("split", split)).class_counts(n_classes) for split in SPLITS}


def _names(manifest: Manifest, chosen: np.ndarray) -> list[str]:
    return [manifest.classes[i].name for i in np.flatnonzero(chosen)]
