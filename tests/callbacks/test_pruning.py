"""Trials that fall behind stop; runs outside of a study do not know of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from runs import run

from audiotok.callbacks.pruning import Pruning
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder

optuna = pytest.importorskip("optuna")
ALONE = Destination(RunFolder(Path("run")), "run", None)
SETTINGS = {"monitor": "val/mAP", "startup_trials": 1, "warmup_epochs": 1}


def node(storage: str, study: str = "tokens") -> list[str]:
    """What a run is told to have the callback."""
    arguments = {
        "_target_": "audiotok.callbacks.pruning.Pruning",
        "study": study,
        "storage": storage,
        **SETTINGS,
    }
    return [f"+callbacks.pruning.{key}={value}" for key, value in arguments.items()]


def study_with(tmp_path, score: float) -> tuple[str, "optuna.Study"]:
    """A study in which one trial had a score in all epochs, and another one runs."""
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=storage, study_name="tokens", direction="maximize")
    first = study.ask({"optimizer.lr": optuna.distributions.UniformDistribution(0.1, 1.0)})
    for epoch in range(6):
        first.report(score, epoch)
    study.tell(first, score)
    return storage, study


@pytest.mark.parametrize(("score", "n_epochs"), [(2.0, 2), (-1.0, 3)])
def test_a_trial_below_the_median_stops_after_the_warm_up(tmp_path, score, n_epochs):
    storage, study = study_with(tmp_path, score)
    study.ask({"optimizer.lr": optuna.distributions.UniformDistribution(0.5, 0.5)})
    run(tmp_path / "run", "trainer.max_epochs=3", "optimizer.lr=0.5", *node(storage))
    trial = optuna.load_study("tokens", storage).trials[1]
    assert sorted(trial.intermediate_values) == list(range(n_epochs))


def test_a_run_that_is_no_trial_is_left_alone(tmp_path):
    storage, study = study_with(tmp_path, 2.0)
    metrics = run(tmp_path / "run", "trainer.max_epochs=3", "optimizer.lr=0.5", *node(storage))
    assert "test/mAP" in metrics
    assert len(study.trials) == 1


def test_a_process_that_follows_stops_with_the_one_that_leads(tmp_path):
    """Only that one knows its trial; a process that went on alone would wait for the others for ever."""
    callback = Pruning(study="tokens", storage="sqlite://", destination=ALONE, **SETTINGS)
    for is_behind in (False, True):
        strategy = SimpleNamespace(broadcast=lambda mine, leads=is_behind: leads)
        trainer = SimpleNamespace(is_global_zero=False, strategy=strategy, should_stop=False)
        callback.on_fit_start(trainer, pl.LightningModule())
        callback.on_train_epoch_end(trainer, pl.LightningModule())
        assert trainer.should_stop == is_behind


def test_without_a_study_nothing_is_done(tmp_path):
    callback = Pruning(study="none", storage=f"sqlite:///{tmp_path}/study.db", destination=ALONE, **SETTINGS)
    callback.on_fit_start(pl.Trainer(logger=False, accelerator="cpu"), pl.LightningModule())
    assert callback._trial is None
