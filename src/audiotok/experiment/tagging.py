"""Train and score a tagger, or pretrain its model without labels."""

import logging
import os
from functools import partial
from typing import Any

import pytorch_lightning as pl
from hydra.utils import get_class
from omegaconf import DictConfig

from audiotok.errors import UserError
from audiotok.experiment.build import Parts, build, timed
from audiotok.experiment.configuration import build_node, plain
from audiotok.experiment.session import open_session
from audiotok.logger.logger import RunLogger
from audiotok.model.model import PretrainableModel
from audiotok.run.checkpoint import check_checkpoint
from audiotok.run.destination import Destination
from audiotok.run.gallery import choose_examples
from audiotok.run.processes import followers
from audiotok.run.provenance import complete_provenance
from audiotok.run.results import COLUMNS, per_class, summary, write_results
from audiotok.training.pretrainer import Pretrainer
from audiotok.training.tagger import Tagger

log = logging.getLogger(__name__)


def train(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Train and score a tagger, and leave its results in the run's folder.

    Args:
        config: Composed from `configs/train.yaml`.
        destination: The run's folder, name and group.

    Returns:
        Scores and facts, one flat dictionary.

    Raises:
        UserError: Something in the configuration or on the disk is for the user to mend.
    """
    with open_session(config, destination) as logger:
        loss = build_node(config.loss)
        parts = build(config, destination, logger)
        module = Tagger(
            parts.model,
            classes=parts.corpus.classes,
            metrics=partial(build_node, config.metrics, n_classes=len(parts.corpus.classes)),
            loss=loss,
            mixup=parts.recipe.mixup,
            optimizer=parts.optimizer,
            schedule=parts.schedule,
            vocabulary_key=parts.vocabulary.key,
            seed=config.seed,
        )
        with followers(parts.trainer, destination.folder):
            scores = _fit(parts, module, logger)
            with timed(parts.seconds, "test"):
                [tested] = parts.trainer.test(module, parts.datamodule, verbose=False)
        results = _results(parts, {**scores, **tested})
        if destination.leads:
            predictions = module.predictions()
            shares = predictions.targets.double().mean(0)  # of what is scored: less under limit_test_batches
            results["n_test_clips"] = len(predictions.clips)
            results["chance/mAP"] = float(shares[shares > 0].mean())
            write_results(destination.folder, parts.corpus, predictions, results)
            logger.log_table("test/per_class", COLUMNS, per_class(parts.corpus, predictions))
            tokenizer = parts.vocabulary.tokenizer
            examples = choose_examples(parts.corpus, tokenizer, predictions, logger.n_examples)
            logger.show_examples(examples, tokenizer.codebooks.n_clusters)
            _report(parts, results, logger)
        log.info("%s All of it is in %s.", summary(results), os.path.relpath(destination.folder))
        return results


def pretrain(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Train a model to fill masked tokens, for `model.init_from`; labels are not used.

    Args:
        config: Composed from `configs/pretrain.yaml`.
        destination: The run's folder, name and group.

    Returns:
        Scores and facts, one flat dictionary.

    Raises:
        UserError: Something in the configuration or on the disk is for the user to mend.
    """
    with open_session(config, destination) as logger:
        kind = get_class(config.model._target_)
        if not issubclass(kind, PretrainableModel):
            option = kind.__module__.rpartition(".")[2]
            raise UserError(f"model={option} cannot fill masked tokens; choose model=bert.")
        if config.augment.words.noise:
            raise UserError(
                f"augment.words.noise={config.augment.words.noise} would have pretraining guess what was "
                "misheard; choose augment.words.noise=0."
            )
        objective = build_node(config.objective)
        parts = build(config, destination, logger)
        assert isinstance(parts.model, PretrainableModel)
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
            results = _results(parts, _fit(parts, module, logger))
        if destination.leads:
            destination.folder.write_metrics(results)
            _report(parts, results, logger)
        log.info(
            "Validation: %.4f nats a hidden token, %.1f %% guessed. Go on from it with model.init_from=%s.",
            results["val/loss"],
            100 * results["val/accuracy"],
            os.path.relpath(destination.folder),
        )
        return results


def _fit(parts: Parts, module: Tagger | Pretrainer, logger: RunLogger) -> dict[str, Any]:
    """Train a module, and return the validation scores of its best checkpoint, which it then has."""
    _check_monitors(parts.config, module.val_scores)
    facts, trainer = _facts(parts), parts.trainer
    log.info(
        "Model: %s parameters, %d tokens a clip, a vocabulary of %s.",
        f"{facts['n_parameters']:,}",
        facts["n_tokens"],
        f"{facts['vocab_size']:,}",
    )
    data = {split: clips.fingerprint() for split, clips in parts.corpus.clips.items()}
    folder = parts.destination.folder
    if parts.destination.leads:
        provenance = complete_provenance(folder.read_provenance(), trainer.strategy.root_device, data)
        folder.write_provenance(provenance)
        logger.log_settings({**plain(parts.config), "derived": facts, "provenance": provenance})
    with timed(parts.seconds, "train"):
        _train(parts, module)
    best = _best_checkpoint(parts)
    with timed(parts.seconds, "validate"):
        [scores] = trainer.validate(
            module, parts.datamodule, ckpt_path=best, verbose=False, weights_only=True
        )
    return dict(scores)


def _check_monitors(config: DictConfig, val_scores: set[str]) -> None:
    """Look whether callbacks watch what there is, which Lightning would tell after an epoch."""
    for name, node in config.callbacks.items():
        monitor = str((node or {}).get("monitor", "train/"))
        if not monitor.startswith("train/") and monitor not in val_scores:
            raise UserError(
                f"callbacks.{name}.monitor={monitor} is not logged; choose one of "
                f"{', '.join(sorted(val_scores))}."
            )


def _report(parts: Parts, results: dict[str, Any], logger: RunLogger) -> None:
    """Report what is known at the end of a run: durations, vocabulary and checkpoint."""
    logger.log_scores(
        {key: value for key, value in results.items() if key.startswith(("seconds/", "vocabulary/"))}
    )
    folder, vocabulary = parts.destination.folder, parts.vocabulary
    logger.show_vocabulary(vocabulary.tokenizer.codebooks.centroids.cpu().numpy())
    logger.keep_vocabulary(folder.vocabulary, vocabulary.key)
    logger.keep_checkpoint(folder.best, vocabulary.key)


def _results(parts: Parts, scores: dict[str, Any]) -> dict[str, Any]:
    seconds = {f"seconds/{stage}": round(value, 2) for stage, value in parts.seconds.items()}
    scores = {name: value for name, value in scores.items() if name != "epoch"}
    return {**scores, **_facts(parts), **seconds}


def _train(parts: Parts, module: pl.LightningModule) -> None:
    trainer, ckpt_path = parts.trainer, parts.config.ckpt_path
    if ckpt_path is not None:
        check_checkpoint(ckpt_path)
    try:
        trainer.fit(module, parts.datamodule, ckpt_path=ckpt_path, weights_only=True)
    except SystemExit:
        if trainer.interrupted:  # Lightning has cleaned up after Ctrl-C, and logged nothing
            last = parts.destination.folder.last
            hint = f"; ckpt_path={os.path.relpath(last)} resumes from its beginning" if last.exists() else ""
            log.error("Stopped in epoch %d%s.", trainer.current_epoch + 1, hint)
        raise
    except RuntimeError as error:
        if ckpt_path is None or "state_dict" not in str(error):
            raise
        raise UserError(
            f"ckpt_path={ckpt_path} does not fit the model that is configured; use the model of its run."
        ) from error


def _best_checkpoint(parts: Parts) -> str | None:
    """Return the checkpoint that `callbacks.best` has saved; None for the last weights, if there is none."""
    path = getattr(parts.callbacks.get("best"), "best_model_path", "")
    if not path:
        log.warning("No best checkpoint was saved, so the last weights are scored.")
    return path or None


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
