"""Batches as the dataset returns them to batches as a model reads them, in workers or on accelerators."""

import copy
from typing import Any

import torch
from torch import Generator, Tensor

from audiotok.augment.recipe import Recipe
from audiotok.augment.words import Words
from audiotok.tokens.quantizer import Stage
from audiotok.tokens.tokenizer import Tokenizer


class Collate:
    """Make `inputs` and `lengths` from tokens, an analysis or waveforms.

    Args:
        tokenizer: Fitted by the first batch.
        stage: What the model reads.
        recipe: Augmentation of training clips; None for no augmentation.
    """

    def __init__(self, tokenizer: Tokenizer, stage: Stage, recipe: Recipe | None) -> None:
        self.tokenizer, self.stage, self.recipe = tokenizer, stage, recipe
        self._neighbors: Tensor | None = None
        self._elsewhere: dict[torch.device, Collate] = {}

    def on(self, device: torch.device) -> "Collate":
        """Return the same on another device, with its own copy of the tokenizer."""
        if device.type == "cpu":
            return self
        if device not in self._elsewhere:
            tokenizer = copy.deepcopy(self.tokenizer).to(device)
            self._elsewhere[device] = Collate(tokenizer, self.stage, self.recipe)
        return self._elsewhere[device]

    @torch.no_grad()
    def __call__(self, batch: Any) -> dict[str, Tensor]:
        """Return `index` (B,), `targets` (B, C), `inputs` (B, T, ...) and `lengths` (B,).

        All randomness follows from the seed of the first clip, so it is the same on every device.
        """
        generator = torch.Generator().manual_seed(int(batch["seed"][0]))
        targets = batch["targets"]
        if "tokens" in batch:
            inputs, lengths = batch["tokens"].long(), batch["n_tokens"]
        else:
            analysis, n_slices, targets = self._analysis(batch, generator)
            inputs, lengths = self.tokenizer.read(analysis, n_slices, self.stage)
        if self.recipe and self.stage == "tokens":
            inputs = self._words(self.recipe.words, inputs, generator)
        return {"index": batch["index"], "targets": targets, "inputs": inputs, "lengths": lengths}

    def _analysis(self, batch: Any, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return the analysis (B, slices, bins), its lengths (B,) and targets (B, C), all augmented."""
        features, targets = self.tokenizer.features, batch["targets"]
        if "analysis" in batch:
            analysis, n_slices = batch["analysis"], batch["n_slices"]
        else:
            analysis, n_slices = features.analyze(batch["waveform"], batch["n_samples"])
        if self.recipe and self.recipe.sound.is_active:
            return self.recipe.sound(analysis.float(), n_slices, targets, features.floor_db, generator)
        return analysis, n_slices, targets

    def _words(self, words: Words, tokens: Tensor, generator: Generator) -> Tensor:
        """Return tokens (B, T, Q), augmented."""
        if self._neighbors is None:
            self._neighbors = words.neighbors(self.tokenizer.codebooks.centroids)
        return words(tokens, self._neighbors, generator)
