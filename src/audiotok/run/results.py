"""What a run leaves for people and for other programs to read: predictions, scores, and one line."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger

from audiotok.data.corpus.corpus import Corpus
from audiotok.logger.closing import Row, log_table
from audiotok.training.tagger import Predictions

METRICS = "metrics.json"
COLUMNS = ["id", "name", "test_positives", "average_precision"]


def write_results(
    folder: Path, corpus: Corpus, predictions: Predictions, results: dict[str, Any], logger: Logger | None
) -> None:
    """Write `predictions.npz`, `per_class.csv` and `metrics.json`, and show the logger what it lacks.

    Args:
        folder: The run's folder.
        corpus: Where the test clips and classes are from.
        predictions: Of the test clips.
        results: One flat dictionary.
        logger: The run's, or None.
    """
    np.savez_compressed(
        folder / "predictions.npz",
        ids=np.array(corpus.clips["test"].ids(predictions.clips.numpy())),
        classes=np.array([sound_class.id for sound_class in corpus.classes]),
        scores=predictions.scores.numpy().astype(np.float32),
        targets=predictions.targets.numpy(),
    )
    rows = per_class(corpus, predictions)
    with (folder / "per_class.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    log_table(logger, "test/per_class", COLUMNS, rows)
    write_metrics(folder, results, logger)


def write_metrics(folder: Path, results: dict[str, Any], logger: Logger | None) -> None:
    """Write `metrics.json`, and show the logger the seconds of each stage and the state of the vocabulary."""
    shown = {
        key: value
        for key, value in results.items()
        if key.startswith(("seconds/", "vocabulary/")) and not isinstance(value, list)
    }
    if logger is not None:
        logger.log_metrics(shown)
    (folder / METRICS).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def per_class(corpus: Corpus, predictions: Predictions) -> list[Row]:
    """Return id, name, positives and average precision of every class; None for those that do not occur."""
    positives = predictions.targets.sum(0).tolist()
    precisions = predictions.average_precision.tolist()
    return [
        [sound_class.id, sound_class.name, n, round(precision, 6) if n else None]
        for sound_class, n, precision in zip(corpus.classes, positives, precisions, strict=True)
    ]


def summary(results: dict[str, Any]) -> str:
    """Say in one line how the run ended."""
    return (
        f"Test mAP {results['test/mAP']:.4f} (chance {results['chance/mAP']:.4f}), F1 micro "
        f"{results['test/f1_micro_tuned']:.4f} and macro {results['test/f1_macro_tuned']:.4f} at the "
        f"threshold tuned on validation, Hamming loss {results['test/hamming_loss']:.4f}, of "
        f"{results['n_test_clips']:,} clips and {results['test/n_scored_classes']:.0f} classes that occur."
    )
