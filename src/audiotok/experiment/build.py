"""What training and pretraining have in common: all parts of an experiment, built and fitted."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from audiotok.augment.recipe import Recipe
from audiotok.callbacks.history import History
from audiotok.callbacks.one_run import OneRun
from audiotok.callbacks.progress import Progress
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.errors import UserError
from audiotok.experiment.configuration import build_node, build_offered, model_node
from audiotok.experiment.weights import load_pretrained
from audiotok.loader.datamodule import ClipDataModule
from audiotok.loader.training_clips import CorpusClips
from audiotok.logger.logger import RunLogger
from audiotok.model.model import Model, Sizes, Start
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import Vocabulary, copy_vocabulary, fit_or_load
from audiotok.training.optimizer import Optimizer
from audiotok.training.schedule import Schedule

log = logging.getLogger(__name__)


@dataclass
class Parts:
    """What training and pretraining have in common, built from a configuration."""

    config: DictConfig
    destination: Destination
    corpus: Corpus
    vocabulary: Vocabulary
    datamodule: ClipDataModule
    model: Model
    recipe: Recipe
    optimizer: Optimizer
    schedule: Schedule
    callbacks: dict[str, pl.Callback]
    trainer: pl.Trainer
    seconds: dict[str, float]


def build(config: DictConfig, destination: Destination, logger: RunLogger) -> Parts:
    """Build all parts of an experiment, cheap checks first, and fit the centroids if no run has yet."""
    seconds: dict[str, float] = {}
    store = Store(config.cache_dir)
    tokenizer = build_tokenizer(config)
    with timed(seconds, "inspect"):
        skipped = destination.folder.skipped if destination.leads else None
        corpus = open_corpus(build_node(config.data), store, skipped)
    model = build_model(config, tokenizer, corpus.clip_seconds, len(corpus.classes))
    optimizer, schedule = build_node(config.optimizer), build_node(config.schedule)
    recipe = build_node(config.augment)
    callbacks = build_callbacks(config, destination, logger, tokenizer)
    trainer = build_trainer(config, destination, logger, callbacks.values())
    datamodule = build_node(
        config.loader,
        corpus=corpus,
        tokenizer=tokenizer,
        store=store,
        stage=model.reads,
        recipe=recipe,
        device=trainer.strategy.root_device,
    )
    _check_shares(corpus, trainer.world_size)
    with timed(seconds, "fit_centroids"):
        clips = CorpusClips(corpus, tokenizer.features, datamodule.cache, datamodule.n_workers)
        vocabulary = fit_or_load(tokenizer, clips, store, _vocabulary_before(config))
        if destination.leads:
            copy_vocabulary(vocabulary, destination.folder.vocabulary)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    class_prior = torch.from_numpy(corpus.class_counts("train") / len(corpus.clips["train"])).float()
    model.start_from(Start(tokenizer.codebooks.centroids, class_prior))
    if config.model.get("init_from"):
        load_pretrained(model, Path(config.model.init_from), vocabulary.key)
    if config.compile:
        compile_model(model)
    return Parts(
        config=config,
        destination=destination,
        corpus=corpus,
        vocabulary=vocabulary,
        datamodule=datamodule,
        model=model,
        recipe=recipe,
        optimizer=optimizer,
        schedule=schedule,
        callbacks=callbacks,
        trainer=trainer,
        seconds=seconds,
    )


def _vocabulary_before(config: DictConfig) -> Path | None:
    """Return where the centroids are of the run that this one goes on from; None where it begins anew."""
    if config.ckpt_path:
        return RunFolder.of_checkpoint(Path(config.ckpt_path)).vocabulary
    start = config.model.get("init_from")
    return RunFolder(Path(start)).vocabulary if start else None


def compile_model(model: Model) -> None:
    """Compile the methods of a model that training calls; its weights and their names stay the same."""
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise UserError("compile=true needs a C++ compiler, which is missing; install g++, or choose false.")
    for name in model.compilable:
        setattr(model, name, torch.compile(getattr(model, name)))


def build_tokenizer(config: DictConfig) -> Tokenizer:
    """Build features and codebooks, not fitted yet."""
    return Tokenizer(build_node(config.features), build_node(config.clustering), build_node(config.sample))


def build_model(config: DictConfig, tokenizer: Tokenizer, clip_seconds: float, n_classes: int) -> Model:
    """Build the model for a tokenizer's vocabulary and clip length, from the seed alone."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    model = build_node(model_node(config), sizes=Sizes.of(tokenizer, n_classes, clip_seconds))
    assert isinstance(model, Model)
    return model


def build_callbacks(
    config: DictConfig, destination: Destination, logger: RunLogger, tokenizer: Tokenizer
) -> dict[str, pl.Callback]:
    """Build the configured callbacks, by their keys, and those that every run has.

    A callback is handed `destination`, `logger` and `dirpath`, the folder of the run's checkpoints, if its
    constructor takes them and its node leaves them open.
    """
    offered = {"destination": destination, "logger": logger, "dirpath": str(destination.folder.checkpoints)}
    callbacks: dict[str, pl.Callback] = {
        "_one_run": OneRun(destination.folder, tokenizer),
        "_history": History(destination.folder.history),
        **{str(key): build_offered(node, offered) for key, node in config.callbacks.items() if node},
    }
    if _shows_bar(config):
        callbacks["_progress"] = Progress()
    return callbacks


def _shows_bar(config: DictConfig) -> bool:
    bar = config.trainer.enable_progress_bar
    return sys.stderr.isatty() if bar is None else bool(bar)


def build_trainer(
    config: DictConfig, destination: Destination, logger: RunLogger, callbacks: Iterable[pl.Callback]
) -> pl.Trainer:
    """Build Lightning's trainer."""
    _check_training(config)
    try:
        trainer = build_node(
            config.trainer,
            callbacks=list(callbacks),
            logger=logger.lightning,
            default_root_dir=destination.folder.path,
            enable_progress_bar=_shows_bar(config),
        )
    except (MisconfigurationException, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"trainer: {said}.") from error
    assert isinstance(trainer, pl.Trainer)
    return trainer


def _check_training(config: DictConfig) -> None:
    if str(config.trainer.strategy).startswith(("ddp_spawn", "ddp_fork", "ddp_notebook")):
        raise UserError(
            f"trainer.strategy={config.trainer.strategy} makes processes that begin in the middle of a run; "
            "choose ddp, or auto."
        )
    if (
        config.trainer.precision == "16-mixed"
        and config.trainer.gradient_clip_val
        and config.optimizer.get("fused")
    ):
        raise UserError(
            "optimizer.fused=true undoes the scaling of trainer.precision=16-mixed too late for gradients to "
            "be clipped; choose optimizer.fused=false, trainer.gradient_clip_val=null, or bf16-mixed."
        )
    for name in ("accumulate_grad_batches", "log_every_n_steps"):
        if config.trainer[name] < 1:
            raise UserError(f"trainer.{name}={config.trainer[name]} is too small; choose 1 or more.")
    if (config.trainer.gradient_clip_val or 0) < 0:
        raise UserError(
            f"trainer.gradient_clip_val={config.trainer.gradient_clip_val} is negative; choose more than 0, "
            "or null for no clipping."
        )
    for name in ("limit_val_batches", "limit_test_batches"):
        if config.trainer.get(name) == 0:
            raise UserError(f"trainer.{name}=0 leaves no clip to score; choose more.")
    if config.trainer.max_epochs is None or config.trainer.max_epochs < 1:
        raise UserError(
            f"trainer.max_epochs={config.trainer.max_epochs} has no end, and schedules need one; "
            "choose 1 or more."
        )


def _check_shares(corpus: Corpus, n_ranks: int) -> None:
    for split, clips in corpus.clips.items():
        if len(clips) < n_ranks:
            raise UserError(
                f"trainer.devices and trainer.num_nodes make {n_ranks} processes, and the {split} split has "
                f"{len(clips)} clips to share out; use fewer devices, or add clips."
            )


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note how long a stage of a run takes."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
