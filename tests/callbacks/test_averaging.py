"""The moving average of the weights, against a plain loop, and in whole runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from runs import SYNTHETIC, TINY, command, run
from torch import Tensor, nn
from torch.utils.data import DataLoader

from audiotok.callbacks.averaging import Averaging
from audiotok.callbacks.checkpoint import BestCheckpoint
from audiotok.errors import UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),  # Lightning 2.6 on torch 2.14
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]
N_BATCHES = 5  # of an epoch
Weights = dict[str, Tensor]


class Learner(pl.LightningModule):
    """Learn noise with batch norm, a constant of integers, and note its weights wherever it is used.

    Args:
        scores: Validation score of each epoch.
    """

    def __init__(self, scores: tuple[float, ...] = (0.1, 0.2, 0.3)) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.register_buffer("offsets", torch.arange(1, 4), persistent=False)
        self.scores = scores
        self.trained: list[Weights] = []  # after each optimiser step
        self.validated: list[Weights] = []
        self.tested: list[Weights] = []

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        return (self.net(batch[:, :3] * self.offsets) - batch[:, 3:]).square().mean()

    def on_train_batch_end(self, *_: Any) -> None:
        self.trained.append(weights(self))

    def validation_step(self, batch: Tensor, batch_index: int) -> None:
        self.validated.append(weights(self))
        self.log("val/mAP", self.scores[self.current_epoch % len(self.scores)])

    def test_step(self, batch, batch_index):
        self.tested.append(weights(self))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def weights(module: pl.LightningModule) -> Weights:
    return {name: weight.detach().clone() for name, weight in module.state_dict().items()}


def trainer(folder: Path, *callbacks: pl.Callback, max_epochs: int = 3, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=list(callbacks),
        **{"enable_checkpointing": False, **options},
    )


def clips() -> DataLoader:
    return DataLoader(torch.randn(8 * N_BATCHES, 4, generator=torch.Generator().manual_seed(1)), batch_size=8)


def one_batch() -> DataLoader:
    return DataLoader(torch.zeros(8, 4), batch_size=8)


def fit(folder: Path, *callbacks: pl.Callback, **options: Any) -> Learner:
    module = Learner()
    trainer(folder, *callbacks, **options).fit(module, clips(), one_batch())
    return module


def averages(trained: list[Weights], decay: float) -> list[Weights]:
    """Average weights in numpy, after every step."""
    means: list[dict[str, np.ndarray]] = []
    for n, step in enumerate(trained):
        current = {name: weight.numpy() for name, weight in step.items()}
        if n:
            kept = min(decay, (1 + n) / (10 + n))
            current = {
                name: kept * means[-1][name] + (1 - kept) * weight if weight.dtype == np.float32 else weight
                for name, weight in current.items()
            }
        means.append(current)
    return [{name: torch.from_numpy(np.asarray(mean)) for name, mean in step.items()} for step in means]


def assert_close(first: Weights, second: Weights) -> None:
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name].to(first[name].dtype), rtol=1e-5, atol=1e-6)


def assert_equal(first: Weights, second: Weights) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_average_is_that_of_a_plain_loop(tmp_path, decay):
    module = fit(tmp_path, Averaging(decay))
    assert len(module.trained) == 3 * N_BATCHES
    assert_close(weights(module), averages(module.trained, decay)[-1])


def test_the_average_after_one_step_is_that_step_and_not_the_start(tmp_path):
    module = fit(tmp_path, Averaging(0.999), max_steps=1)
    assert_equal(weights(module), module.trained[0])
    assert not torch.equal(weights(module)["net.0.weight"], weights(Learner())["net.0.weight"])


def test_an_average_of_few_steps_is_near_the_last_ones(tmp_path):
    module = fit(tmp_path, Averaging(0.9999))
    start, first, last = weights(Learner()), module.trained[0], module.trained[-1]
    travelled = float((last["net.0.weight"] - start["net.0.weight"]).norm())
    left = float((weights(module)["net.0.weight"] - last["net.0.weight"]).norm())
    assert left < 0.5 * travelled
    constant = first["net.0.weight"].lerp(last["net.0.weight"], 1 - 0.9999)  # what the decay alone would give
    assert left < float((constant - last["net.0.weight"]).norm())


def test_counts_of_batch_norm_are_counts_and_its_statistics_averages(tmp_path):
    module = fit(tmp_path, Averaging(0.9))
    assert int(module.net[1].num_batches_tracked) == 3 * N_BATCHES
    means = averages(module.trained, 0.9)[-1]
    torch.testing.assert_close(module.net[1].running_mean, means["net.1.running_mean"])
    assert not torch.equal(module.net[1].running_mean, module.trained[-1]["net.1.running_mean"])


def test_constants_stay_what_they_are(tmp_path):
    assert fit(tmp_path, Averaging(0.9)).offsets.tolist() == [1, 2, 3]


def test_validation_scores_the_average(tmp_path):
    module = fit(tmp_path, Averaging(0.9))
    means = averages(module.trained, 0.9)
    for epoch, validated in enumerate(module.validated):
        assert_close(validated, means[(epoch + 1) * N_BATCHES - 1])


def test_averaging_does_not_change_what_is_trained(tmp_path):
    averaged, plain = fit(tmp_path, Averaging(0.9)), fit(tmp_path)
    for first, second in zip(averaged.trained, plain.trained, strict=True):
        assert_equal(first, second)


def test_batches_that_share_an_optimiser_step_count_once(tmp_path):
    module = fit(tmp_path, Averaging(0.9), accumulate_grad_batches=N_BATCHES)
    last_of_each_step = module.trained[N_BATCHES - 1 :: N_BATCHES]
    assert_close(weights(module), averages(last_of_each_step, 0.9)[-1])


def fit_best(folder: Path, scores: tuple[float, ...]) -> tuple[Learner, pl.Trainer, Path]:
    """Train with a best checkpoint, as `experiment` does."""
    best = BestCheckpoint("val/mAP", "max", dirpath=folder)
    module = Learner(scores)
    fitted = trainer(folder, best, Averaging(0.9), enable_checkpointing=True)
    fitted.fit(module, clips(), one_batch())
    return module, fitted, folder / "best.ckpt"


def test_the_best_checkpoint_holds_the_average_of_the_best_epoch(tmp_path):
    module, _, path = fit_best(tmp_path, (0.1, 0.3, 0.2))
    checkpoint = torch.load(path, weights_only=True)
    assert_equal(checkpoint["state_dict"], module.validated[1])
    assert_equal(checkpoint["current_model_state"], module.trained[2 * N_BATCHES - 1])


def test_the_best_checkpoint_is_what_is_validated_and_tested_after_training(tmp_path, recwarn):
    module, fitted, path = fit_best(tmp_path, (0.3, 0.2, 0.1))
    fitted.validate(module, one_batch(), ckpt_path=path, verbose=False, weights_only=True)
    fitted.test(module, one_batch(), verbose=False)
    assert_equal(module.validated[-1], module.validated[0])
    assert_equal(module.tested[0], module.validated[0])
    assert not [warning for warning in recwarn if "WeightAveraging" in str(warning.message)]


def test_without_a_checkpoint_the_last_average_is_validated_and_tested(tmp_path):
    module = Learner()
    fitted = trainer(tmp_path, Averaging(0.9))
    fitted.fit(module, clips(), one_batch())
    fitted.validate(module, one_batch(), verbose=False)
    fitted.test(module, one_batch(), verbose=False)
    assert_equal(module.validated[-1], module.validated[-2])
    assert_equal(module.tested[0], module.validated[-1])


def test_a_resumed_run_is_averaged_as_if_never_stopped(tmp_path):
    def checkpoints(name: str) -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / name, filename="last")

    whole = fit(tmp_path, Averaging(0.9), checkpoints("whole"), enable_checkpointing=True)
    fit(tmp_path, Averaging(0.9), checkpoints("half"), enable_checkpointing=True, max_epochs=1)
    rest = Learner()
    trainer(tmp_path, Averaging(0.9), checkpoints("rest"), enable_checkpointing=True).fit(
        rest, clips(), one_batch(), ckpt_path=tmp_path / "half" / "last.ckpt", weights_only=True
    )
    assert_equal(weights(whole), weights(rest))
    assert_equal(whole.trained[-1], rest.trained[-1])
    for first, second in zip(whole.validated[1:], rest.validated, strict=True):
        assert_equal(first, second)


def test_a_run_that_stops_early_ends_with_its_average(tmp_path):
    module = Learner((0.3, 0.2, 0.1))
    stopping = EarlyStopping("val/mAP", mode="max", patience=1)
    trainer(tmp_path, Averaging(0.9), stopping).fit(module, clips(), one_batch())
    assert len(module.trained) == 2 * N_BATCHES
    assert_close(weights(module), averages(module.trained, 0.9)[-1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_average_lies_where_the_model_is(tmp_path):
    class Look(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            assert averaging._average_model is not None
            assert all(weight.is_cuda for weight in averaging._average_model.state_dict().values())

    averaging = Averaging(0.9)
    module = Learner()
    pl.Trainer(
        accelerator="gpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
        callbacks=[averaging, Look()],
    ).fit(module, clips())


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0, float("nan")])
def test_a_decay_that_is_no_share_is_refused_in_a_sentence(decay):
    with pytest.raises(UserError) as refused:
        Averaging(decay)
    assert str(refused.value) == (
        f"callbacks.averaging.decay={decay} is not a share; choose 0 or more, and less than 1."
    )


# ---- whole runs ----

STOPPING = (
    "+callbacks.early_stopping._target_=pytorch_lightning.callbacks.EarlyStopping",
    "+callbacks.early_stopping.monitor=val/mAP",
    "+callbacks.early_stopping.mode=max",
    "+callbacks.early_stopping.patience=1",
)


@pytest.mark.parametrize("model", ["bert", "cnn"])
def test_an_averaged_run_is_scored_and_predicts_with_its_average(tmp_path, model):
    from audiotok.experiment import restore
    from audiotok.prediction.tagger import TrainedRun

    tiny = [override for override in TINY if model == "bert" or not override.startswith("model.")]
    if model == "cnn":
        tiny.append("model.channels=[4,8]")
    command(
        f"hydra.run.dir={tmp_path}",
        f"model={model}",
        *tiny,
        *SYNTHETIC,
        "logger=none",
        "callbacks=averaging",
        "trainer.max_epochs=3",
        "optimizer.lr=0.01",
        f"cache_dir={tmp_path}/cache",
    )
    checkpoint = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    restored = restore(tmp_path)
    held = {f"model.{name}": weight for name, weight in restored.model.state_dict().items()}
    assert_equal(held, checkpoint["state_dict"])
    assert not all(torch.equal(held[name], checkpoint["current_model_state"][name]) for name in held)

    data = np.load(tmp_path / "predictions.npz")
    sound = next(tmp_path.glob("cache/synthetic/*/audio/eval/*/*.flac"))
    [scores] = data["probabilities"][data["ids"] == sound.stem]
    tags = {found.sound_class.id: found.probability for found in TrainedRun(restored).predict(sound).tags()}
    assert [tags[class_id] for class_id in data["classes"]] == pytest.approx(scores.tolist(), abs=1e-5)


def test_averaging_and_early_stopping_go_together(tmp_path):
    still = ("optimizer.lr=1e-9", "trainer.max_epochs=4")  # no epoch is better than the first
    run(tmp_path, "callbacks=averaging", *STOPPING, *still)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
