"""The interface of loggers: what a run reports while it trains, and once it has been tested.

A run asks its logger for everything and never what kind it is. A logger does what it can show, and nothing
for the rest: `logger=none` is the interface itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger

from audiotok.run.gallery import Example
from audiotok.tokens.quantizer import Quantizer

Row = Sequence[str | int | float | None]


class RunLogger:
    """A logger that does nothing; others override what they can show.

    Attributes:
        lightning: The logger to which Lightning's trainer reports scores; False for none.
        n_examples: How many test clips `show_examples` is given, and the run's folder keeps.
    """

    lightning: Logger | Literal[False] = False
    n_examples: int = 0

    def log_settings(self, settings: Mapping[str, Any]) -> None:
        """Log the configuration of the run, and what follows from it."""

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Log numbers that are known once, and have no step."""

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table."""

    def show_picture(self, name: str, picture: Image.Image) -> None:
        """Show a picture."""

    def show_examples(self, examples: Sequence[Example]) -> None:
        """Show test clips that can be listened to, at most `n_examples`."""

    def show_vocabulary(self, tokenizer: Quantizer) -> None:
        """Show what the centroids of a tokenizer on the CPU stand for."""

    def show_vocabulary_use(self, counts: np.ndarray) -> None:
        """Show how often each centroid occurred in the last epoch of training (Q, K)."""

    def keep_vocabulary(self, folder: Path, key: str) -> None:
        """Store the files of the vocabulary under its key."""

    def keep_checkpoint(self, path: Path, vocabulary_key: str) -> None:
        """Store the tested checkpoint, which may not exist."""

    def finish(self, succeeded: bool) -> None:
        """End the run; nothing is logged after this."""


class LightningLogger(RunLogger):
    """A logger that logs settings and scores to one of Lightning's.

    Args:
        lightning: That logger.
    """

    def __init__(self, lightning: Logger) -> None:
        self.lightning: Logger = lightning

    def log_settings(self, settings: Mapping[str, Any]) -> None:
        """Log them as hyperparameters."""
        self.lightning.log_hyperparams(dict(settings))

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Log them as metrics of no step."""
        self.lightning.log_metrics(dict(scores))
