"""What every logger is given at the end of a run, and the end itself."""

from pathlib import Path

import numpy as np
from pytorch_lightning.loggers import Logger

from audiotok.data.corpus.corpus import Corpus
from audiotok.logger.wandb import Wandb
from audiotok.run.gallery import choose_examples
from audiotok.tokens.vocabulary import Vocabulary
from audiotok.training.tagger import Predictions

Row = list[str | int | float | None]


def log_table(logger: Logger | None, name: str, columns: list[str], rows: list[Row]) -> None:
    """Show a table in the loggers that have tables."""
    if isinstance(logger, Wandb):
        logger.log_table(name, columns=columns, data=rows)


def log_vocabulary(
    logger: Logger | None, vocabulary: Vocabulary, counts: np.ndarray | None, folder: Path
) -> None:
    """Show the centroids and their use in the loggers that have pictures, and keep them by their key.

    Args:
        logger: The run's, or None.
        vocabulary: The run's.
        counts: How often each centroid occurred in the last epoch of training, (Q, K), where it was counted.
        folder: The vocabulary's.
    """
    if isinstance(logger, Wandb):
        logger.show_vocabulary(vocabulary.tokenizer.codebooks.centroids.cpu().numpy(), counts)
        logger.keep_vocabulary(folder, vocabulary.key)


def log_examples(
    logger: Logger | None, corpus: Corpus, vocabulary: Vocabulary, predictions: Predictions
) -> None:
    """Show test clips in the loggers that can be listened to."""
    if isinstance(logger, Wandb) and logger.n_examples:
        tokenizer = vocabulary.tokenizer
        examples = choose_examples(corpus, tokenizer, predictions, logger.n_examples)
        logger.show_examples(examples, tokenizer.codebooks.n_clusters)


def keep_checkpoint(logger: Logger | None, path: Path, vocabulary: Vocabulary) -> None:
    """Keep the tested checkpoint in the loggers that keep files."""
    if isinstance(logger, Wandb):
        logger.keep_checkpoint(path, vocabulary.key)


def finish(logger: Logger | None, succeeded: bool) -> None:
    """End the run in its logger, whatever happened to it."""
    if isinstance(logger, Wandb):
        logger.experiment.finish(exit_code=0 if succeeded else 1)
