"""What training and pretraining share: the optimiser, random seeds, and checks of a resumed checkpoint."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.utilities import GradClipAlgorithmType

from audiotok.errors import UserError
from audiotok.training.optimizer import AdamW, Optimizer
from audiotok.training.schedule import Cosine, Schedule


class Learner(pl.LightningModule):
    """A module that draws the same random numbers however often training is stopped and resumed.

    It resumes only checkpoints of the same vocabulary and optimiser.

    Args:
        optimizer: An option of the config group; None for `AdamW()`.
        schedule: An option of the config group; None for `Cosine()`.
        vocabulary_key: Key of the centroids, saved with the weights, which are meaningless without them.
        seed: Seed of all random numbers of a batch, combined with the epoch, the batch and the device.
    """

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        vocabulary_key: str = "",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.optimizer: Optimizer = AdamW() if optimizer is None else optimizer
        self.schedule: Schedule = Cosine() if schedule is None else schedule
        self.vocabulary_key, self.seed = vocabulary_key, seed

    def batch_seed(self, batch_index: int) -> int:
        """Return the seed of a training batch: of the run's seed, the epoch, the batch and the device."""
        seeds = np.random.SeedSequence([self.seed, self.current_epoch, batch_index, self.global_rank])
        return int(seeds.generate_state(1)[0])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout for this batch, whatever was drawn before it."""
        seed = self.batch_seed(batch_idx)
        if self.device.type == "cpu":  # torch.manual_seed also seeds absent GPUs, which takes 3 ms of 80
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def epoch_state(self) -> dict[str, Any]:
        """Return what becomes the scores of the current epoch, as tensors and plain values."""
        return {}

    def restore_epoch(self, state: dict[str, Any]) -> None:
        """Restore what `epoch_state` returned in a run that was stopped inside an epoch."""

    def log_epoch(self) -> None:
        """Log the scores of the training clips of an epoch."""

    def log_step(self, scores: dict[str, Any]) -> None:
        """Log the learning rate and scores of a training step, if the logger records this step.

        At each call Lightning goes through everything that was ever logged, which takes 2 ms even where the
        logger ignores the step.
        """
        trainer = self.trainer
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            scores = {**scores, "learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
            named = {f"train/{name}": value for name, value in scores.items()}
            self.log_dict(named, on_step=True, on_epoch=False)

    def configure_optimizers(self) -> Any:
        """Build the optimiser, and scale its learning rate at every step."""
        built = self.optimizer.build(self)
        n_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(built, lambda step: self.schedule.factor(step, n_steps))
        return {"optimizer": built, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: Any = None,
        gradient_clip_algorithm: Any = None,
    ) -> None:
        """Clip gradients as the trainer's settings say.

        In mixed precision Lightning refuses to clip for fused optimisers, because they undo the scale of the
        loss too late. In bf16 the loss has no scale, so here its check is passed by.
        """
        if self.trainer.precision == "bf16-mixed":
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            plugin = self.trainer.precision_plugin
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val or 0.0, algorithm)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the vocabulary's key and the optimiser's settings, which a resumed run must share."""
        checkpoint["vocabulary_key"] = self.vocabulary_key
        checkpoint["optimizer"] = repr(self.optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare the vocabulary and the optimiser of a checkpoint with those of this run.

        Raises:
            UserError: They differ. The optimiser's state would bring its earlier settings along.
        """
        key, optimizer = checkpoint.get("vocabulary_key"), checkpoint.get("optimizer")
        if key != self.vocabulary_key:
            raise UserError(
                f"The checkpoint was trained with the centroids {key}, and these settings and clips give "
                f"{self.vocabulary_key}; use the features, clustering, data and seed of the checkpoint's run."
            )
        if optimizer != repr(self.optimizer):
            raise UserError(
                f"The checkpoint was trained by {optimizer}, and a run that resumes it cannot change to "
                f"{self.optimizer!r}; use the optimizer of the checkpoint's run."
            )
