"""Batches as files give them to batches as a model reads them, in workers and on accelerators alike."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from audiotok.augment.recipe import Recipe
from audiotok.loader.clips import Item
from audiotok.tokenizer import Stage, Tokenizer


class Preparation:
    """Make `inputs` and `lengths` of mel frames or waveforms.

    Args:
        tokenizer: Fitted.
        stage: What the model reads.
        recipe: What is changed in training clips; None leaves clips as they are.
    """

    def __init__(self, tokenizer: Tokenizer, stage: Stage, recipe: Recipe | None) -> None:
        self.tokenizer, self.stage, self.recipe = tokenizer, stage, recipe

    def collate(self, items: list[Item]) -> dict[str, Tensor]:
        """Make a batch of items in a worker."""
        return self(default_collate(items))

    @torch.no_grad()
    def __call__(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Make a batch ready: `index` (B,), `targets` (B, C), `inputs` (B, T, ...), `lengths` (B,).

        What is random follows from the first clip's seed, so that it is the same wherever it is done.
        """
        if "mel" in batch:
            mel, n_mel = batch["mel"], batch["n_mel"]
        else:
            mel, n_mel = self.tokenizer.features.log_mel(batch["waveform"], batch["n_samples"])
        targets = batch["targets"]
        generator = torch.Generator().manual_seed(int(batch["seed"][0]))
        if self.recipe:
            floor_db = self.tokenizer.features.floor_db
            mel, n_mel, targets = self.recipe.sound(mel.float(), n_mel, targets, floor_db, generator)
        inputs, lengths = self.tokenizer.read(mel, n_mel, self.stage)
        if self.recipe and self.stage == "tokens":
            inputs = self.recipe.words(inputs, self.tokenizer.codebooks.centroids, generator)
        return {"index": batch["index"], "targets": targets, "inputs": inputs, "lengths": lengths}
