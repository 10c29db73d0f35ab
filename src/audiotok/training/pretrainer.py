"""The LightningModule of pretraining: a model that reads tokens learns to fill masked ones."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from audiotok.augment.words import MASKED
from audiotok.model.model import PretrainableModel
from audiotok.training.learner import Learner
from audiotok.training.metrics import Mean
from audiotok.training.objective import MaskedTokens, Objective
from audiotok.training.optimizer import Optimizer
from audiotok.training.schedule import Schedule

_SCORES = ("loss", "accuracy")


class Pretrainer(Learner):
    """Train a model on masked tokens, for `model.init_from`.

    Logs `loss`, nats per token, and `accuracy`, the share of hidden tokens that the model predicts, under
    `train/` and `val/`. Chance is about 1 / K for balanced codebooks.

    Args:
        model: Only the weights are trained that it names as pretrained.
        n_codebooks: Tokens at a position, Q.
        n_clusters: Centroids per codebook, K.
        objective: An option of the config group; None for `MaskedTokens()`.
        optimizer: An option of the config group; None for `AdamW()`.
        schedule: An option of the config group; None for `Cosine()`.
        vocabulary_key: Key of the centroids, saved with the weights, which are meaningless without them.
        seed: Seed of dropout and of the hidden positions, combined with the epoch, the batch and the device.
    """

    def __init__(
        self,
        model: PretrainableModel,
        *,
        n_codebooks: int,
        n_clusters: int,
        objective: Objective | None = None,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        vocabulary_key: str = "",
        seed: int = 0,
    ) -> None:
        super().__init__(optimizer, schedule, vocabulary_key, seed)
        self.model = model
        self.objective: Objective = MaskedTokens() if objective is None else objective
        self.n_codebooks, self.n_clusters = n_codebooks, n_clusters
        self.head = nn.Linear(model.state_size, n_codebooks * n_clusters)
        for name, parameter in model.named_parameters():
            # Several devices would wait for gradients of weights that nothing trains.
            parameter.requires_grad_(model.is_pretrained(name))
        self.scores = nn.ModuleDict(
            {f"{split}_{name}": Mean() for split in ("train", "val") for name in _SCORES}
        )

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self._predict("train", batch, self.batch_seed(batch_index))
        self.log_step({})
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Score a batch, with the same positions hidden in every epoch."""
        self._predict("val", batch, batch_index)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the scores of the training clips at the end of an epoch."""
        if self.trainer.is_last_batch:
            self.log_epoch()

    def on_train_epoch_start(self) -> None:
        """Forget the training clips of the epoch before."""
        for name in _SCORES:
            self._mean("train", name).reset()

    def log_epoch(self) -> None:
        """Log the scores of the training clips of an epoch; their sums are kept until the next one begins."""
        self._log_scores("train")

    def epoch_state(self) -> dict[str, Any]:
        """Return the sums of losses and hits."""
        return {name: self._mean("train", name).sums() for name in _SCORES}

    def restore_epoch(self, state: dict[str, Any]) -> None:
        """Restore what `epoch_state` returned."""
        for name in _SCORES:
            self._mean("train", name).restore(state[name])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation clips."""
        self._log_scores("val")

    @property
    def val_scores(self) -> set[str]:
        """Names of the scores that validation logs."""
        return {"val/loss", "val/accuracy"}

    def _predict(self, split: str, batch: dict[str, Tensor], seed: int) -> Tensor:
        """Return the loss of a batch, and add its scores to those of a split."""
        tokens, lengths = batch["inputs"], batch["lengths"]
        masked, hidden = self.objective.mask(tokens, lengths, torch.Generator().manual_seed(seed))
        wanted = tokens[hidden]  # (N, Q)
        states = self.model.states(masked, lengths)
        logits = self.head(states[hidden]).unflatten(-1, (self.n_codebooks, self.n_clusters)).float()
        loss = self.objective.loss(logits, wanted)
        n_wanted = (wanted != MASKED).sum()  # augmentation has masked the others
        accuracy = (logits.argmax(-1) == wanted).sum() / n_wanted.clamp(min=1)
        for name, value in {"loss": loss.detach(), "accuracy": accuracy}.items():
            self._mean(split, name).update(value, n_wanted)
        return loss

    def _log_scores(self, split: str) -> None:
        for name in _SCORES:
            mean = self._mean(split, name)
            self.log(f"{split}/{name}", mean.compute(), on_step=False, on_epoch=True, batch_size=1)
            if split != "train":
                mean.reset()

    def _mean(self, split: str, name: str) -> Mean:
        return cast(Mean, self.scores[f"{split}_{name}"])
