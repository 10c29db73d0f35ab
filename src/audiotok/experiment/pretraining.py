"""Pretrain a model on masked tokens, without labels."""

import logging
import os
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig

from audiotok.errors import UserError
from audiotok.experiment.build import build
from audiotok.experiment.configuration import build_node, plain
from audiotok.experiment.fitting import choice, collect, fit, report
from audiotok.experiment.session import open_session
from audiotok.model.model import PretrainableModel
from audiotok.nodes.trust import modules_of
from audiotok.run.destination import Destination
from audiotok.run.processes import followers
from audiotok.training.pretrainer import Pretrainer

log = logging.getLogger(__name__)


def pretrain(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Train a model to fill masked tokens, for `model.init_from`; labels are not used.

    Args:
        config: Composed from `configs/pretrain.yaml`.
        destination: The run's folder, name and group.

    Returns:
        Scores and facts, one flat dictionary.

    Raises:
        UserError: The user can fix something in the configuration or on the disk.
    """
    with open_session(config, destination) as logger:
        _check(config)
        objective = build_node(config.objective)
        parts = build(config, destination, logger)
        assert isinstance(parts.model, PretrainableModel)
        if parts.recipe.mixup.share:
            log.warning("augment.mixup is ignored: it mixes labels, and pretraining uses none.")
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
        with followers(parts.trainer, destination.folder, modules_of(plain(config))):
            results = collect(parts, fit(parts, module, logger))
        if destination.leads:
            destination.folder.write_metrics(results)
            report(parts, results, logger)
        log.info("%s", choice(parts, results))
        log.info(
            "Validation: %.4f nats per hidden token, %.1f %% of them predicted.",
            results["val/loss"],
            100 * results["val/accuracy"],
        )
        log.info("Next: audiotok train model.init_from=%s.", os.path.relpath(destination.folder))
        return results


def _check(config: DictConfig) -> None:
    """Refuse settings that pretraining cannot work with, before anything is read."""
    kind = get_class(config.model._target_)
    if not issubclass(kind, PretrainableModel):
        option = kind.__module__.rpartition(".")[2]
        raise UserError(f"model={option} cannot fill masked tokens; choose model=bert.")
    if config.model.get("freeze"):
        raise UserError("model.freeze=true would leave pretraining nothing to learn; choose false.")
    if config.augment.words.noise:
        raise UserError(
            f"augment.words.noise={config.augment.words.noise} would make pretraining predict wrong tokens; "
            "choose augment.words.noise=0."
        )
