"""A torch dataset of clips: one waveform of the corpus's clip length, or its tokens, with its labels."""

from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from audiotok.data.audio import UnreadableError, read_waveform
from audiotok.data.clip import Clip
from audiotok.data.corpus import Corpus, Split
from audiotok.errors import UserError
from audiotok.tokenizer import Tokenizer


class Draw(NamedTuple):
    """One visit to a clip: its place in the split, and the seed of what is random in this visit."""

    clip: int
    seed: int


class Item(TypedDict, total=False):
    """What the dataset gives for one clip; a batch has the same keys and one dimension more."""

    index: int
    targets: Tensor  # (C,), float32
    waveform: Tensor  # (S,), where the accelerator makes the tokens
    n_samples: Tensor  # (), samples that are not padding
    tokens: Tensor  # (T, Q), where the worker makes them
    n_tokens: Tensor  # (), positions that are not padding


class ClipDataset(Dataset[Item]):
    """The clips of one split.

    Args:
        corpus: Where the clips are.
        split: Which of them.
        sample_rate: Rate of the waveforms, Hz.
        tokenizer: Makes tokens here, in the worker; None leaves waveforms to be tokenised later.
        random_crop: Take a random stretch of clips that are too long, not the middle.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: Split,
        sample_rate: int,
        tokenizer: Tokenizer | None = None,
        random_crop: bool = False,
    ) -> None:
        self.clips, self.n_classes = corpus.clips[split], len(corpus.classes)
        self.seconds, self.sample_rate = corpus.clip_seconds, sample_rate
        self.tokenizer, self.random_crop = tokenizer, random_crop

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, draw: Draw | int) -> Item:
        index, seed = (draw, 0) if isinstance(draw, int) else draw
        clip = self.clips[index]
        waveform, n_samples = self.waveform(clip, seed)
        item: Item = {"index": index, "targets": self._targets(clip)}
        if self.tokenizer is None:
            item |= {"waveform": waveform, "n_samples": torch.tensor(n_samples)}
        else:
            tokens, n_tokens = self.tokenizer(waveform[None], torch.tensor([n_samples]))
            item |= {"tokens": tokens[0], "n_tokens": n_tokens[0]}
        return item

    def waveform(self, clip: Clip, seed: int = 0) -> tuple[Tensor, int]:
        """Read a clip, cropped or padded with zeros to the clip length.

        Returns:
            The waveform (S,) and how many of its samples are not padding.

        Raises:
            UserError: The file can no longer be read.
        """
        assert clip.path is not None, "only clips with a file are usable"
        surplus = max(0.0, clip.seconds - self.seconds)
        share = np.random.default_rng(seed).random() if self.random_crop else 0.5
        try:
            samples = read_waveform(clip.path, self.sample_rate, surplus * share, self.seconds)
        except UnreadableError as error:
            raise UserError(
                f"{clip.path} could be read when it was inspected and cannot be now ({error}); "
                "start again, and it is skipped."
            ) from error
        n_samples = min(len(samples), round(self.seconds * self.sample_rate))
        waveform = torch.zeros(round(self.seconds * self.sample_rate))
        waveform[:n_samples] = torch.from_numpy(samples[:n_samples])
        return waveform, n_samples

    def _targets(self, clip: Clip) -> Tensor:
        targets = torch.zeros(self.n_classes)
        targets[list(clip.labels)] = 1.0
        return targets
