"""Stop the trials of a search early that fall behind the others."""

import logging
from typing import Any

import pytorch_lightning as pl

from audiotok.errors import UserError
from audiotok.errors.ranges import Whole
from audiotok.run.destination import Destination

log = logging.getLogger(__name__)


class Pruning(pl.Callback):
    """Stop a trial whose best score so far is below the median of the others at the same epoch.

    The trial is tested with its best checkpoint so far, and counts like any other. Outside of a search the
    callback does nothing.

    Source: D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017 (the median
    rule), by optuna's `MedianPruner`.

    Args:
        study: Name of optuna's study.
        storage: URL of its database.
        monitor: Score that trials are compared by.
        startup_trials: How many trials must have finished before one may be stopped.
        warmup_epochs: Epochs before a trial may be stopped.
        destination: Names the overrides of this job, which identify its trial.
    """

    def __init__(
        self,
        *,
        study: str,
        storage: str,
        monitor: str,
        startup_trials: Whole = 5,
        warmup_epochs: Whole = 2,
        destination: Destination,
    ) -> None:
        self.name, self.storage, self.monitor = study, storage, monitor
        self.startup_trials, self.warmup_epochs = startup_trials, warmup_epochs
        self.overrides = frozenset(destination.overrides)
        self._study: Any = None
        self._trial: int | None = None  # its key in the database

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the trial of this job in the study.

        Raises:
            UserError: optuna is not installed.
        """
        try:
            import optuna
        except ImportError:
            raise UserError(
                "callbacks.pruning needs optuna, which is not installed; pip install 'audiotok[sweep]'."
            ) from None
        if not trainer.is_global_zero:  # only the leading process knows its overrides
            return
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = optuna.pruners.MedianPruner(self.startup_trials, self.warmup_epochs)
        try:
            self._study = optuna.load_study(self.name, self.storage, pruner=pruner)
        except KeyError:  # there is no such study: this run is not part of a search
            return
        for trial in reversed(self._study.get_trials(deepcopy=False)):
            drawn = {f"{key}={value}" for key, value in trial.params.items()}
            if not trial.state.is_finished() and drawn <= self.overrides:
                self._trial = trial._trial_id
                return

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the score, and stop on all devices if it is below the median of the other trials."""
        is_behind = self._trial is not None and self._is_behind(self._trial, trainer)
        if trainer.strategy.broadcast(is_behind):
            trainer.should_stop = True

    def _is_behind(self, trial: int, trainer: pl.Trainer) -> bool:
        epoch, database = trainer.current_epoch, self._study._storage
        database.set_trial_intermediate_value(trial, epoch, float(trainer.callback_metrics[self.monitor]))
        is_behind = bool(self._study.pruner.prune(self._study, database.get_trial(trial)))
        if is_behind:
            log.info(
                "Stopped after epoch %d: %s is below the median of the other trials of the study.",
                epoch + 1,
                self.monitor,
            )
        return is_behind
