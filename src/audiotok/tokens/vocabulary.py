"""Fitted vocabularies on disk: centroids are fitted once on the training clips, and saved by content.

The folder of a vocabulary holds `centroids.npy` (Q, K, dimensions of a codebook), one `.npy` for each further
array of the clustering and of the features (`mean.npy` and `components.npy` of a projection),
`vocabulary.json`, which describes them, and `checksums.json`, which is checked when they are read; the
vocabularies of earlier versions have none. No pickles are written or read.
"""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from audiotok.disk.arrays import read_array, write_array
from audiotok.disk.checksum import CHECKSUMS, check_checksums, write_checksums
from audiotok.disk.keys import content_key, first_difference
from audiotok.disk.parsing import read_json
from audiotok.disk.writing import replacing_folder, write_json
from audiotok.errors import UserError
from audiotok.kinds import CENTROIDS
from audiotok.store import StaleError, Store
from audiotok.tokens.measures import perplexities, token_counts, token_use, variance_kept
from audiotok.tokens.sample import ClipReader, sample_size
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)
SIDECAR = CENTROIDS.sidecar
REPORTED = {  # about the frames that the codebooks were fitted to
    "n_clips",
    "n_frames",
    "variance_kept",  # 1 if decoded tokens equal the frames, 0 if they are no better than the mean frame
    "centroids_used",  # share over all codebooks
    "dead_centroids",  # number in each codebook that no frame is assigned to
    "perplexity",  # mean over the codebooks
    "perplexity_per_codebook",
    "seconds",  # of sampling and fitting
}


class TrainingClips(ClipReader, Protocol):
    """The training clips of a corpus."""

    def fingerprint(self) -> str:
        """Return digits that identify the clips and their bytes."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """A fitted tokenizer, its key, and a report of the fitting.

    Args:
        tokenizer: Fitted.
        key: Content key of the centroids.
        report: Figures of the fitting, by the names in `REPORTED`.
    """

    tokenizer: Tokenizer
    key: str
    report: dict[str, Any]

    @property
    def size(self) -> int:
        """Number of different tokens in all codebooks, Q x K."""
        return self.tokenizer.codebooks.n_codebooks * self.tokenizer.codebooks.n_clusters

    def save(self, folder: Path) -> None:
        """Write the vocabulary to a folder, from which `load_vocabulary` reads it.

        Raises:
            OSError: The folder cannot be written, or the disk is full.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self.tokenizer.arrays().items():
            write_array(folder / f"{name}.npy", array)
        sidecar = {
            "key": self.key,
            "shapes": {name: list(array.shape) for name, array in self.tokenizer.arrays().items()},
            "checksum": self.tokenizer.checksum(),
            "settings": self.tokenizer.settings,
            "report": self.report,
        }
        write_json(folder / SIDECAR, sidecar)
        write_checksums(folder)


def fit_or_load(
    tokenizer: Tokenizer,
    clips: TrainingClips,
    store: Store,
    before: Path | None = None,
    *,
    of_any_clips: bool = False,
) -> Vocabulary:
    """Fit a tokenizer to training clips, or load the result of an earlier fit.

    Args:
        tokenizer: Not fitted; it takes over what is fitted or loaded.
        clips: Read only if there is nothing to load.
        store: Where vocabularies are cached, by settings and clips.
        before: Vocabulary of the run that this one continues, which is used if it has the same key: the same
            settings and clips, fitted on another machine, give other centroids.
        of_any_clips: Use the vocabulary of that run whatever it was fitted to, as long as its settings are
            these.

    Raises:
        UserError: There are fewer frames than clusters, or the cache cannot be written.
    """
    key = vocabulary_key(tokenizer, clips)
    reused = True

    def make(folder: Path) -> None:
        nonlocal reused
        reused = False
        report = _fit(tokenizer, clips)
        Vocabulary(tokenizer, key, report).save(folder)

    def load(folder: Path) -> Vocabulary:
        return load_vocabulary(tokenizer, folder, key)

    if before is not None:
        with suppress(StaleError):
            vocabulary = load_vocabulary(tokenizer, before) if of_any_clips else load(before)
            log.info("Took over %s", _summary(vocabulary))
            return vocabulary
    vocabulary = store.load_or_make(CENTROIDS.name, key, load, make)
    log.info("%s %s", "Reused" if reused else "Fitted", _summary(vocabulary))
    return vocabulary


def _summary(vocabulary: Vocabulary) -> str:
    codebooks, report = vocabulary.tokenizer.codebooks, vocabulary.report
    return (
        f"{codebooks.n_codebooks} x {codebooks.n_clusters} centroids {vocabulary.key}: "
        f"{report['n_frames']:,} frames of {report['n_clips']:,} clips, "
        f"{100 * report['variance_kept']:.0f} % of variance kept, "
        f"{100 * report['centroids_used']:.0f} % of centroids used ({sum(report['dead_centroids'])} dead), "
        f"mean perplexity {report['perplexity']:.0f}."
    )


def vocabulary_key(tokenizer: Tokenizer, clips: TrainingClips) -> str:
    """Return the content key of centroids: of the settings, the length of clips, and the training clips."""
    n_clips, n_frames, _ = sample_size(
        tokenizer.features, tokenizer.codebooks, tokenizer.sampling, len(clips), clips.clip_seconds
    )
    sizes = [n_clips, n_frames, clips.clip_seconds]
    return content_key([CENTROIDS.version, tokenizer.settings, *sizes, clips.fingerprint()])


def load_vocabulary(tokenizer: Tokenizer, folder: Path, key: str | None = None) -> Vocabulary:
    """Load a vocabulary into a tokenizer of the same settings.

    Raises:
        StaleError: A file is missing or corrupt, or the sidecar does not match the settings or the arrays.
    """
    try:
        if (folder / CHECKSUMS).exists():  # otherwise an earlier version wrote it
            check_checksums(folder)
        sidecar = read_json(folder / SIDECAR)
        arrays = {name: read_array(folder / f"{name}.npy") for name in sidecar["shapes"]}
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        settings = {**sidecar["settings"], "key": sidecar["key"], **sidecar["shapes"]}
        report, checksum = sidecar["report"], sidecar["checksum"]
        missing = (tokenizer.arrays().keys() - arrays.keys()) | (REPORTED - report.keys())
        if missing:
            raise KeyError(*sorted(missing))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StaleError(f"the centroids cannot be read ({error!r})") from error
    expected = {**tokenizer.settings, "key": key or sidecar["key"], **shapes}
    difference = first_difference(expected, settings)
    if difference:
        raise StaleError(f"{SIDECAR} does not match: {difference}")
    try:
        tokenizer.load_arrays(arrays)
    except (ValueError, TypeError, RuntimeError) as error:
        raise StaleError(f"the centroids have another type or shape ({error})") from error
    if tokenizer.checksum() != checksum:
        raise StaleError(f"the centroids do not match the checksum in {SIDECAR}")
    return Vocabulary(tokenizer, sidecar["key"], report)


def load_run_vocabulary(tokenizer: Tokenizer, folder: Path) -> Vocabulary:
    """Load the vocabulary that a run was trained with.

    Raises:
        UserError: It is missing, corrupt, or of other settings.
    """
    try:
        return load_vocabulary(tokenizer, folder)
    except StaleError as reason:
        raise UserError(
            f"{folder}: {reason}; copy it from where the run was made, or train again."
        ) from reason


def copy_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Replace a folder by a vocabulary in one step, so that a run carries what it was trained with."""
    with replacing_folder(folder) as temporary:
        vocabulary.save(temporary)


def _fit(tokenizer: Tokenizer, clips: TrainingClips) -> dict[str, object]:
    start = time.perf_counter()
    n_clips, frames = tokenizer.fit_to(clips)
    return {
        "n_clips": n_clips,
        "n_frames": len(frames),
        **_diagnose(tokenizer, torch.from_numpy(frames)),
        "seconds": round(time.perf_counter() - start, 2),
    }


def _diagnose(tokenizer: Tokenizer, frames: Tensor) -> dict[str, object]:
    """Measure the codebooks on the frames (N, D) that they were fitted to."""
    codebooks = tokenizer.codebooks
    tokens = codebooks.encode_sample(frames)  # (N, Q)
    counts = token_counts(tokens, codebooks.n_clusters)
    used, perplexity = token_use(counts)
    return {
        "variance_kept": round(variance_kept(frames, tokens, codebooks), 4),
        "centroids_used": round(used, 4),
        "dead_centroids": (counts == 0).sum(1).tolist(),
        "perplexity": round(perplexity, 2),
        "perplexity_per_codebook": [round(value, 2) for value in perplexities(counts).tolist()],
    }
