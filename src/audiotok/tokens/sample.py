"""The frames that centroids are fitted to: a seeded draw over clips and frames, bounded in memory.

What waits in memory are mel frames, float16, of whole clips. Stacked frames are several times as large, and
are made from them a part at a time: for the moments of the projection, and for the projection.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from audiotok.clustering.codebooks import PART
from audiotok.data.corpus.corpus import Corpus
from audiotok.features.features import Features
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import Batch, ClipDataset, as_it_is
from audiotok.store import readable_size
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)
_BATCH = 8  # clips that are read, or stacked, at a time


class SampleSize(NamedTuple):
    """How much of the training clips centroids are fitted to.

    Args:
        n_clips: Clips that frames are drawn from.
        n_frames: Most frames; fewer where clips are padded.
        n_bytes: Most memory that they take at a time, and the parts in which they are made.
    """

    n_clips: int
    n_frames: int
    n_bytes: int


@dataclass(frozen=True)
class Sample:
    """Frames, before projection, that were drawn from some clips.

    Args:
        features: Stacks them.
        analysis: float16 (clips, mel frames, M), dB.
        n_slices: Mel frames that are not padding, (clips,).
        drawn: Positions that were drawn of each clip, ascending.
    """

    features: Features
    analysis: Tensor
    n_slices: Tensor
    drawn: list[np.ndarray]

    @property
    def n_clips(self) -> int:
        """How many clips they are from."""
        return len(self.analysis)

    def __len__(self) -> int:
        return sum(map(len, self.drawn))

    @torch.no_grad()
    def split(self, size: int) -> Iterator[Tensor]:
        """Stack the frames: parts of so many, and a rest, float32 (size, context * M * (1 + deltas))."""
        part, n_filled = torch.empty(size, self.features.n_inputs), 0
        for start in range(0, self.n_clips, _BATCH):
            clips = slice(start, start + _BATCH)
            stacked, _ = self.features.stack(self.analysis[clips], self.n_slices[clips])
            rest = torch.cat([clip[rows] for clip, rows in zip(stacked, self.drawn[clips], strict=True)])
            while len(rest):
                fitting, rest = rest[: size - n_filled], rest[size - n_filled :]
                part[n_filled : n_filled + len(fitting)] = fitting
                n_filled += len(fitting)
                if n_filled == size:
                    yield part
                    part, n_filled = torch.empty_like(part), 0
        if n_filled:
            yield part[:n_filled]

    def project(self) -> np.ndarray:
        """Project the frames, a part after the other: float32 (N, D)."""
        projected = np.empty((len(self), self.features.n_dimensions), np.float32)
        for number, part in enumerate(self.split(PART)):
            projected[number * PART : number * PART + len(part)] = self.features.project(part).numpy()
        return projected


def sample_size(tokenizer: Tokenizer, corpus: Corpus) -> SampleSize:
    """Return how much to sample: what is asked for, as far as there is and `clustering.sample_gb` has room.

    The mel frames of a clip wait until its frames are projected; then a frame takes 4 bytes a dimension, as
    much again for a copy that it is clustered in, and its tokens.
    """
    codebooks, features = tokenizer.codebooks, tokenizer.features
    n_all, n_positions = len(corpus.clips["train"]), tokenizer.n_tokens(corpus.clip_seconds)
    n_slices = features.n_slices(round(corpus.clip_seconds * features.sample_rate))
    clip_bytes = features.analysis_dtype.itemsize * n_slices * features.n_bins
    projected_bytes = 4 * features.n_dimensions
    frame_bytes = 2 * projected_bytes + 8 * codebooks.n_codebooks + 16
    room = int(1e9 * codebooks.sample_gb)
    n_frames = min(codebooks.sample_frames or room, max(1, room // frame_bytes))
    room_for_clips = max(1, (room - n_frames * projected_bytes) // clip_bytes)
    n_clips = min(n_all, codebooks.sample_clips or n_all, n_frames, room_for_clips)
    n_frames = min(n_frames, n_clips * n_positions)
    n_bytes = max(n_clips * clip_bytes + n_frames * projected_bytes, n_frames * frame_bytes)
    part_bytes = min(PART, n_frames) * features.n_inputs * (4 + 8 + 8)  # float32, and float64 twice
    return SampleSize(n_clips, n_frames, n_bytes + part_bytes)


def draw_sample(tokenizer: Tokenizer, corpus: Corpus, cache: ClipCache | None, n_workers: int) -> Sample:
    """Draw frames from the training clips, about as many from each; say first what time and memory it takes.

    Args:
        tokenizer: Its codebooks say how many, and their seed which.
        corpus: Its training clips are opened, and no others.
        cache: Mel frames that are kept of them; None reads audio.
        n_workers: Processes that read clips.
    """
    dataset = ClipDataset(corpus, "train", tokenizer.features, cache=cache)
    size = sample_size(tokenizer, corpus)
    rng = np.random.default_rng(tokenizer.codebooks.seed)
    chosen = np.zeros(len(dataset), bool)
    chosen[rng.permutation(len(dataset))[: size.n_clips]] = True
    analysis, n_slices = _read(dataset, chosen, n_workers, size)
    shares = size.n_frames // size.n_clips + (np.arange(size.n_clips) < size.n_frames % size.n_clips)
    n_positions = tokenizer.features.n_frames_of(n_slices).tolist()
    drawn = [np.sort(rng.permutation(n)[:k]) for n, k in zip(n_positions, shares, strict=True)]
    return Sample(tokenizer.features, analysis, n_slices, drawn)


def _read(
    dataset: ClipDataset, chosen: np.ndarray, n_workers: int, size: SampleSize
) -> tuple[Tensor, Tensor]:
    """Read mel frames (clips, mel frames, M) and how many count (clips,) into memory that is taken once.

    They are read as they lie: of Parquet, a row group then serves all of its clips that are chosen.
    """
    order = dataset.clips.select(chosen).as_they_lie()
    visits = np.flatnonzero(chosen)[order].tolist()
    analysis = n_slices = None
    n_read = 0
    for batch in _batches(dataset, visits, n_workers, size):
        if analysis is None or n_slices is None:
            analysis = torch.empty(len(visits), *batch["analysis"].shape[1:], dtype=batch["analysis"].dtype)
            n_slices = torch.empty(len(visits), dtype=torch.int64)
        places = torch.from_numpy(order[n_read : n_read + len(batch["analysis"])].astype(np.int64))
        analysis[places], n_slices[places] = batch["analysis"], batch["n_slices"]
        n_read += len(batch["analysis"])
    assert analysis is not None
    assert n_slices is not None
    return analysis, n_slices


def _batches(dataset: ClipDataset, visits: list[int], n_workers: int, size: SampleSize) -> Iterator[Batch]:
    """Read clips in batches; the first is timed, and says how long all will take."""
    start = time.perf_counter()
    first = dataset.__getitems__(visits[:_BATCH])
    seconds = (time.perf_counter() - start) * len(visits) / len(visits[:_BATCH]) / max(1, n_workers)
    log.info(
        "Sampling %s frames of %s of %s training clips: about %.0f s and, with the fitting, %s of memory.",
        f"{size.n_frames:,}",
        f"{size.n_clips:,}",
        f"{len(dataset):,}",
        seconds,
        readable_size(size.n_bytes),
    )
    yield first
    rest = DataLoader(
        dataset,
        batch_size=_BATCH,
        sampler=visits[_BATCH:],
        collate_fn=as_it_is,
        num_workers=n_workers,
        generator=torch.Generator(),  # its own, so that fitting leaves the global one as it was
    )
    yield from tqdm(rest, "Sampling frames", unit="batch", disable=None, leave=False)
