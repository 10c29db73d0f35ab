"""The LightningModule of pretraining: a model that reads tokens learns to fill the masked ones."""

from typing import Any

import torch
from torch import Tensor, nn

from audiotok.augment.words import MASKED
from audiotok.model.model import PretrainableModel
from audiotok.training.learner import Learner
from audiotok.training.metrics import Mean
from audiotok.training.objective import MaskedTokens
from audiotok.training.optimizer import Optimizer
from audiotok.training.schedule import Schedule


class Pretrainer(Learner):
    """Train a model on masked tokens, for `model.init_from`.

    Logs `loss`, nats a token, and `accuracy`, the share of hidden tokens that are guessed, under `train/` and
    `val/`. Chance is about 1 / K for balanced codebooks.

    Args:
        model: Its encoder and its words are trained.
        n_codebooks: Tokens at a position, Q.
        n_clusters: Centroids per codebook, K.
        objective: Chooses what is hidden.
        optimizer: An option of the config group.
        schedule: An option of the config group.
        vocabulary_key: Key of the centroids; kept with the weights, which mean nothing without them.
        seed: Seed of dropout and of what is hidden, anew in every batch.
    """

    def __init__(
        self,
        model: PretrainableModel,
        *,
        n_codebooks: int,
        n_clusters: int,
        objective: MaskedTokens,
        optimizer: Optimizer,
        schedule: Schedule,
        vocabulary_key: str,
        seed: int,
    ) -> None:
        super().__init__(optimizer, schedule, vocabulary_key, seed)
        self.model, self.objective = model, objective
        self.n_codebooks, self.n_clusters = n_codebooks, n_clusters
        self.head = nn.Linear(model.state_size, n_codebooks * n_clusters)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(model.is_pretrained(name))  # several devices wait for every gradient
        self.scores = nn.ModuleDict(
            {f"{split}_{name}": Mean() for split in ("train", "val") for name in ("loss", "accuracy")}
        )

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self._guess("train", batch, self.batch_seed(batch_index))
        self.log_step({})
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Score a batch, with the same tokens hidden in every epoch."""
        self._guess("val", batch, batch_index)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the scores of an epoch's training clips."""
        if self.trainer.is_last_batch:
            self._log_scores("train")

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation clips."""
        self._log_scores("val")

    @property
    def val_scores(self) -> set[str]:
        """Names of what validation logs."""
        return {"val/loss", "val/accuracy"}

    def _guess(self, split: str, batch: dict[str, Tensor], seed: int) -> Tensor:
        tokens, lengths = batch["inputs"], batch["lengths"]
        masked, hidden = self.objective.mask(tokens, lengths, torch.Generator().manual_seed(seed))
        wanted = tokens[hidden]  # (N, Q)
        states = self.model.states(masked, lengths)
        logits = self.head(states[hidden]).unflatten(-1, (self.n_codebooks, self.n_clusters)).float()
        loss = self.objective.loss(logits, wanted)
        n_asked = (wanted != MASKED).sum()  # the others were masked by augmentation
        accuracy = (logits.argmax(-1) == wanted).sum() / n_asked.clamp(min=1)
        for name, value in {"loss": loss.detach(), "accuracy": accuracy}.items():
            self._mean(split, name).update(value, n_asked)
        return loss

    def _log_scores(self, split: str) -> None:
        for name in ("loss", "accuracy"):
            mean = self._mean(split, name)
            self.log(f"{split}/{name}", mean.compute(), on_step=False, on_epoch=True, batch_size=1)
            mean.reset()

    def _mean(self, split: str, name: str) -> Mean:
        mean = self.scores[f"{split}_{name}"]
        assert isinstance(mean, Mean)
        return mean
