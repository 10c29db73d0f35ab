"""Train and score a tagger."""

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from audiotok.experiment.build import build, timed
from audiotok.experiment.configuration import build_node, plain
from audiotok.experiment.fitting import choice, collect, fit, report
from audiotok.experiment.session import open_session
from audiotok.nodes.trust import modules_of
from audiotok.run.destination import Destination
from audiotok.run.diagram import reliability_diagram
from audiotok.run.gallery import choose_examples, write_examples
from audiotok.run.processes import followers
from audiotok.run.results import COLUMNS, confusion, per_class, summary, write_results
from audiotok.training.tagger import Tagger

log = logging.getLogger(__name__)


def train(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Train and score a tagger, and write its results to the run's folder.

    Args:
        config: Composed from `configs/train.yaml`.
        destination: The run's folder, name and group.

    Returns:
        Scores and facts, one flat dictionary.

    Raises:
        UserError: The user can fix something in the configuration or on the disk.
    """
    with open_session(config, destination) as logger:
        parts = build(config, destination, logger)
        module = Tagger(
            parts.model,
            classes=parts.corpus.classes,
            metrics=partial(build_node, config.metrics, n_classes=len(parts.corpus.classes)),
            loss=parts.loss,
            mixup=parts.recipe.mixup,
            optimizer=parts.optimizer,
            schedule=parts.schedule,
            vocabulary_key=parts.vocabulary.key,
            seed=config.seed,
        )
        with followers(parts.trainer, destination.folder, modules_of(plain(config))):
            scores = fit(parts, module, logger)
            with timed(parts.seconds, "test"):
                [tested] = parts.trainer.test(module, parts.datamodule, verbose=False)
        results = collect(parts, {**scores, **tested})
        if destination.leads:
            predictions = module.predictions()
            shares = predictions.targets.double().mean(0)  # fewer clips are tested with limit_test_batches
            results["loss"] = type(getattr(parts.loss, "chosen", parts.loss)).__name__
            results["n_test_clips"] = len(predictions.clips)
            results["chance/mAP"] = float(shares[shares > 0].mean())
            write_results(destination.folder, parts.corpus, predictions, results)
            logger.log_table("test/per_class", COLUMNS, per_class(parts.corpus, predictions))
            logger.show_picture("test/reliability", reliability_diagram(predictions))
            if predictions.has_single_labels:
                logger.log_table("test/confusion", *confusion(parts.corpus, predictions))
            tokenizer = parts.vocabulary.tokenizer
            examples = choose_examples(parts.corpus, tokenizer, predictions, logger.n_examples)
            if examples:
                write_examples(destination.folder, examples)
                logger.show_examples(examples)
            report(parts, results, logger)
            lines = [choice(parts, results), *summary(parts.corpus, predictions, results)]
            for line in [*lines, _next_steps(destination)]:
                log.info("%s", line)
        return results


def _next_steps(destination: Destination) -> str:
    """Say where the results are; after a single run, also which commands come next."""
    folder = Path(os.path.relpath(destination.folder))
    if destination.group is not None:
        return f"The results are in {folder}."
    runs = "outputs" if folder.parts[:1] == ("outputs",) else folder
    return (
        f"The results are in {folder}. Next: `audiotok predict {folder} FILE...` tags sounds of your own, "
        f"`audiotok compare {runs}` shows runs side by side."
    )
