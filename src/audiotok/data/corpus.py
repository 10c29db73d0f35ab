"""A corpus: the usable clips of a data source by split, and what was skipped."""

import csv
import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audiotok.data.clip import SPLITS, Cache, Clip, Listing, SoundClass, Source, Split
from audiotok.data.inspection import inspect
from audiotok.errors import UserError
from audiotok.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A listed clip that is not used, and why: missing, empty, broken, short, long or silent."""

    clip: Clip
    kind: str
    detail: str


@dataclass(frozen=True)
class Corpus:
    """The usable clips of a data source.

    Args:
        classes: What may be heard, in the order of the model's outputs.
        clips: Usable clips of each split.
        skipped: Clips that are listed but cannot be used.
        clip_seconds: What every clip is padded or cropped to, s.
        cache: What is kept of decoded clips: "frames", their mel frames, or "none".
    """

    classes: tuple[SoundClass, ...]
    clips: dict[Split, list[Clip]]
    skipped: list[Skipped]
    clip_seconds: float
    cache: Cache = "none"

    def targets(self, split: Split) -> np.ndarray:
        """Return the labels of a split as bool (clips, C)."""
        targets = np.zeros((len(self.clips[split]), len(self.classes)), dtype=bool)
        for row, clip in enumerate(self.clips[split]):
            targets[row, list(clip.labels)] = True
        return targets

    def chance(self, split: Split) -> float:
        """Return the mAP of a guess: the mean prevalence of the classes that occur in a split."""
        prevalence = self.targets(split).mean(axis=0)
        return float(prevalence[prevalence > 0].mean())

    def summary(self) -> str:
        """Say in one line what there is: clips of each split, padded and cropped ones, skipped ones."""
        usable = [clip for clips in self.clips.values() for clip in clips]
        n_short = sum(clip.seconds < self.clip_seconds - 0.05 for clip in usable)
        n_long = sum(clip.seconds > self.clip_seconds + 0.05 for clip in usable)
        counts = Counter(skipped.kind for skipped in self.skipped)
        kinds = ", ".join(f"{n} {kind}" for kind, n in counts.most_common()) or "none"
        splits = ", ".join(f"{len(self.clips[split]):,} {split}" for split in SPLITS)
        return (
            f"{splits} clips of {len(self.classes)} classes; {n_short} shorter than "
            f"{self.clip_seconds:g} s are padded, {n_long} longer are cropped; "
            f"skipped {len(self.skipped)}: {kinds}."
        )

    def write_skipped(self, path: Path) -> None:
        """Write `id,path,reason` of every skipped clip."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "path", "reason"])
            for skipped in self.skipped:
                reason = f"{skipped.kind}: {skipped.detail}" if skipped.detail else skipped.kind
                writer.writerow([skipped.clip.id, skipped.clip.location or "", reason])


def open_corpus(source: Source, store: Store, skipped_csv: Path | None = None) -> Corpus:
    """List a source's clips, inspect their files and keep the usable ones.

    Args:
        source: An option of the config group `data`.
        store: Where inspections are kept.
        skipped_csv: Where skipped clips are listed, also where no clip is left; None for nowhere.

    Raises:
        UserError: The metadata is broken, or a split has no usable clip.
    """
    listing = source.read()
    conditions = inspect([clip.location for clip in listing.clips], store)
    clips: dict[Split, list[Clip]] = {split: [] for split in SPLITS}
    skipped = []
    for clip, condition in zip(listing.clips, conditions, strict=True):
        kind, detail = condition.reason_to_skip(source.limits)
        if kind:
            skipped.append(Skipped(clip, kind, detail))
        else:
            usable = replace(clip, seconds=condition.seconds, digest=condition.digest)
            clips[clip.split].append(usable)
    corpus = Corpus(listing.classes, clips, skipped, source.clip_seconds, source.cache)
    log.info("Found %s", corpus.summary())
    if skipped_csv is not None:
        corpus.write_skipped(skipped_csv)
    _require_clips(corpus, listing)
    return corpus


def _require_clips(corpus: Corpus, listing: Listing) -> None:
    if len(corpus.classes) < 2:
        raise UserError(
            f"The data has {'1 class' if corpus.classes else 'no classes'}; tagging needs 2 or more, "
            "so label what is not it, too."
        )
    for split in SPLITS:
        if corpus.clips[split]:
            _require_positives(corpus, split)
            continue
        n_listed = sum(clip.split == split for clip in listing.clips)
        if not n_listed:
            advice = "choose another data.validation" if split == "val" else "check the metadata's sets"
            raise UserError(f"The {split} split has no clips: none is listed for it; {advice}.")
        example = next(skipped for skipped in corpus.skipped if skipped.clip.split == split)
        raise UserError(
            f"The {split} split has no usable clip: all {n_listed:,} that are listed for it are skipped, "
            f"for example {example.clip.id} ({example.kind} {example.detail or example.clip.location}); "
            "check that the audio lies where the data option looks for it."
        )


def _require_positives(corpus: Corpus, split: Split) -> None:
    if not corpus.targets(split).any():
        advice = "another data.validation" if split == "val" else "check its labels"
        raise UserError(
            f"data.classes leaves {len(corpus.classes)} classes, and none of them occurs in the usable clips "
            f"of the {split} split; choose other classes, or {advice}."
        )
