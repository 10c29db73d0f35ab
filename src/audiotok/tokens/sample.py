"""The sample of frames that a tokenizer is fitted to: a seeded draw over clips and frames, of bounded memory.

Clips wait in memory as their analysis (float16 mel frames). Frames before projection are several times as
large, so they are computed a part at a time: once to fit the projection, and once to project them.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.clustering.codebooks import PART, Codebooks
from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Positive
from audiotok.features.features import Features
from audiotok.store import readable_size

log = logging.getLogger(__name__)
_BATCH = 8  # clips that are stacked at a time


@dataclass(frozen=True)
class Sampling:
    """How many frames a tokenizer is fitted to.

    Args:
        n_frames: Frames, drawn from the training clips; None for all.
        n_clips: Training clips that these frames are drawn from; None for all.
        max_gb: Most memory that the frames and the fitting take, GB; it may reduce both numbers.
    """

    n_frames: Count | None = 200_000
    n_clips: Count | None = 4000
    max_gb: Positive = 2.0

    def __post_init__(self) -> None:
        for key in ("n_frames", "n_clips"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"sample.{key}={value} is too small; choose 1 or more, or null for all.")
        if self.max_gb <= 0:
            raise UserError(f"sample.max_gb={self.max_gb} leaves no room for frames; choose more than 0.")


class SampleSize(NamedTuple):
    """The size of a sample, given the clips and the memory.

    Args:
        n_clips: Clips that frames are drawn from.
        n_frames: Most frames; fewer if clips are padded.
        n_bytes: Peak memory of the sample and of the fitting.
    """

    n_clips: int
    n_frames: int
    n_bytes: int


class ClipReader(Protocol):
    """The clips that a tokenizer is fitted to."""

    clip_seconds: float  # length that every clip is cropped or padded to, s
    n_workers: int  # processes that read at the same time

    def __len__(self) -> int:
        """Return the number of clips."""
        ...

    def order(self, chosen: np.ndarray) -> np.ndarray:
        """Return the fastest order to read some clips, bool (clips,), as indices into the chosen ones."""
        ...

    def analyses(self, clips: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the analysis of clips in batches (B, slices, bins), and how many slices count (B,).

        The first batch is read in this process, so that its time tells how long the others will take.
        """
        ...


@dataclass(frozen=True)
class Sample:
    """Frames before projection, drawn from some clips.

    Args:
        features: Makes frames from the analysis.
        analysis: (clips, slices, bins)
        n_slices: Slices that are not padding, (clips,).
        drawn: Positions of the frames drawn from each clip, ascending.
    """

    features: Features
    analysis: Tensor
    n_slices: Tensor
    drawn: list[np.ndarray]

    @property
    def n_clips(self) -> int:
        """Number of clips that the frames are from."""
        return len(self.analysis)

    def __len__(self) -> int:
        return sum(map(len, self.drawn))

    @torch.no_grad()
    def split(self, size: int) -> Iterator[Tensor]:
        """Compute the frames in parts of `size`, and the remainder, float32 (size, n_inputs)."""
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
        """Project the frames, one part after the other: float32 (N, D)."""
        projected = np.empty((len(self), self.features.n_dimensions), np.float32)
        for number, part in enumerate(self.split(PART)):
            projected[number * PART : number * PART + len(part)] = self.features.project(part).numpy()
        return projected


def sample_size(
    features: Features, codebooks: Codebooks, sampling: Sampling, n_clips: int, clip_seconds: float
) -> SampleSize:
    """Return how much to sample: what is asked for, within the clips and the memory that there are.

    The analysis of a clip waits until its frames are projected. Then a frame takes 4 bytes per dimension,
    the same again for the copy that is clustered, and its tokens.

    Args:
        features: To be fitted.
        codebooks: To be fitted.
        sampling: How much is asked for.
        n_clips: Number of training clips.
        clip_seconds: Length of a clip, s.
    """
    n_samples = round(clip_seconds * features.sample_rate)
    clip_bytes = features.analysis_dtype.itemsize * features.n_slices(n_samples) * features.n_bins
    projected_bytes = 4 * features.n_dimensions
    frame_bytes = 2 * projected_bytes + 8 * codebooks.n_codebooks + 16
    room = int(1e9 * sampling.max_gb)
    n_frames = min(sampling.n_frames or room, max(1, room // frame_bytes))
    room_for_clips = max(1, (room - n_frames * projected_bytes) // clip_bytes)
    n_clips = min(n_clips, sampling.n_clips or n_clips, n_frames, room_for_clips)
    n_frames = min(n_frames, n_clips * features.n_frames(n_samples))
    n_bytes = max(n_clips * clip_bytes + n_frames * projected_bytes, n_frames * frame_bytes)
    part_bytes = min(PART, n_frames) * features.n_inputs * (4 + 8 + 8)  # float32, and float64 twice
    return SampleSize(n_clips, n_frames, n_bytes + part_bytes)


def draw_sample(features: Features, codebooks: Codebooks, sampling: Sampling, clips: ClipReader) -> Sample:
    """Draw about the same number of frames from each clip; log the expected time and memory first.

    Args:
        features: To be fitted.
        codebooks: To be fitted; their seed is the seed of the draw.
        sampling: How much is drawn.
        clips: The training clips.
    """
    size = sample_size(features, codebooks, sampling, len(clips), clips.clip_seconds)
    rng = np.random.default_rng(codebooks.seed)
    chosen = np.zeros(len(clips), bool)
    chosen[rng.permutation(len(clips))[: size.n_clips]] = True
    analysis, n_slices = _read(clips, chosen, size)
    shares = size.n_frames // size.n_clips + (np.arange(size.n_clips) < size.n_frames % size.n_clips)
    n_positions = features.n_frames_of(n_slices).tolist()
    drawn = [np.sort(rng.permutation(n)[:k]) for n, k in zip(n_positions, shares, strict=True)]
    return Sample(features, analysis, n_slices, drawn)


def _read(clips: ClipReader, chosen: np.ndarray, size: SampleSize) -> tuple[Tensor, Tensor]:
    """Read the analysis (clips, slices, bins) and its lengths (clips,) into memory that is allocated once."""
    order = clips.order(chosen)
    batches = clips.analyses(np.flatnonzero(chosen)[order].tolist())
    start = time.perf_counter()
    first = next(batches)
    seconds = (time.perf_counter() - start) * len(order) / len(first[0]) / max(1, clips.n_workers)
    log.info(
        "Sampling %s frames of %s of %s training clips: about %.0f s and, with the fitting, %s of memory.",
        f"{size.n_frames:,}",
        f"{size.n_clips:,}",
        f"{len(clips):,}",
        seconds,
        readable_size(size.n_bytes),
    )
    analysis = torch.empty(len(order), *first[0].shape[1:], dtype=first[0].dtype)
    n_slices = torch.empty(len(order), dtype=torch.int64)
    n_read = 0
    with tqdm(total=len(order), desc="Sampling frames", unit="clip", disable=None, leave=False) as progress:
        for batch, lengths in chain([first], batches):
            places = torch.from_numpy(order[n_read : n_read + len(batch)].astype(np.int64))
            analysis[places], n_slices[places] = batch, lengths
            n_read += len(batch)
            progress.update(len(batch))
    return analysis, n_slices
