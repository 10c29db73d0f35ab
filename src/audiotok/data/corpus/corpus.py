"""A corpus: the usable clips of a data source by split, and the clips that are skipped."""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from audiotok.data.clip import SPLITS, Location, SoundClass, Split
from audiotok.data.corpus import coverage
from audiotok.data.corpus.catalogue import OF_A_PLACE, USABLE, Catalogue
from audiotok.data.corpus.disagreements import cut_short, unused
from audiotok.data.corpus.manifest import Manifest, open_manifest
from audiotok.data.source import Cache, Source
from audiotok.disk.writing import write_rows
from audiotok.errors import UserError
from audiotok.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The usable clips of a data source.

    Args:
        classes: The classes, in the order of the model's outputs.
        clips: Usable clips of each split.
        clip_seconds: Every clip is padded or cropped to this length, s.
        cache: What is cached of decoded clips: "tokens", "frames" or "none".
        skipped: Clips that are listed but cannot be used.
    """

    classes: tuple[SoundClass, ...]
    clips: dict[Split, Catalogue]
    clip_seconds: float
    cache: Cache = "none"
    skipped: Catalogue = field(default_factory=lambda: Catalogue.of(()))

    def class_counts(self, split: Split) -> np.ndarray:
        """Count the clips of each class in a split, (C,)."""
        return self.clips[split].class_counts(len(self.classes))

    def chance(self, split: Split) -> float:
        """Return the mAP of random scores: the mean prevalence of the classes that occur in a split."""
        counts = self.class_counts(split)
        return float(counts[counts > 0].mean() / len(self.clips[split]))

    @property
    def single_labels(self) -> bool:
        """Whether there are several classes and every clip has exactly one of them."""
        counted = np.concatenate([clips.label_counts for clips in self.clips.values()])
        return len(self.classes) > 1 and bool((counted == 1).all())

    def summary(self) -> str:
        """Return one line with the numbers of clips: of each split, padded, cropped and skipped."""
        seconds = np.concatenate([clips.seconds for clips in self.clips.values()])
        n_short = (seconds < self.clip_seconds - 0.05).sum()
        n_long = (seconds > self.clip_seconds + 0.05).sum()
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.skipped.counts("status").items())
        skipped = f"{len(self.skipped):,} skipped ({kinds})" if kinds else "none skipped"
        splits = ", ".join(f"{len(self.clips[split]):,} {split}" for split in SPLITS)
        return (
            f"{splits} clips of {len(self.classes)} classes; {n_short:,} shorter than "
            f"{self.clip_seconds:g} s are padded, {n_long:,} longer are cropped; {skipped}."
        )

    def write_skipped(self, path: Path) -> None:
        """Write the id, path and reason of every skipped clip to a CSV."""
        columns = self.skipped.table().select(["id", *OF_A_PLACE, "status", "detail"])
        rows = [["id", "path", "reason"]]
        for id_, layout, *place, status, detail in zip(*columns.to_pydict().values(), strict=True):
            location = "" if layout is None else str(Location(layout, *place))
            rows.append([id_, location, f"{status}: {detail}" if detail else status])
        write_rows(path, rows)


def open_corpus(source: Source, store: Store, skipped_csv: Path | None = None) -> Corpus:
    """Open the usable clips of a source, inspecting first those that have not been inspected.

    Args:
        source: An option of the config group `data`.
        store: Where the manifest is kept.
        skipped_csv: CSV that lists the skipped clips, written even if no clip is usable; None for no file.

    Raises:
        UserError: The metadata is broken, or a split has no usable clip.
    """
    manifest = open_manifest(source, store)
    corpus = _corpus(manifest, source)
    _announce(corpus, manifest, skipped_csv)
    _require_clips(corpus)
    return corpus


def corpus_of(manifest: Manifest, source: Source) -> Corpus:
    """Return the usable clips of a manifest that has been reported on.

    Args:
        manifest: The manifest of the source.
        source: States the length of clips and what is cached of them.

    Raises:
        UserError: A split has no usable clip.
    """
    corpus = _corpus(manifest, source)
    _require_clips(corpus)
    return corpus


def _corpus(manifest: Manifest, source: Source) -> Corpus:
    listed = Catalogue(manifest.table)
    is_usable = listed.where("status", USABLE)
    return Corpus(
        manifest.classes,
        {split: listed.select(is_usable & listed.where("split", split)) for split in SPLITS},
        source.clip_seconds,
        source.cache,
        listed.select(~is_usable),
    )


def _announce(corpus: Corpus, manifest: Manifest, skipped_csv: Path | None) -> None:
    """Log what was found, what is missing, and what is skipped."""
    log.info("Found %s", corpus.summary())
    left = unused(asdict(manifest.findings), len(corpus.classes), corpus.clips["train"])
    if left:
        log.info("Not used or incomplete: %s; audiotok prepare shows examples.", left)
    listed = Catalogue(manifest.table)
    cut = cut_short(listed.select(listed.where("status", USABLE)))
    if cut.n:
        log.info("%s stretches end with their recordings (%s).", f"{cut.n:,}", cut.examples[0])
    for sentence in coverage.sentences(corpus.classes, corpus.clips):
        log.warning("%s", sentence)
    if skipped_csv is not None:
        corpus.write_skipped(skipped_csv)
        if len(corpus.skipped):
            log.info("The skipped clips and the reasons are listed in %s.", skipped_csv)


def _require_clips(corpus: Corpus) -> None:
    if len(corpus.classes) < 2:
        raise UserError(
            f"The data has {'1 class' if corpus.classes else 'no classes'}; tagging needs 2 or more, "
            'so add clips of another class, for example "other".'
        )
    for split in SPLITS:
        if len(corpus.clips[split]):
            _require_positives(corpus, split)
            continue
        skipped = corpus.skipped.select(corpus.skipped.where("split", split))
        if not len(skipped):
            advice = (
                "raise data.validation.fraction, or choose another data.validation"
                if split == "val"
                else "check the metadata's sets"
            )
            raise UserError(f"The {split} split has no clips: the metadata lists none; {advice}.")
        example = skipped.table().slice(0, 1).to_pylist()[0]
        reason = f"{example['status']} {example['detail'] or skipped[0].location or ''}".strip()
        raise UserError(
            f"The {split} split has no usable clip: all {len(skipped):,} listed clips are skipped, "
            f"for example {example['id']} ({reason}); "
            "check that the audio is where the data option looks for it."
        )


def _require_positives(corpus: Corpus, split: Split) -> None:
    if not corpus.class_counts(split).any():
        advice = "another data.validation" if split == "val" else "check its labels"
        raise UserError(
            f"data.classes leaves {len(corpus.classes)} classes, but none of them occurs in the usable clips "
            f"of the {split} split; choose other classes, or {advice}."
        )
