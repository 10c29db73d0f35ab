"""The frames that centroids are fitted to: a seeded draw over clips and frames, in bounded memory.

A frame waits as float16 for the projection, which is fitted to all of them: mel frames come in sixteenths of
a dB, and dB, also below a clip's loudest bin, are kept exactly; what is scaled to 0 .. 1 or is a slope is
rounded by less than mel frames already are.
"""

import logging
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from audiotok.clustering.codebooks import PART
from audiotok.data.corpus import Corpus
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import Batch, ClipDataset, as_it_is
from audiotok.store import readable_size
from audiotok.tokenizer import Tokenizer

log = logging.getLogger(__name__)
_BATCH = 8  # clips that are read at a time; the first batch is timed


def sample_frames(
    tokenizer: Tokenizer, corpus: Corpus, cache: ClipCache | None, n_workers: int
) -> tuple[np.ndarray, int]:
    """Draw frames, before projection, from the training clips, about as many from each.

    Says beforehand how long it will take, and what memory it and the fitting will.

    Args:
        tokenizer: Its codebooks say how many, and their seed which.
        corpus: Its training clips are opened, no others.
        cache: Mel frames that are kept of them; None reads audio.
        n_workers: Processes that read clips.

    Returns:
        float16 (N, context * M * (1 + deltas)) and the number of clips that they are from.
    """
    codebooks = tokenizer.codebooks
    dataset = ClipDataset(corpus, "train", tokenizer.features, cache=cache)
    n_all, n_most = len(dataset), tokenizer.sample_frames
    n_clips = min(n_all, codebooks.sample_clips or n_all, n_most)
    n_there = n_clips * tokenizer.n_tokens(corpus.clip_seconds)  # or fewer, where clips are padded
    rng = np.random.default_rng(codebooks.seed)
    by_id = sorted(range(n_all), key=lambda i: dataset.clips[i].id)  # whatever order they are listed in
    chosen = [by_id[i] for i in np.sort(rng.permutation(n_all)[:n_clips])]
    wanted = np.full(n_clips, n_most // n_clips) + (np.arange(n_clips) < n_most % n_clips)
    size = readable_size(min(n_most, n_there) * tokenizer.frame_bytes)
    frames = np.empty((min(n_most, n_there), tokenizer.features.projection.n_inputs), np.float16)
    n_frames = n_read = 0
    message = f"Sampling {len(frames):,} of {n_there:,} frames of {n_clips:,} training clips in {size}"
    for batch in _batches(dataset, chosen, n_workers, message):
        for clip in _clips(tokenizer, batch):
            rows = np.sort(rng.permutation(len(clip))[: wanted[n_read]])
            frames[n_frames : n_frames + len(rows)] = clip[rows]
            n_frames, n_read = n_frames + len(rows), n_read + 1
    return frames[:n_frames], n_clips


@torch.no_grad()
def _clips(tokenizer: Tokenizer, batch: Batch) -> Iterator[np.ndarray]:
    """Return the stacked frames (T, n_inputs) of each clip of a batch, without padding."""
    stacked, n_frames = tokenizer.features.stack(batch["mel"], batch["n_mel"])
    for clip, n in zip(stacked, n_frames.tolist(), strict=True):
        yield clip[:n].numpy()


def _batches(dataset: ClipDataset, chosen: list[int], n_workers: int, message: str) -> Iterator[Batch]:
    """Read clips; say after the first of them how long all will take."""
    start = time.perf_counter()
    first = dataset.__getitems__(chosen[:_BATCH])
    seconds = (time.perf_counter() - start) * len(chosen) / len(chosen[:_BATCH]) / max(1, n_workers)
    log.info("%s: about %.0f s.", message, seconds)
    yield first
    rest = DataLoader(
        dataset,
        batch_size=_BATCH,
        sampler=chosen[_BATCH:],
        collate_fn=as_it_is,
        num_workers=n_workers,
        generator=torch.Generator(),  # its own, so that fitting leaves the global one as it was
    )
    yield from tqdm(rest, "Sampling frames", unit="batch", disable=None, leave=False)


def project(tokenizer: Tokenizer, frames: np.ndarray) -> np.ndarray:
    """Project stacked frames (N, n_inputs), a part after the other, to float32 (N, D)."""
    projected = np.empty((len(frames), tokenizer.features.n_dimensions), np.float32)
    for start in range(0, len(frames), PART):
        part = torch.from_numpy(frames[start : start + PART]).float()
        projected[start : start + PART] = tokenizer.features.projection(part).numpy()
    return projected
