"""The LightningModule of training: a model learns to tag clips, and its tags are scored."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import CatMetric

from audiotok.augment.mixup import Mixup
from audiotok.data.clip import SPLITS, SoundClass
from audiotok.errors import UserError
from audiotok.model.activation import Activation, activate
from audiotok.model.model import Model
from audiotok.training.calibration import Calibration, only_candidates
from audiotok.training.learner import Learner
from audiotok.training.loss import BCE, Loss, activation_of
from audiotok.training.metrics import Mean, Metrics, TaggingMetrics, f1_of
from audiotok.training.optimizer import Optimizer
from audiotok.training.predictions import Predictions
from audiotok.training.reliability import reliability
from audiotok.training.scaling import fit_calibration
from audiotok.training.schedule import Schedule
from audiotok.training.thresholds import best_threshold

_TRAIN_SCORED = 20_000  # clips of an epoch; the probabilities of 2 million would fill a GPU


class Tagger(Learner):
    """Train and score a model that tags clips.

    Logs `loss` and what its metrics compute under `train/`, `val/` and `test/`; for `val/` and `test/` also
    F1 at the threshold that is best on validation, `*_tuned`. Scores under `train/` are of augmented clips,
    of the first 20,000 of an epoch. A validation outside training fits the calibration: from then on, `val/`
    and `test/` also have the expected calibration error with it, `ece`, and without, `ece_uncalibrated`, and
    F1 at each class's own threshold, `*_class_thresholds`. Other scores are of uncalibrated probabilities.

    Args:
        model: An option of the config group.
        classes: Meaning of the C logits; saved with the weights.
        metrics: Builds the scores of a split from the `prefix` of their names: an option of the config group
            that has its `n_classes`. None for `TaggingMetrics`.
        loss: An option of the config group; None for `BCE()`.
        mixup: Mixes the vectors of clips in training; None for no mixing.
        optimizer: An option of the config group; None for `AdamW()`.
        schedule: An option of the config group; None for `Cosine()`.
        vocabulary_key: Key of the centroids, saved with the weights, which are meaningless without them.
        seed: Seed of dropout and mixing, combined with the epoch, the batch and the device.
    """

    def __init__(
        self,
        model: Model,
        *,
        classes: Sequence[SoundClass],
        metrics: Callable[..., Metrics] | None = None,
        loss: Loss | None = None,
        mixup: Mixup | None = None,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        vocabulary_key: str = "",
        seed: int = 0,
    ) -> None:
        super().__init__(optimizer, schedule, vocabulary_key, seed)
        self.model, self.classes = model, classes
        self.loss: Loss = BCE() if loss is None else loss
        self.activation: Activation = activation_of(self.loss)
        self.mixup = Mixup() if mixup is None else mixup
        metrics = metrics or partial(TaggingMetrics, n_classes=len(classes))
        self.scores = nn.ModuleDict({f"{split}_scores": metrics(prefix=f"{split}/") for split in SPLITS})
        self.losses = nn.ModuleDict({f"{split}_loss": Mean() for split in SPLITS})
        self.tested = CatMetric()  # indices of the test clips, in the order of their scores
        self.logits = CatMetric()  # of the clips of a validation or test outside training
        self.tuned_threshold = self._metrics("val").threshold
        self.calibration = Calibration.plain(len(classes), self.activation, self.tuned_threshold)
        self._train_scored: list[tuple[Tensor, Tensor]] = []  # probabilities and targets of training batches

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the logits (B, C) of a batch."""
        return self.model(batch["inputs"], batch["lengths"])

    def on_train_epoch_start(self) -> None:
        """Forget the training clips of the epoch before."""
        self._train_scored.clear()
        self._loss("train").reset()

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self._score("train", batch)
        self.log_step({"loss_step": loss.detach()})
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Score a batch."""
        self._score("val", batch)

    def test_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Score a batch, and note which clips it holds."""
        self._score("test", batch)
        self.tested.update(batch["index"].float())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the scores of the training clips at the end of an epoch, each from its own training step."""
        if self.trainer.is_last_batch:
            self.log_epoch()

    def log_epoch(self) -> None:
        """Log the scores of the training clips of an epoch; they are kept until the next one begins."""
        self._log_scores("train")

    def epoch_state(self) -> dict[str, Any]:
        """Return the sums of losses, and the probabilities and targets of the clips that are scored."""
        scores, targets = ([batch[part] for batch in self._train_scored] for part in (0, 1))
        return {
            "loss": self._loss("train").sums(),
            "sizes": [len(batch) for batch in scores],
            "scores": torch.cat(scores) if scores else torch.empty(0),
            "targets": torch.cat(targets).bool() if targets else torch.empty(0),
        }

    def restore_epoch(self, state: dict[str, Any]) -> None:
        """Restore what `epoch_state` returned."""
        self._loss("train").restore(state["loss"])
        parts = (state[name].to(self.device).split(state["sizes"]) for name in ("scores", "targets"))
        scored = zip(*parts, strict=True) if state["sizes"] else ()
        self._train_scored = [(scores, targets.int()) for scores, targets in scored]

    def on_validation_epoch_end(self) -> None:
        """Choose the threshold, log the scores of the validation clips, and fit the calibration."""
        scores, targets = self._gathered("val")
        self.tuned_threshold = best_threshold(only_candidates(scores, self.activation), targets)
        if self.trainer.state.fn != "fit":
            logits = self.logits.compute()
            self.calibration = fit_calibration(logits, targets, self.activation)
            self._log_calibration("val", logits, targets)
        self.log("val/tuned_threshold", self.tuned_threshold, batch_size=1)
        self._log_scores("val")

    def on_test_epoch_start(self) -> None:
        """Forget the clips of an earlier test."""
        self.tested.reset()
        self.logits.reset()

    def on_validation_epoch_start(self) -> None:
        """Forget the clips of an earlier validation."""
        self.logits.reset()

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test clips, and keep them for `predictions`."""
        _, targets = self._gathered("test")
        logits = self.logits.compute()
        average_precision = self._metrics("test").average_precision()
        clips, order = self.tested.compute().sort()  # each process has scored every n-th of them
        self._predictions = Predictions(
            clips.long().cpu(),
            logits[order].cpu(),
            targets[order].bool().cpu(),
            average_precision.cpu(),
            self.calibration,
        )
        self._log_calibration("test", logits, targets)
        self._log_scores("test")

    @property
    def val_scores(self) -> set[str]:
        """Names of the scores that validation logs."""
        tuned = ("loss", "tuned_threshold", "f1_micro_tuned", "f1_macro_tuned")
        return {*self._metrics("val").names, *(f"val/{name}" for name in tuned)}

    def predictions(self) -> Predictions:
        """Return the scores of the last test."""
        return self._predictions

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the classes and how logits become probabilities, too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["activation"] = self.activation
        checkpoint["classes"] = [[sound_class.id, sound_class.name] for sound_class in self.classes]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare the classes of a checkpoint with those of this run, too.

        Raises:
            UserError: They differ, though they may be as many, or the loss is for other probabilities.
        """
        super().on_load_checkpoint(checkpoint)
        activation = checkpoint.get("activation", "sigmoid")  # earlier versions knew no other
        if activation != self.activation:
            raise UserError(
                f"The checkpoint was trained with a {activation}, and the loss of this run is for a "
                f"{self.activation}; use the loss of the checkpoint's run."
            )
        before = [str(id_) for id_, _ in checkpoint.get("classes", ())]
        ours = [sound_class.id for sound_class in self.classes]
        if before and before != ours:
            n = next(n for n, pair in enumerate(zip_longest(before, ours)) if pair[0] != pair[1])
            theirs, mine = (ids[n] if n < len(ids) else "none" for ids in (before, ours))
            raise UserError(
                f"The checkpoint was trained on other classes: class {n + 1} of its {len(before)} is "
                f"{theirs}, and that of the {len(ours)} of these data is {mine}; use the data of the "
                "checkpoint's run."
            )

    def _score(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        """Return the loss of a batch, and add its scores to those of a split."""
        lengths, targets = batch["lengths"], batch["targets"]
        vectors = self.model.embed(batch["inputs"], lengths)
        if self.training:
            vectors, lengths, targets = self.mixup(vectors, lengths, targets)
        logits = self.model.classify(vectors, lengths).float()
        loss = self.loss(logits, targets, self.training)
        self._loss(split).update(loss.detach(), len(targets))
        scored = activate(logits.detach(), self.activation), (targets > 0.5).int()
        if split != "train":
            self._metrics(split).update(*scored)
            if self.trainer.state.fn != "fit":
                self.logits.update(logits.detach())
        elif len(self._train_scored) * len(targets) * self.trainer.world_size < _TRAIN_SCORED:
            self._train_scored.append(scored)  # scored together at the end: each update takes 2 ms of 80
        return loss

    def _gathered(self, split: str) -> tuple[Tensor, Tensor]:
        """Return the probabilities and targets of a split, of all devices.

        Raises:
            UserError: A probability is not a number.
        """
        scores, targets = self._metrics(split).gathered()
        if not scores.isfinite().all():
            raise UserError(
                f"The model's {split} scores are not finite in epoch {self.current_epoch + 1}: training has "
                "diverged; lower optimizer.lr, or clip gradients with trainer.gradient_clip_val."
            )
        return scores, targets

    def _log_scores(self, split: str) -> None:
        metrics, loss = self._metrics(split), self._loss(split)
        if split == "train":
            metrics.update(*(torch.cat(part) for part in zip(*self._train_scored, strict=True)))
        scores: dict[str, Any] = {f"{split}/loss": loss.compute(), **metrics.compute()}
        if split != "train":
            probabilities, targets = metrics.gathered()
            heard = only_candidates(probabilities, self.activation) > self.tuned_threshold
            scores |= _named(split, "tuned", f1_of(heard, targets))
        metrics.reset()
        if split != "train":
            loss.reset()
        self.log_dict(scores, on_step=False, on_epoch=True, batch_size=1)

    def _log_calibration(self, split: str, logits: Tensor, targets: Tensor) -> None:
        probabilities = self.calibration.probabilities(logits)
        plain = activate(logits, self.activation)
        error, before = (reliability(p, targets, self.activation).error() for p in (probabilities, plain))
        f1 = f1_of(self.calibration.heard(probabilities), targets)
        scores = {f"{split}/ece": error, f"{split}/ece_uncalibrated": before}
        self.log_dict({**scores, **_named(split, "class_thresholds", f1)}, batch_size=1)

    def _loss(self, split: str) -> Mean:
        return cast(Mean, self.losses[f"{split}_loss"])

    def _metrics(self, split: str) -> Metrics:
        return cast(Metrics, self.scores[f"{split}_scores"])


def _named(split: str, kind: str, f1: tuple[Tensor, Tensor]) -> dict[str, Any]:
    return {f"{split}/f1_{mean}_{kind}": value for mean, value in zip(("micro", "macro"), f1, strict=True)}
