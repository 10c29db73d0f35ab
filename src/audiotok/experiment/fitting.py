"""Train a module on an experiment's clips, validate its best checkpoint, and report the results."""

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from audiotok.errors import UserError
from audiotok.experiment.build import Parts, timed
from audiotok.experiment.configuration import plain
from audiotok.logger.logger import RunLogger
from audiotok.run.checkpoint import load_best, load_to_resume
from audiotok.run.folder import RunFolder
from audiotok.run.provenance import complete_provenance
from audiotok.training.pretrainer import Pretrainer
from audiotok.training.tagger import Tagger

log = logging.getLogger(__name__)


def fit(parts: Parts, module: Tagger | Pretrainer, logger: RunLogger) -> dict[str, Any]:
    """Train a module, load its best checkpoint, and validate that.

    Returns:
        Its validation scores, and `best_epoch`, counted from 1, if a best checkpoint was saved.
    """
    _check_monitors(parts.config, module.val_scores)
    facts, trainer = _facts(parts), parts.trainer
    log.info(
        "Model: %s parameters, %d tokens per clip, a vocabulary of %s.",
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
    if best is None:
        log.warning("No best checkpoint was saved, so the last weights are scored.")
    facts = {} if best is None else {"best_epoch": _epoch_of(best, folder)}
    with timed(parts.seconds, "validate"):
        [scores] = trainer.validate(
            module, parts.datamodule, ckpt_path=best, verbose=False, weights_only=True
        )
    return {**scores, **facts}


def choice(parts: Parts, results: dict[str, Any]) -> str:
    """Say in a sentence which weights were scored, and why those."""
    if "best_epoch" not in results:
        return "The weights of the last epoch were scored."
    best = parts.callbacks["best"]
    extreme = "lowest" if getattr(best, "mode", "max") == "min" else "highest"
    return (
        f"The weights of epoch {results['best_epoch']} of {parts.trainer.current_epoch} were scored, "
        f"which had the {extreme} {getattr(best, 'monitor', 'score')}."
    )


def collect(parts: Parts, scores: dict[str, Any]) -> dict[str, Any]:
    """Return the results of a run, one flat dictionary: scores, facts and the seconds of each stage."""
    seconds = {f"seconds/{stage}": round(value, 2) for stage, value in parts.seconds.items()}
    scores = {name: value for name, value in scores.items() if name != "epoch"}
    return {**scores, **_facts(parts), **seconds}


def report(parts: Parts, results: dict[str, Any], logger: RunLogger) -> None:
    """Log what is known at the end of a run: durations, vocabulary and checkpoint."""
    logger.log_scores(
        {key: value for key, value in results.items() if key.startswith(("seconds/", "vocabulary/"))}
    )
    folder, vocabulary = parts.destination.folder, parts.vocabulary
    logger.show_vocabulary(vocabulary.tokenizer.cpu())
    logger.keep_vocabulary(folder.vocabulary, vocabulary.key)
    logger.keep_checkpoint(folder.best, vocabulary.key)


def _check_monitors(config: DictConfig, val_scores: set[str]) -> None:
    """Refuse callbacks that watch a score that is never logged; Lightning would say so after an epoch."""
    for name, node in (config.get("callbacks") or {}).items():
        monitor = str((node or {}).get("monitor", "train/"))
        if not monitor.startswith("train/") and monitor not in val_scores:
            raise UserError(
                f"callbacks.{name}.monitor={monitor} is not logged; choose one of "
                f"{', '.join(sorted(val_scores))}."
            )


def _train(parts: Parts, module: pl.LightningModule) -> None:
    trainer, ckpt_path = parts.trainer, parts.config.ckpt_path
    if ckpt_path is not None:
        load_to_resume(Path(ckpt_path))
    try:
        trainer.fit(module, parts.datamodule, ckpt_path=ckpt_path, weights_only=True)
    except RuntimeError as error:
        if ckpt_path is None or "state_dict" not in str(error):
            raise
        raise UserError(
            f"ckpt_path={ckpt_path} does not fit the model that is configured; use the model of its run."
        ) from error


def _best_checkpoint(parts: Parts) -> str | None:
    """Return the checkpoint that `callbacks.best` has saved; None if there is none."""
    return getattr(parts.callbacks.get("best"), "best_model_path", None) or None


def _epoch_of(best: str, folder: RunFolder) -> int:
    """Return the epoch that a checkpoint is of, counted from 1."""
    return int(load_best(Path(best), f"hydra.run.dir={folder}")["epoch"]) + 1


def _facts(parts: Parts) -> dict[str, Any]:
    """Return what follows from the configuration and the data before training."""
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
