"""All parts of an experiment that training and pretraining share, built from a configuration and fitted."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from audiotok.augment.recipe import Recipe
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.experiment.configuration import build_node, build_offered
from audiotok.experiment.construction import build_model, build_tokenizer
from audiotok.experiment.tokenizer import vocabulary_for
from audiotok.experiment.trainer import build_callbacks, build_trainer
from audiotok.experiment.weights import load_earlier
from audiotok.loader.datamodule import ClipDataModule
from audiotok.loader.training_clips import CorpusClips
from audiotok.logger.logger import RunLogger
from audiotok.model.model import Model, Start
from audiotok.run.destination import Destination
from audiotok.run.threads import set_threads
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import Vocabulary, copy_vocabulary
from audiotok.training.loss import Auto, Loss, activation_of
from audiotok.training.optimizer import Optimizer
from audiotok.training.schedule import Schedule

log = logging.getLogger(__name__)


@dataclass
class Parts:
    """What training and pretraining share; `seconds` collects how long each stage of the run takes.

    Pretraining has no loss of labels.
    """

    config: DictConfig
    destination: Destination
    corpus: Corpus
    vocabulary: Vocabulary
    datamodule: ClipDataModule
    model: Model
    loss: Loss | None
    recipe: Recipe
    optimizer: Optimizer
    schedule: Schedule
    callbacks: dict[str, pl.Callback]
    trainer: pl.Trainer
    seconds: dict[str, float]


def build(config: DictConfig, destination: Destination, logger: RunLogger) -> Parts:
    """Build all parts of an experiment, cheap checks first, and fit centroids unless a run has done so."""
    seconds: dict[str, float] = {}
    store = Store(config.cache_dir)
    tokenizer = build_tokenizer(config)
    with timed(seconds, "inspect"):
        skipped = destination.folder.skipped if destination.leads else None
        corpus = open_corpus(build_node(config.data), store, skipped)
    _check_batch(config, corpus, tokenizer)
    loss = build_loss(config, corpus) if "loss" in config else None
    model = build_model(config, tokenizer, corpus.clip_seconds, len(corpus.classes))
    optimizer, schedule = build_node(config.optimizer), build_node(config.schedule)
    recipe = build_node(config.augment)
    callbacks = build_callbacks(config, destination, logger, tokenizer)
    trainer = build_trainer(config, destination, logger, callbacks.values())
    set_threads(config.get("threads", "auto"), model, trainer.strategy.root_device)
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
        vocabulary = vocabulary_for(config, tokenizer, clips, store)
        if destination.leads:
            copy_vocabulary(vocabulary, destination.folder.vocabulary)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    class_prior = torch.from_numpy(corpus.class_counts("train") / len(corpus.clips["train"])).float()
    activation = "sigmoid" if loss is None else activation_of(loss)
    model.start_from(Start(tokenizer.codebooks.centroids, class_prior, activation))
    if config.model.get("init_from"):
        load_earlier(model, Path(config.model.init_from), vocabulary.key)
    if config.model.get("freeze"):
        model.freeze()
    if config.compile:
        compile_model(model)
    return Parts(
        config=config,
        destination=destination,
        corpus=corpus,
        vocabulary=vocabulary,
        datamodule=datamodule,
        model=model,
        loss=loss,
        recipe=recipe,
        optimizer=optimizer,
        schedule=schedule,
        callbacks=callbacks,
        trainer=trainer,
        seconds=seconds,
    )


def build_loss(config: DictConfig, corpus: Corpus) -> Loss:
    """Build the loss for the labels of a corpus, and tell which one `auto` has chosen."""
    loss: Loss = build_offered(config.loss, {"single_labels": corpus.single_labels})
    if isinstance(loss, Auto):
        log.info(
            "Every clip has exactly one label: loss=cross_entropy (softmax)."
            if loss.single_labels
            else "Clips have any number of labels: loss=bce (sigmoid)."
        )
    return loss


def compile_model(model: Model) -> None:
    """Compile the methods of a model that training calls; its weights and their names stay the same."""
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise UserError("compile=true needs a C++ compiler, which is missing; install g++, or choose false.")
    for name in model.compilable:
        setattr(model, name, torch.compile(getattr(model, name)))


def _check_batch(config: DictConfig, corpus: Corpus, tokenizer: Tokenizer) -> None:
    """Refuse batches whose analysis cannot fit into memory, or clips whose waveform cannot."""
    features, seconds = tokenizer.features, corpus.clip_seconds
    n_clips = min(config.loader.batch_size, max(map(len, corpus.clips.values())))
    n_samples = round(seconds * features.sample_rate)
    of_clip = features.analysis_dtype.itemsize * features.n_slices(n_samples) * features.n_bins
    check_memory(
        4 * n_samples + n_clips * of_clip,
        f"loader.batch_size={config.loader.batch_size} with data.clip_seconds={seconds}, "
        f"features.sample_rate={features.sample_rate} and {features.n_bins} values in each of the "
        f"{features.analysis_name}",
    )


def _check_shares(corpus: Corpus, n_ranks: int) -> None:
    for split, clips in corpus.clips.items():
        if len(clips) < n_ranks:
            raise UserError(
                f"trainer.devices and trainer.num_nodes give {n_ranks} processes, and the {split} split has "
                f"only {len(clips)} clips; use fewer devices, or add clips."
            )


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Measure how long a stage of a run takes."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
