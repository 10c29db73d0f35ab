"""The order in which training visits clips: a function of the seed and the epoch alone.

Torch's own shuffling draws from the global generator, whose state a resumed run does not have.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from audiotok.data.corpus.catalogue import Catalogue
from audiotok.loader.clips import Draw


class EpochSampler(Sampler[Draw]):
    """Shuffle differently in every epoch, repeatably.

    Lightning calls `set_epoch` before each epoch, also in a resumed run, and the loader calls `start_at`.
    With n processes, each takes every n-th visit, so that their batches together are those of one process
    with n times the batch size. The remainder of an epoch, fewer visits than there are processes, is left
    out.

    Args:
        n_clips: Number of clips, and of visits in an epoch.
        seed: Seed of the order of every epoch, and of everything random in each visit.
        weights: Relative frequency of visits, (n_clips,); None visits each clip once.
        rank: Number of this process in the run.
        n_ranks: Number of processes.
    """

    def __init__(
        self, n_clips: int, seed: int, weights: np.ndarray | None = None, *, rank: int = 0, n_ranks: int = 1
    ) -> None:
        self.n_clips, self.seed, self.epoch, self.first = n_clips, seed, 0, 0
        self.rank, self.n_ranks = rank, n_ranks
        self.shares = None if weights is None else weights / weights.sum()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is returned next."""
        self.epoch = epoch

    def start_at(self, visit: int) -> None:
        """Leave out the first visits of this process: those before the stop, where training resumes."""
        self.first = visit

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
        left = zip(order[mine][self.first :], seeds[mine][self.first :], strict=True)
        return (Draw(int(index), int(seed)) for index, seed in left)


def balancing_weights(clips: Catalogue) -> np.ndarray:
    """Weigh clips by the rarity of their classes: the sum of 1 / (clips with the class) over their labels.

    A clip without labels has the smallest weight of the others. Source: Y. Gong, Y. Chung, J. Glass,
    "PSLA: Improving Audio Tagging With Pretraining, Sampling, Labeling, and Aggregation", TASLP 2021.

    Args:
        clips: Usable clips.

    Returns:
        (clips,)
    """
    rows, classes = clips.label_rows(np.arange(len(clips)))
    weights = np.bincount(rows, 1 / np.bincount(classes)[classes], len(clips))
    labelled = weights > 0
    return np.where(labelled, weights, weights[labelled].min() if labelled.any() else 1.0)
