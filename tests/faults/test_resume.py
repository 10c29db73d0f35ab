"""Training that is stopped at any step and resumes ends as if it had never stopped, to the last bit.

One undisturbed run of each setting writes a checkpoint after every batch, every validation and every epoch,
each into a folder of its own together with the best checkpoint of that moment, as a kill would leave them.
Resumed runs start from some of these. Compared are all weights, the state of the optimiser, of the average
and of the metrics, every row of the history, and the best checkpoint.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from runs import run
from tiny import build_tiny_recipe, fit_vocabulary
from tiny_models import KINDS

from audiotok.callbacks.averaging import Averaging
from audiotok.callbacks.checkpoint import BestCheckpoint
from audiotok.callbacks.history import History
from audiotok.callbacks.resumption import Resumption
from audiotok.callbacks.throughput import Throughput
from audiotok.callbacks.vocabulary_use import VocabularyUse
from audiotok.data.corpus.corpus import Corpus
from audiotok.loader.datamodule import ClipDataModule
from audiotok.logger.logger import RunLogger
from audiotok.model.model import Sizes, Start
from audiotok.run.history import read_history
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.training.loss import BCE
from audiotok.training.optimizer import AdamW
from audiotok.training.pretrainer import Pretrainer
from audiotok.training.schedule import Constant, Cosine
from audiotok.training.tagger import Tagger

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]
RECIPE = build_tiny_recipe(
    sound={"mix": 0.5, "rotate": True, "gain_db": 6.0, "mask_time": 0.2},
    words={"mask_time": 0.2, "mask_codebooks": 0.1, "noise": 0.2},
    mixup={"share": 0.6},
)
MASKED = build_tiny_recipe(words={"mask_time": 0.2})
# What differs from a bag of words trained for three epochs of three batches with a cosine.
SETTINGS: dict[str, dict[str, Any]] = {
    "bag": {},
    "bag, augmented": {"recipe": RECIPE},
    "bag, balanced, two workers": {"recipe": RECIPE, "loader": {"sampling": "balanced", "n_workers": 2}},
    "bag, gradients of two batches": {"trainer": {"accumulate_grad_batches": 2}},
    "bag, gradients of four batches": {
        "loader": {"batch_size": 2},
        "trainer": {"accumulate_grad_batches": 4},
    },
    "bag, validated within epochs": {"trainer": {"val_check_interval": 2}, "loader": {"batch_size": 4}},
    "bag, validated every second epoch": {"trainer": {"check_val_every_n_epoch": 2}},
    "bag, part of an epoch": {"trainer": {"limit_train_batches": 2, "num_sanity_val_steps": 1}},
    "bag, averaged": {"averaging": True, "schedule": Constant(0.3)},
    "bag, averaged, validated within epochs": {"averaging": True, "trainer": {"val_check_interval": 1}},
    "bag, stopped early": {"patience": 1, "rate": 1e-9, "trainer": {"max_epochs": 4}},
    "bag, stopped early within an epoch": {"patience": 2, "rate": 1e-9, "trainer": {"val_check_interval": 1}},
    "bert, augmented, balanced": {
        "model": "bert",
        "recipe": RECIPE,
        "loader": {"sampling": "balanced"},
        "schedule": Constant(),
    },
    "bert, averaged, dropout": {
        "model": "bert",
        "averaging": True,
        "model_changes": {"dropout": 0.2, "stochastic_depth": 0.3},
    },
    "cnn, augmented": {"model": "cnn", "recipe": RECIPE},
    "pretrain": {"pretrain": True, "model": "bert", "recipe": MASKED},
    "pretrain, balanced, gradients of two batches": {
        "pretrain": True,
        "model": "bert",
        "averaging": True,
        "loader": {"sampling": "balanced"},
        "trainer": {"accumulate_grad_batches": 2},
    },
}
Fit = Callable[..., tuple[pl.Trainer, History]]


class Snapshots(Checkpoint):
    """Write a checkpoint at every moment at which one may be written, and the best checkpoint beside it."""

    def __init__(self, folder: Path, best: Path) -> None:
        self.folder, self.best = folder, best
        self.paths: dict[str, Path] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._write(trainer, "batch")

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if not trainer.sanity_checking:
            self._write(trainer, "validation")

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._write(trainer, "epoch")

    def _write(self, trainer: pl.Trainer, moment: str) -> None:
        if trainer.state.fn != "fit":
            return
        n_batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        name = f"{moment} {n_batches} of epoch {trainer.current_epoch}"
        self.paths[name] = self.folder / name.replace(" ", "_") / "last.ckpt"
        trainer.save_checkpoint(self.paths[name])
        if self.best.exists():
            shutil.copy2(self.best, self.paths[name].with_name("best.ckpt"))


@pytest.fixture(scope="module")
def tokenizer(
    tiny_corpus: Corpus, tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Tokenizer:
    """A tokenizer that is fitted to the tiny corpus, with two codebooks."""
    tokenizer = tiny_tokenizer("product", n_codebooks=2)
    fit_vocabulary(tokenizer, tiny_corpus, Store(tmp_path_factory.mktemp("vocabulary")))
    return tokenizer


@pytest.fixture
def fit(tiny_corpus: Corpus, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Train with some settings into a folder, from the beginning or from a checkpoint."""
    store = Store(tmp_path_factory.mktemp("store"))

    def fit(
        settings: dict[str, Any], folder: Path, ckpt_path: Path | None, *more: pl.Callback
    ) -> tuple[pl.Trainer, History]:
        pl.seed_everything(0, verbose=False)
        recipe = settings.get("recipe", build_tiny_recipe())
        kind, arguments = KINDS[settings.get("model", "bag")]
        sizes = Sizes.of(tokenizer, len(tiny_corpus.classes), tiny_corpus.clip_seconds)
        arguments = {**arguments, "dropout": 0.2, **settings.get("model_changes", {})}
        if "max_position_embeddings" in arguments:
            arguments["max_position_embeddings"] = sizes.n_tokens + 1
        model = kind(**arguments, sizes=sizes)
        prior = torch.full((len(tiny_corpus.classes),), 0.4)
        model.start_from(Start(tokenizer.codebooks.centroids, prior))
        training = {
            "optimizer": AdamW(lr=settings.get("rate", 0.01)),
            "schedule": settings.get("schedule", Cosine(0.2)),
            "vocabulary_key": "key",
            "seed": 0,
        }
        if settings.get("pretrain"):
            books = tokenizer.codebooks
            build = partial(Pretrainer, n_codebooks=books.n_codebooks, n_clusters=books.n_clusters)
            monitor, mode = "val/loss", "min"
        else:
            loss = BCE(label_smoothing=0.1)
            build = partial(Tagger, classes=tiny_corpus.classes, mixup=recipe.mixup, loss=loss)
            monitor, mode = "val/mAP", "max"
        loader = {"batch_size": 6, "n_workers": 0, **settings.get("loader", {})}
        data = ClipDataModule(tiny_corpus, tokenizer, store, model.reads, recipe, **loader)
        history = History(folder / "history.csv")
        folder.mkdir(parents=True)
        callbacks = [
            Resumption(),
            history,
            VocabularyUse(8, RunLogger()),
            Throughput(),
            BestCheckpoint(monitor, mode, dirpath=folder / "checkpoints"),
            ModelCheckpoint(folder / "checkpoints", filename="last", enable_version_counter=False),
            *more,
        ]
        if settings.get("averaging"):
            callbacks.insert(2, Averaging(0.9))
        if "patience" in settings:
            callbacks.insert(2, EarlyStopping(monitor, mode=mode, patience=settings["patience"]))
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            callbacks=callbacks,
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **{"max_epochs": 3, "num_sanity_val_steps": 0, **settings.get("trainer", {})},
        )
        module = build(model, **training)
        trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
        return trainer, history

    return fit


def what_it_came_to(folder: Path, trainer: pl.Trainer, history: History) -> dict[str, Any]:
    """Return everything that must be equal."""
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    kept = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers")
    rows = history.state_dict()["rows"]
    [schedule], [optimizer] = trainer.lr_scheduler_configs, trainer.optimizers
    return {
        "steps": {"epoch": trainer.current_epoch, "global_step": trainer.global_step},
        "rows": [{n: value for n, value in row.items() if n != "train/clips_per_second"} for row in rows],
        "module": trainer.lightning_module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.scheduler.state_dict(),
        "best": {key: best.get(key) for key in (*kept, "epoch", "global_step")},
    }


def differences(first: Any, second: Any, name: str = "") -> list[str]:
    """Name what differs; NaN equals NaN."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [str(key) for key in first.keys() ^ second.keys()]
        pairs = [(first[key], second[key], f"{name}/{key}") for key in first if key in second]
    elif isinstance(first, list | tuple) and isinstance(second, list | tuple):
        keys = [f"{len(first)} and {len(second)}"] if len(first) != len(second) else []
        pairs = [(a, b, f"{name}/{n}") for n, (a, b) in enumerate(zip(first, second, strict=False))]
    else:
        is_tensor = isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)
        same = torch.equal(first, second) if is_tensor else first == second or (first != first)
        return [] if same else [f"{name}: {first} {second}"]
    return [f"{name}: {key}" for key in keys] + [line for pair in pairs for line in differences(*pair)]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_that_is_stopped_anywhere_ends_as_if_it_had_not_been(fit, name, tmp_path, tries, tally):
    settings = SETTINGS[name]
    checkpoints = tmp_path / "whole" / "checkpoints"
    snapshots = Snapshots(tmp_path / "at", checkpoints / "best.ckpt")
    wanted = what_it_came_to(tmp_path / "whole", *fit(settings, tmp_path / "whole", None, snapshots))
    moments = random.Random(name).sample(sorted(snapshots.paths), len(snapshots.paths))
    moments.sort(key=lambda moment: not moment.startswith("batch"))  # inside an epoch first
    chosen = [moments.pop(0 if n % 2 == 0 else -1) for n in range(min(len(moments), tries(6, least=2)))]
    for moment in chosen:
        folder = tmp_path / "rest" / moment.replace(" ", "_")
        rest = fit(settings, folder, snapshots.paths[moment])
        differing = differences(wanted, what_it_came_to(folder, *rest))
        assert not differing, f"{name}, stopped at {moment}: {[text[:120] for text in differing[:5]]}"
        fault = "after an epoch" if moment.startswith("epoch") else "inside an epoch"
        tally(f"training resumes from a checkpoint written {fault}", Counter({"equal to the last bit": 1}))


@pytest.mark.usefixtures("at_length")
def test_two_processes_resume_inside_an_epoch(tmp_path, tally):
    every_step = (
        "+callbacks.steps._target_=pytorch_lightning.callbacks.ModelCheckpoint",
        "+callbacks.steps.every_n_train_steps=1",
        "+callbacks.steps.save_top_k=-1",
        "+callbacks.steps.filename='{step}'",
    )
    settings = (
        "trainer.devices=2",
        "loader.batch_size=4",
        "loader.sampling=balanced",
        "trainer.max_epochs=2",
    )
    run(tmp_path / "whole", *settings, *every_step)
    first = tmp_path / "whole" / "checkpoints" / "step=1.ckpt"
    assert len(torch.load(first, weights_only=True)["resumption"]["processes"]) == 2
    run(tmp_path / "rest", *settings, *every_step, f"ckpt_path='{first}'")
    wanted, found = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("whole", "rest")
    )
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert not differences(wanted[key], found[key])
    rows = [read_history(tmp_path / name / "history.csv") for name in ("whole", "rest")]
    for row in (*rows[0], *rows[1]):
        row.pop("train/clips_per_second")
    assert not differences(*rows)
    tally("two processes resume inside an epoch", Counter({"equal to the last bit": 1}))
