"""Trials of a search that fall behind the others stop early."""

import logging
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from audiotok.errors import UserError

log = logging.getLogger(__name__)


class Pruning(pl.Callback):
    """Stop a trial whose best score so far is below the median of the others at the same epoch.

    The trial is scored as it stands, by its best checkpoint, and counts as any other. Outside of a search
    nothing is done.

    Source: D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017 (the median
    rule), by optuna's `MedianPruner`.

    Args:
        study: Name of optuna's study.
        storage: URL of the database that it is in.
        monitor: Score that trials are compared by.
        startup_trials: Trials that must have been through before one is stopped.
        warmup_epochs: Epochs before a trial may be stopped.
    """

    def __init__(
        self, *, study: str, storage: str, monitor: str, startup_trials: int, warmup_epochs: int
    ) -> None:
        self.name, self.storage, self.monitor = study, storage, monitor
        self.startup_trials, self.warmup_epochs = startup_trials, warmup_epochs
        self.overrides: Sequence[str] = ()  # of this job; they tell which trial it is
        self._study: Any = None
        self._trial: int | None = None  # its key in the database

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the trial that this job is.

        Raises:
            UserError: optuna is not installed.
        """
        try:
            import optuna
        except ImportError:
            raise UserError(
                "callbacks.pruning needs optuna, which is not installed; pip install 'audiotok[sweep]'."
            ) from None
        if not trainer.is_global_zero:  # only the process that leads knows its trial
            return
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = optuna.pruners.MedianPruner(self.startup_trials, self.warmup_epochs)
        try:
            self._study = optuna.load_study(self.name, self.storage, pruner=pruner)
        except KeyError:  # no such study: a run by itself
            return
        for trial in reversed(self._study.get_trials(deepcopy=False)):
            drawn = {f"{key}={value}" for key, value in trial.params.items()}
            if not trial.state.is_finished() and drawn <= set(self.overrides):
                self._trial = trial._trial_id
                return

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the score, and stop on all devices if the others were better by then."""
        is_behind = self._trial is not None and self._is_behind(self._trial, trainer)
        if trainer.strategy.broadcast(is_behind):
            trainer.should_stop = True

    def _is_behind(self, trial: int, trainer: pl.Trainer) -> bool:
        epoch, database = trainer.current_epoch, self._study._storage
        database.set_trial_intermediate_value(trial, epoch, float(trainer.callback_metrics[self.monitor]))
        is_behind = bool(self._study.pruner.prune(self._study, database.get_trial(trial)))
        if is_behind:
            log.info(
                "Stopped after epoch %d: %s is below the median of the study's trials.",
                epoch + 1,
                self.monitor,
            )
        return is_behind
