"""The order in which training visits clips: a function of the seed and the epoch, and of nothing else.

Torch's own shuffling draws from the global generator, whose state a resumed run does not have.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from audiotok.data.corpus.catalogue import Catalogue
from audiotok.loader.clips import Draw


class EpochSampler(Sampler[Draw]):
    """Shuffle anew in every epoch, repeatably.

    Lightning calls `set_epoch` before each epoch, also of a resumed run. Of several processes, each takes
    every n-th visit, so that together their batches are those of one process with n times the batch. What
    is left over of an epoch when it is shared out is left out of it, fewer visits than there are processes.

    Args:
        n_clips: How many clips there are; as many visits make an epoch.
        seed: Seed of every epoch's order and of what is random in each visit.
        weights: How often clips are visited, (n_clips,); None visits each once.
        rank: Which process of the run this is.
        n_ranks: How many there are.
    """

    def __init__(
        self, n_clips: int, seed: int, weights: np.ndarray | None = None, *, rank: int = 0, n_ranks: int = 1
    ) -> None:
        self.n_clips, self.seed, self.epoch = n_clips, seed, 0
        self.rank, self.n_ranks = rank, n_ranks
        self.shares = None if weights is None else weights / weights.sum()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_clips // self.n_ranks

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.shares is None:
            order = rng.permutation(self.n_clips)
        else:
            order = rng.choice(self.n_clips, self.n_clips, p=self.shares)
        seeds = rng.integers(2**32, size=self.n_clips)
        mine = slice(self.rank, len(self) * self.n_ranks, self.n_ranks)
        return (Draw(int(index), int(seed)) for index, seed in zip(order[mine], seeds[mine], strict=True))


def balancing_weights(clips: Catalogue) -> np.ndarray:
    """Weigh clips by how rare their classes are: the sum of 1 / (clips with the class) over their labels.

    A clip without labels weighs as little as the least of the others. Source: Y. Gong, Y. Chung, J. Glass,
    "PSLA: Improving Audio Tagging With Pretraining, Sampling, Labeling, and Aggregation", TASLP 2021.

    Args:
        clips: Those that are there.

    Returns:
        (clips,)
    """
    rows, classes = clips.label_rows(np.arange(len(clips)))
    weights = np.bincount(rows, 1 / np.bincount(classes)[classes], len(clips))
    labelled = weights > 0
    return np.where(labelled, weights, weights[labelled].min() if labelled.any() else 1.0)
