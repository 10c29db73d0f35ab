"""The fitted tokenizer of a corpus: centroids are fitted once on training clips, and kept by content.

A vocabulary's folder holds `centroids.npy` (Q, K, dimensions of a codebook) and one `.npy` for each further
array of the clustering, `mean.npy` and `components.npy` where the features are projected, and
`vocabulary.json`, which says in plain words what they are made of. There is no pickle in it.
"""

import json
import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import PART
from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.kinds import CENTROIDS
from audiotok.loader.cache import ClipCache
from audiotok.store import StaleError, Store, content_key, first_difference
from audiotok.tokens.sample import draw_sample, sample_size
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)
SIDECAR = CENTROIDS.sidecar
REPORTED = {  # of the frames that the codebooks were fitted to
    "n_clips",
    "n_frames",
    "variance_kept",  # 1 where decoded tokens are the frames, 0 where they are no better than the mean frame
    "centroids_used",  # share over all codebooks
    "dead_centroids",  # how many of each codebook are the token of no frame
    "perplexity",  # mean over the codebooks
    "perplexity_per_codebook",
    "seconds",  # for sampling and fitting
}


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with its centroids, and the key and report of their fitting.

    Args:
        tokenizer: Ready for use.
        key: Content key of the centroids.
        report: What the sidecar says of the fitting, by the names of `REPORTED`.
    """

    tokenizer: Tokenizer
    key: str
    report: dict[str, Any]

    @property
    def size(self) -> int:
        """Different tokens over all codebooks, Q x K."""
        return self.tokenizer.codebooks.n_codebooks * self.tokenizer.codebooks.n_clusters

    def save(self, folder: Path) -> None:
        """Write the vocabulary to a folder, from which `load_vocabulary` reads it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self.tokenizer.arrays().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        sidecar = {
            "key": self.key,
            "shapes": {name: list(array.shape) for name, array in self.tokenizer.arrays().items()},
            "checksum": self.tokenizer.checksum(),
            "settings": self.tokenizer.settings,
            "report": self.report,
        }
        (folder / SIDECAR).write_text(json.dumps(sidecar, indent=1) + "\n", encoding="utf-8")


def fit_or_load(
    tokenizer: Tokenizer,
    corpus: Corpus,
    store: Store,
    cache: ClipCache | None = None,
    n_workers: int = 0,
    before: Path | None = None,
) -> Vocabulary:
    """Give a tokenizer the centroids of a corpus's training clips, fitting them where no run has yet.

    Args:
        tokenizer: Not fitted; takes over what is fitted or read.
        corpus: Its training clips are sampled; no other clip is opened.
        store: Where centroids are kept, under the settings and the training clips.
        cache: Mel frames that are kept of them; None reads audio.
        n_workers: Processes that read clips.
        before: Vocabulary of the run that this one goes on from, which is taken if it has the same key:
            fitted anew, on another machine, centroids of the same settings and clips are others.

    Raises:
        UserError: There are fewer frames than clusters, or the cache cannot be written.
    """
    key = vocabulary_key(tokenizer, corpus)
    reused = True

    def make(folder: Path) -> None:
        nonlocal reused
        reused = False
        report = _fit(tokenizer, corpus, cache, n_workers)
        Vocabulary(tokenizer, key, report).save(folder)

    def load(folder: Path) -> Vocabulary:
        return load_vocabulary(tokenizer, folder, key)

    if before is not None:
        with suppress(StaleError):
            vocabulary = load(before)
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


def vocabulary_key(tokenizer: Tokenizer, corpus: Corpus) -> str:
    """Name the centroids by all that they depend on: settings, clip length and training clips."""
    clips = corpus.clips["train"].fingerprint()
    n_clips, n_frames, _ = sample_size(tokenizer, corpus)
    return content_key([CENTROIDS.version, tokenizer.settings, n_clips, n_frames, corpus.clip_seconds, clips])


def load_vocabulary(tokenizer: Tokenizer, folder: Path, key: str | None = None) -> Vocabulary:
    """Read a vocabulary from its folder into a tokenizer of the same settings.

    Raises:
        StaleError: A file is missing or corrupt, or the sidecar does not match the settings or the arrays.
    """
    try:
        sidecar = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in sidecar["shapes"]}
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        settings = {**sidecar["settings"], "key": sidecar["key"], **sidecar["shapes"]}
        report, checksum = sidecar["report"], sidecar["checksum"]
        missing = (tokenizer.arrays().keys() - arrays.keys()) | (REPORTED - report.keys())
        if missing:
            raise KeyError(*sorted(missing))
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StaleError(f"the centroids cannot be read ({error!r})") from error
    expected = {**tokenizer.settings, "key": key or sidecar["key"], **shapes}
    difference = first_difference(expected, settings)
    if difference:
        raise StaleError(f"{SIDECAR} does not match: {difference}")
    tokenizer.load_arrays(arrays)
    if tokenizer.checksum() != checksum:
        raise StaleError(f"the centroids are not those that {SIDECAR} describes")
    return Vocabulary(tokenizer, sidecar["key"], report)


def load_run_vocabulary(tokenizer: Tokenizer, folder: Path) -> Vocabulary:
    """Read the vocabulary that a run was trained with.

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
    """Replace a folder with a vocabulary, so that a run carries what it was trained with."""
    shutil.rmtree(folder, ignore_errors=True)
    vocabulary.save(folder)


def _fit(tokenizer: Tokenizer, corpus: Corpus, cache: ClipCache | None, n_workers: int) -> dict[str, object]:
    start = time.perf_counter()
    sample = draw_sample(tokenizer, corpus, cache, n_workers)
    n_clips = sample.n_clips
    log.info("Fitting centroids to %s frames of %s training clips.", f"{len(sample):,}", f"{n_clips:,}")
    tokenizer.features.fit(sample)
    frames = sample.project()
    del sample  # its mel frames would only take memory while the frames are clustered
    tokenizer.codebooks.fit(frames)
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
    mean, residual, total = frames.mean(0), 0.0, 0.0
    for part, chosen in zip(frames.split(PART), tokens.split(PART), strict=True):
        residual += (part - codebooks.decode(chosen)).square().sum().item()
        total += (part - mean).square().sum().item()
    counts = token_counts(tokens, codebooks.n_clusters)
    used, perplexity = token_use(counts)
    return {
        "variance_kept": round(1 - residual / max(total, 1e-12), 4),
        "centroids_used": round(used, 4),
        "dead_centroids": (counts == 0).sum(1).tolist(),
        "perplexity": round(perplexity, 2),
        "perplexity_per_codebook": [round(value, 2) for value in perplexities(counts).tolist()],
    }


def token_counts(tokens: Tensor, n_clusters: int) -> Tensor:
    """Count how often each centroid of each codebook occurs, masked tokens aside: (N, Q) to (Q, K)."""
    return torch.stack([codes[codes >= 0].bincount(minlength=n_clusters) for codes in tokens.T])


def token_use(counts: Tensor) -> tuple[float, float]:
    """Return the share of centroids that occur and the mean perplexity of the codebooks.

    Args:
        counts: (Q, K)
    """
    return float((counts > 0).double().mean()), float(perplexities(counts).mean())


def perplexities(counts: Tensor) -> Tensor:
    """Return the perplexity of each codebook: counts (Q, K) to (Q,), float64.

    It is exp(-Σ p log p): K where all centroids are used alike, 1 where one takes all.
    """
    shares = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    entropy = -(shares * shares.clamp(min=1e-300).log()).sum(1)
    return entropy.exp()
