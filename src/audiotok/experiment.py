"""From a Hydra configuration to a trained and scored tagger: the only file that sees a DictConfig."""

import logging
import os
import pickle
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch import nn

from audiotok import preparing
from audiotok.augment.recipe import Recipe
from audiotok.callbacks.checkpoint import BestCheckpoint
from audiotok.callbacks.one_run import OneRun
from audiotok.callbacks.progress import Progress
from audiotok.checkpoint import BEST, read_checkpoint
from audiotok.data.clip import Check, SoundClass
from audiotok.data.corpus import Corpus, open_corpus
from audiotok.data.manifest import open_manifest
from audiotok.doctor.examination import Examination
from audiotok.doctor.patient import Patient
from audiotok.engine.engine import Engine
from audiotok.errors import UserError
from audiotok.loader.datamodule import ClipDataModule, default_workers
from audiotok.loader.fill import fill_frames, fill_tokens
from audiotok.loader.kept import Kept
from audiotok.logger.closing import finish
from audiotok.logger.destination import Destination
from audiotok.model.bert import Bert
from audiotok.model.model import Model, Sizes, Start
from audiotok.model.transformer import Transformer
from audiotok.module import Optimizer, Schedule, Tagger
from audiotok.pretraining import Pretrainer
from audiotok.ranks import followers
from audiotok.results import summary, write_metrics, write_results
from audiotok.signature import check_signature
from audiotok.store import Store
from audiotok.tokenizer import Tokenizer
from audiotok.vocabulary import Vocabulary, copy_vocabulary, fit_or_load, load_run_vocabulary

log = logging.getLogger(__name__)
CONFIG, VOCABULARY = "config.yaml", "vocabulary"


@dataclass(frozen=True)
class Root:
    """The keys at the root of `configs/train.yaml`, and their types."""

    seed: int
    cache_dir: str
    compile: bool
    ckpt_path: str | None
    optimized_metric: str


@dataclass(frozen=True)
class PrepareRoot:
    """The keys at the root of `configs/prepare.yaml`, and their types."""

    cache_dir: str
    check: Check
    min_positives: int
    fill: Literal["none", "frames", "tokens"]
    seed: int


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
    trainer: pl.Trainer
    seconds: dict[str, float]


def train(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Train and score a tagger, and leave its results in the run's folder.

    Args:
        config: Composed from `configs/train.yaml`.
        destination: The run's folder, name and group.

    Returns:
        What `metrics.json` holds, one flat dictionary.

    Raises:
        UserError: Something in the configuration or on the disk is for the user to mend.
    """
    with _run(config, destination) as logger:
        loss = _instantiate(config.loss)
        parts = build(config, destination, logger)
        module = Tagger(
            parts.model,
            classes=parts.corpus.classes,
            threshold=config.metrics.threshold,
            loss=loss,
            mixup=parts.recipe.mixup,
            optimizer=parts.optimizer,
            schedule=parts.schedule,
            vocabulary_key=parts.vocabulary.key,
            seed=config.seed,
        )
        with followers(parts.trainer, destination.folder):
            scores = _fit(parts, module)
            with _timed(parts.seconds, "test"):
                [tested] = parts.trainer.test(module, parts.datamodule, verbose=False)
        results = _results(parts, {**scores, **tested})
        if destination.leads:
            write_results(destination.folder, parts.corpus, module.predictions(), results, logger)
        log.info("%s All of it is in %s.", summary(results), os.path.relpath(destination.folder))
        return results


def pretrain(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Train a model to fill masked tokens, for `model.init_from`; labels are not used.

    Args:
        config: Composed from `configs/pretrain.yaml`.
        destination: The run's folder, name and group.

    Returns:
        What `metrics.json` holds, one flat dictionary.

    Raises:
        UserError: Something in the configuration or on the disk is for the user to mend.
    """
    with _run(config, destination) as logger:
        kind = get_class(config.model._target_)
        if not issubclass(kind, Bert):
            option = kind.__module__.rpartition(".")[2]
            raise UserError(f"model={option} has no masked tokens to fill; choose model=bert.")
        objective = _instantiate(config.objective)
        parts = build(config, destination, logger)
        assert isinstance(parts.model, Bert)
        if parts.recipe.mixup.share:
            log.warning("augment.mixup is left out: it mixes labels, and pretraining has none.")
        codebooks = parts.vocabulary.tokenizer.codebooks
        module = Pretrainer(
            parts.model,
            n_codebooks=codebooks.n_codebooks,
            n_clusters=codebooks.n_clusters,
            objective=objective,
            optimizer=parts.optimizer,
            schedule=parts.schedule,
            vocabulary_key=parts.vocabulary.key,
            seed=config.seed,
        )
        with followers(parts.trainer, destination.folder):
            results = _results(parts, _fit(parts, module))
        if destination.leads:
            write_metrics(destination.folder, results, logger)
        log.info(
            "Validation: %.4f nats a hidden token, %.1f %% guessed. Go on from it with model.init_from=%s.",
            results["val/loss"],
            100 * results["val/accuracy"],
            os.path.relpath(destination.folder),
        )
        return results


def prepare(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Find out which clips of a corpus are there and usable, report, and keep their mel frames or tokens.

    Args:
        config: Composed from `configs/prepare.yaml`.
        destination: The run's folder.

    Returns:
        What `report.json` holds.

    Raises:
        UserError: Something in the configuration or on the disk is for the user to mend.
    """
    _begin(config, destination, PrepareRoot)
    source, engine = _instantiate(config.data), _instantiate(config.engine)
    store = Store(config.cache_dir)
    found = preparing.prepare(source, store, destination.folder, config.min_positives, engine)
    if config.fill != "none":
        _fill(config, open_corpus(source, store), store, engine)
    return found


def doctor(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Look for what keeps a run from learning, before it is made, and report; W&B and `compile` are left out.

    Args:
        config: Composed from `configs/doctor.yaml`.
        destination: The run's folder.

    Returns:
        What `doctor.json` holds.

    Raises:
        UserError: Something in the configuration or on the disk is for the user to mend, before any clip is
            looked at.
    """
    if destination.group is not None:
        raise UserError("audiotok doctor looks at one run at a time; leave out -m, and give one value a key.")
    config.merge_with({"logger": None, "compile": False})
    with _run(config, destination):
        examination, loss = Examination(), _instantiate(config.loss)
        extent = _instantiate(config.doctor)
        sample_rate = build_tokenizer(config).features.sample_rate
        manifest = open_manifest(_instantiate(config.data), Store(config.cache_dir))
        examination.examine_listing(manifest, sample_rate)
        try:
            parts = build(config, destination, None)
        except UserError as error:
            examination.note_no_run(error)
        else:
            parts.datamodule.trainer = parts.trainer  # which tells where tokens are made
            examination.examine_run(
                Patient(
                    corpus=parts.corpus,
                    vocabulary=parts.vocabulary,
                    datamodule=parts.datamodule,
                    model=parts.model,
                    loss=loss,
                    optimizer=parts.optimizer,
                    gradient_clip=config.trainer.gradient_clip_val,
                    device=parts.trainer.strategy.root_device,
                    extent=extent,
                )
            )
        return examination.conclude(destination.folder)


def _fill(config: DictConfig, corpus: Corpus, store: Store, engine: Engine) -> None:
    """Keep the mel frames of all clips, or fit the centroids and keep the tokens."""
    tokenizer = build_tokenizer(config)
    if config.fill == "frames":
        kept: Kept = fill_frames(corpus, tokenizer.features, store, engine)
    else:
        fit_or_load(tokenizer, corpus, store, n_workers=default_workers())
        kept = fill_tokens(corpus, tokenizer, store, engine)
    log.info("The %s of %s clips are in %s.", kept.name, f"{len(kept.rows):,}", kept.folder)


def _begin(config: DictConfig, destination: Destination, root: type[Root | PrepareRoot]) -> None:
    """Check a configuration, and write it to the run's folder."""
    check(config, root)
    if destination.leads:
        destination.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, destination.folder / CONFIG, resolve=True)


@contextmanager
def _run(config: DictConfig, destination: Destination) -> Iterator[Logger | None]:
    """Begin a run, and close its logger however it ends.

    A process that follows another one does all the same, writes nothing, and leaves the talking to that.
    """
    _quieten(destination.leads)
    logger = None
    succeeded = False
    try:
        _begin(config, destination, Root)
        logger = _build_logger(config, destination) if destination.leads else None
        yield logger
        succeeded = True
    finally:
        finish(logger, succeeded)


def check(config: DictConfig, root: type[Root | PrepareRoot] = Root) -> None:
    """Compare every value with the type that what it configures wants.

    Args:
        config: Composed from one of the programs' YAMLs.
        root: What that has at its root.

    Raises:
        UserError: A value is of the wrong type.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    groups = {str(key): node for key, node in plain.items() if isinstance(node, dict)}
    for key, node in groups.items():
        check_signature(key, node)
    keys = {key: value for key, value in plain.items() if key not in groups and key != "logger"}
    check_signature("", {"_target_": f"{__name__}.{root.__name__}", **keys})
    if keys.get("seed", 0) < 0:
        raise UserError(f"seed={keys['seed']} is no seed; choose 0 or more.")


def build(config: DictConfig, destination: Destination, logger: Logger | None) -> Parts:
    """Build all parts of an experiment, cheap checks first, and fit the centroids if no run has yet."""
    seconds: dict[str, float] = {}
    store = Store(config.cache_dir)
    tokenizer = build_tokenizer(config)
    with _timed(seconds, "inspect"):
        skipped = destination.folder / "skipped.csv" if destination.leads else None
        corpus = open_corpus(_instantiate(config.data), store, skipped)
    model = build_model(config, tokenizer, corpus.clip_seconds, len(corpus.classes))
    optimizer, schedule = _instantiate(config.optimizer), _instantiate(config.schedule)
    recipe = _instantiate(config.augment)
    datamodule = _instantiate(
        config.loader, corpus=corpus, tokenizer=tokenizer, store=store, stage=model.reads, recipe=recipe
    )
    trainer = _build_trainer(config, destination, logger)
    _check_shares(corpus, trainer.world_size)
    with _timed(seconds, "fit_centroids"):
        vocabulary = fit_or_load(tokenizer, corpus, store, datamodule.cache, datamodule.n_workers)
        if destination.leads:
            copy_vocabulary(vocabulary, destination.folder / VOCABULARY)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    class_prior = torch.from_numpy(corpus.class_counts("train") / len(corpus.clips["train"])).float()
    model.start_from(Start(tokenizer.codebooks.centroids, class_prior, vocabulary.key))
    if config.compile:
        _compile(model)
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
        trainer=trainer,
        seconds=seconds,
    )


def _compile(model: Model) -> None:
    """Compile what training calls of a model, as it stands; weights and their names stay what they are."""
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise UserError("compile=true needs a C++ compiler, and none is here; install g++, or choose false.")
    calls: list[tuple[nn.Module, str]] = [(model, "embed"), (model, "classify")]
    if isinstance(model, Transformer):
        calls.append((model.encoder, "states"))  # by itself in pretraining
    for owner, name in calls:
        setattr(owner, name, torch.compile(getattr(owner, name)))


def build_tokenizer(config: DictConfig) -> Tokenizer:
    """Build features and codebooks, not fitted yet."""
    return Tokenizer(_instantiate(config.features), _instantiate(config.clustering))


def build_model(config: DictConfig, tokenizer: Tokenizer, clip_seconds: float, n_classes: int) -> Model:
    """Build the model for a tokenizer's vocabulary and clip length, from the seed alone."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    sizes = Sizes(
        n_mels=tokenizer.features.n_mels,
        n_dimensions=tokenizer.features.n_dimensions,
        n_codebooks=tokenizer.codebooks.n_codebooks,
        n_clusters=tokenizer.codebooks.n_clusters,
        n_tokens=tokenizer.n_tokens(clip_seconds),
        n_classes=n_classes,
    )
    model = _instantiate(config.model, sizes=sizes)
    assert isinstance(model, Model)
    return model


@dataclass(frozen=True)
class Restored:
    """The trained parts of a finished run, for use on other sounds."""

    tokenizer: Tokenizer
    model: Model
    classes: list[SoundClass]
    clip_seconds: float


def restore(folder: Path) -> Restored:
    """Read a run's tokenizer and best model from its folder.

    Raises:
        UserError: The folder is not that of a finished run.
    """
    for path in (folder / CONFIG, folder / BEST):
        if not path.is_file():
            raise UserError(
                f"{folder} is not the folder of a trained run: it has no {path.name}; give another."
            )
    config = OmegaConf.load(folder / CONFIG)
    assert isinstance(config, DictConfig)
    checkpoint = read_checkpoint(folder, str(folder))
    tokenizer = build_tokenizer(config)
    vocabulary = load_run_vocabulary(tokenizer, folder / VOCABULARY)
    if vocabulary.key != checkpoint["vocabulary_key"]:
        raise UserError(
            f"{folder / BEST} was trained with the centroids {checkpoint['vocabulary_key']}, and "
            f"{folder / VOCABULARY} holds {vocabulary.key}; take both from one run."
        )
    if "classes" not in checkpoint:
        raise UserError(
            f"{folder} is a run of `audiotok pretrain`, which knows no classes; give one that began with it "
            f"(model.init_from={folder})."
        )
    classes = [SoundClass(id_, name) for id_, name in checkpoint["classes"]]
    model = build_model(config, tokenizer, config.data.clip_seconds, len(classes))
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    model.load_state_dict(weights)
    return Restored(tokenizer, model.eval(), classes, config.data.clip_seconds)


def _fit(parts: Parts, module: pl.LightningModule) -> dict[str, Any]:
    """Train a module, and return the validation scores of its best checkpoint, which it then has."""
    facts, trainer = _facts(parts), parts.trainer
    log.info(
        "Model: %s parameters, %d tokens a clip, a vocabulary of %s.",
        f"{facts['n_parameters']:,}",
        facts["n_tokens"],
        f"{facts['vocab_size']:,}",
    )
    if trainer.logger is not None:
        trainer.logger.log_hyperparams({**_plain(parts.config), "derived": facts})
    with _timed(parts.seconds, "train"):
        _train(trainer, module, parts.datamodule, parts.config.ckpt_path)
    best = _best_checkpoint(trainer)
    with _timed(parts.seconds, "validate"):
        [scores] = trainer.validate(
            module, parts.datamodule, ckpt_path=best, verbose=False, weights_only=True
        )
    return dict(scores)


def _results(parts: Parts, scores: dict[str, Any]) -> dict[str, Any]:
    seconds = {f"seconds/{stage}": round(value, 2) for stage, value in parts.seconds.items()}
    scores = {name: value for name, value in scores.items() if name != "epoch"}
    return {**scores, **_facts(parts), **seconds}


def _train(
    trainer: pl.Trainer, module: pl.LightningModule, datamodule: ClipDataModule, ckpt_path: str | None
) -> None:
    if ckpt_path is not None and not Path(ckpt_path).is_file():
        raise UserError(f"ckpt_path={ckpt_path} is no file; give a checkpoint, or null to start anew.")
    try:
        trainer.fit(module, datamodule, ckpt_path=ckpt_path, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"ckpt_path={ckpt_path} is no checkpoint; give one of a run's checkpoints/."
        ) from error
    except RuntimeError as error:
        if ckpt_path is None or "state_dict" not in str(error):
            raise
        raise UserError(
            f"ckpt_path={ckpt_path} does not fit the model that is configured; use the model of its run."
        ) from error


def _best_checkpoint(trainer: pl.Trainer) -> str | None:
    """Return the checkpoint with the best validation score; None keeps the weights as they are."""
    paths = [c.best_model_path for c in trainer.callbacks if isinstance(c, BestCheckpoint)]  # type: ignore[attr-defined]
    if not any(paths):
        log.warning("No best checkpoint was kept, so the last weights are scored.")
        return None
    return paths[0]


def _facts(parts: Parts) -> dict[str, Any]:
    """Return what follows from the configuration and the data, before anything is trained."""
    corpus, tokenizer = parts.corpus, parts.vocabulary.tokenizer
    return {
        "chance/mAP": corpus.chance("test"),
        "n_train_clips": len(corpus.clips["train"]),
        "n_val_clips": len(corpus.clips["val"]),
        "n_test_clips": len(corpus.clips["test"]),
        "n_skipped_clips": len(corpus.skipped),
        "n_classes": len(corpus.classes),
        "n_tokens": tokenizer.n_tokens(corpus.clip_seconds),
        "vocab_size": parts.vocabulary.size,
        "n_parameters": sum(p.numel() for p in parts.model.parameters()),
        "centroid_key": parts.vocabulary.key,
        **{f"vocabulary/{k}": v for k, v in parts.vocabulary.report.items() if not isinstance(v, list)},
    }


def _build_logger(config: DictConfig, destination: Destination) -> Logger | None:
    return _instantiate(config.logger, destination=destination) if config.get("logger") else None


def _build_trainer(config: DictConfig, destination: Destination, logger: Logger | None) -> pl.Trainer:
    callbacks = [OneRun(), *(_instantiate(node) for node in config.callbacks.values() if node)]
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            callback.dirpath = str(destination.folder / BEST.parent)
    bar = config.trainer.enable_progress_bar
    bar = sys.stderr.isatty() if bar is None else bar
    if bar:
        callbacks.append(Progress())
    trainer = _instantiate(
        config.trainer,
        callbacks=callbacks,
        logger=logger or False,
        default_root_dir=destination.folder,
        enable_progress_bar=bar,
    )
    assert isinstance(trainer, pl.Trainer)
    _check_training(config)
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


def _instantiate(node: DictConfig, **derived: object) -> Any:
    """Build what a node names, its own mistakes aside, with the errors of its constructor as they are."""
    try:
        partial = instantiate(node, _convert_="all", _partial_=True)
        return partial(**derived)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise


def _quieten(leads: bool) -> None:
    """Leave out what libraries say of themselves and users can do nothing about; our own lines remain.

    Of several processes, one speaks.
    """
    if not leads:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        return
    for name in ("pytorch_lightning", "lightning_fabric", "faiss"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.14
        r"No positive samples found in target.*",  # our policy for such classes is in metrics/multilabel.py
        r".*does not have many workers.*",  # the number of cores decides, see loader.n_workers
        r"The number of training batches .* is smaller than the logging interval.*",
        r"It is recommended to use .*sync_dist=True.*",  # what is logged has been gathered by its metric
        r"The dirpath has changed.*",  # a resumed run writes its last checkpoint to a folder of its own
    ):
        warnings.filterwarnings("ignore", message=message)


def _plain(config: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
