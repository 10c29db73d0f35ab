"""The order in which training visits clips: a function of the seed and the epoch, and of nothing else.

Torch's own shuffling draws from the global generator, whose state a resumed run does not have.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from audiotok.loader.clips import Draw


class EpochSampler(Sampler[Draw]):
    """Shuffle anew in every epoch, repeatably.

    Lightning calls `set_epoch` before each epoch, also of a resumed run.

    Args:
        n_clips: How many clips there are.
        seed: Seed of every epoch's order and of what is random in each visit.
    """

    def __init__(self, n_clips: int, seed: int) -> None:
        self.n_clips, self.seed, self.epoch = n_clips, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_clips

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.n_clips)
        seeds = rng.integers(2**32, size=self.n_clips)
        return (Draw(int(index), int(seed)) for index, seed in zip(order, seeds, strict=True))
