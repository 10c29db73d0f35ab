"""What training and pretraining have in common: an optimiser, seeds of batches, where weights come from."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from pytorch_lightning.utilities import GradClipAlgorithmType

from audiotok.errors import UserError
from audiotok.training.optimizer import Optimizer
from audiotok.training.schedule import Schedule


class Learner(pl.LightningModule):
    """A module whose batches are random by themselves, and that only goes on from what it was trained with.

    Args:
        optimizer: An option of the config group.
        schedule: An option of the config group.
        vocabulary_key: Key of the centroids; kept with the weights, which mean nothing without them.
        seed: Seed of what is random in a batch, anew in each, so that a resumed run goes on as if never
            stopped.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, vocabulary_key: str, seed: int) -> None:
        super().__init__()
        self.optimizer, self.schedule = optimizer, schedule
        self.vocabulary_key, self.seed = vocabulary_key, seed

    def batch_seed(self, batch_index: int) -> int:
        """Return the seed of what is random in a training batch: of the seed, epoch, batch and device."""
        seeds = np.random.SeedSequence([self.seed, self.current_epoch, batch_index, self.global_rank])
        return int(seeds.generate_state(1)[0])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout for this batch, whatever was drawn before it."""
        seed = self.batch_seed(batch_idx)
        if self.device.type == "cpu":  # torch.manual_seed, for GPUs that are not there, takes 3 ms of 80
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def log_step(self, scores: dict[str, Any]) -> None:
        """Log the learning rate and scores of a training step, if the logger takes those of this step.

        Lightning looks at all that was ever logged at each call: 2 ms, for what it then throws away.
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
        """Clip gradients as the trainer says.

        Lightning refuses fused optimisers in all mixed precision, for they undo a loss scale too late to
        clip; in bf16 there is no scale.
        """
        plugin = self.trainer.precision_plugin
        if isinstance(plugin, MixedPrecision) and plugin.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val or 0.0, algorithm)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what only a run with the same may go on from: vocabulary and optimiser."""
        checkpoint["vocabulary_key"] = self.vocabulary_key
        checkpoint["optimizer"] = repr(self.optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare the vocabulary and the optimiser of a checkpoint with those of this run.

        Raises:
            UserError: They differ; the optimiser's state would bring the settings of before along.
        """
        key, optimizer = checkpoint.get("vocabulary_key"), checkpoint.get("optimizer")
        if key != self.vocabulary_key:
            raise UserError(
                f"The checkpoint was trained with the centroids {key}, and these settings and clips give "
                f"{self.vocabulary_key}; use the features, clustering, data and seed of the checkpoint's run."
            )
        if optimizer != repr(self.optimizer):
            raise UserError(
                f"The checkpoint was trained by {optimizer}, and a run that goes on from it cannot change to "
                f"{self.optimizer!r}; use the optimizer of the checkpoint's run."
            )
