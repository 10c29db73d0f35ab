"""The results of a run, for people and other programs to read: predictions, scores, and a summary line."""

import math
from typing import Any

import numpy as np

from audiotok.data.corpus.corpus import Corpus
from audiotok.disk.writing import replacing, rows_as_text
from audiotok.run.diagram import reliability_diagram
from audiotok.run.folder import RunFolder
from audiotok.run.sums import write_summed
from audiotok.training.predictions import Predictions
from audiotok.training.reliability import reliability

_N_WORST = 3  # classes that the summary names
COLUMNS = ["id", "name", "test_positives", "average_precision", "auroc"]
RELIABILITY = ["calibrated", "statements", "mean_probability", "share_of_hits"]
Row = list[str | int | float | None]


def write_results(
    folder: RunFolder, corpus: Corpus, predictions: Predictions, results: dict[str, Any]
) -> None:
    """Write predictions, what they are worth by class and by probability, and the flat dictionary of results.

    In `predictions.npz`, `scores` are the probabilities that `metrics.json` is computed from, and
    `probabilities` the calibrated ones, which `audiotok predict` gives.

    Args:
        folder: The run's folder.
        corpus: The corpus of the test clips and classes.
        predictions: The predictions for the test clips.
        results: One flat dictionary.
    """
    with replacing(folder.predictions) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            ids=np.array(corpus.clips["test"].ids(predictions.clips.numpy())),
            classes=np.array([sound_class.id for sound_class in corpus.classes]),
            scores=predictions.scores.numpy().astype(np.float32),
            probabilities=predictions.probabilities.numpy().astype(np.float32),
            targets=predictions.targets.numpy(),
        )
    write_summed(folder.per_class, rows_as_text([COLUMNS, *per_class(corpus, predictions)]))
    folder.write_calibration(predictions.calibration.as_dict())
    write_summed(folder.reliability, rows_as_text([RELIABILITY, *reliability_rows(predictions)]))
    with replacing(folder.reliability_diagram) as temporary:
        reliability_diagram(predictions).save(temporary, "PNG")
    if predictions.has_single_labels:
        columns, rows = confusion(corpus, predictions)
        write_summed(folder.confusion, rows_as_text([columns, *rows]))
    folder.write_metrics(results)


def per_class(corpus: Corpus, predictions: Predictions) -> list[Row]:
    """Return a row of `COLUMNS` for every class; a score that one has not is None."""
    positives = predictions.targets.sum(0).tolist()
    scores = predictions.average_precision.tolist(), predictions.areas.tolist()
    return [
        [sound_class.id, sound_class.name, n, *(None if math.isnan(s) else round(s, 6) for s in found)]
        for sound_class, n, *found in zip(corpus.classes, positives, *scores, strict=True)
    ]


def confusion(corpus: Corpus, predictions: Predictions) -> tuple[list[str], list[Row]]:
    """Return columns and rows of the confusion matrix: classes down, most probable classes across."""
    ids = [sound_class.id for sound_class in corpus.classes]
    return ["class", *ids], [
        [id_, *counts] for id_, counts in zip(ids, predictions.confusion().tolist(), strict=True)
    ]


def reliability_rows(predictions: Predictions) -> list[Row]:
    """Return rows of `RELIABILITY`: the bins of uncalibrated and of calibrated probabilities."""
    activation = predictions.calibration.activation
    return [
        [name, *row]
        for name, probabilities in (("no", predictions.scores), ("yes", predictions.probabilities))
        for row in reliability(probabilities, predictions.targets, activation).rows()
    ]


def summary(corpus: Corpus, predictions: Predictions, results: dict[str, Any]) -> list[str]:
    """Summarise the test in a line or two: its scores, and the classes with the lowest average precision.

    Accuracy is among the scores if every clip has one label.
    """
    accuracy = ""
    if (predictions.targets.sum(1) == 1).all():
        accuracy = f"accuracy {100 * results['test/top1']:.1f} %, "
    scores = (
        f"Test mAP {results['test/mAP']:.4f} (chance {results['chance/mAP']:.4f}), {accuracy}F1 micro "
        f"{results['test/f1_micro_tuned']:.4f} and macro {results['test/f1_macro_tuned']:.4f} at the "
        f"threshold tuned on validation, Hamming loss {results['test/hamming_loss']:.4f}, on "
        f"{results['n_test_clips']:,} clips with {results['test/n_scored_classes']:.0f} classes."
    )
    names = [sound_class.name for sound_class in corpus.classes]
    precisions = zip(predictions.average_precision.tolist(), names, strict=True)
    ranked = sorted(pair for pair in precisions if not math.isnan(pair[0]))
    if len(ranked) <= _N_WORST:
        return [scores]
    worst = ", ".join(f"{name} {precision:.3f}" for precision, name in ranked[:_N_WORST])
    return [scores, f"Lowest average precision: {worst}."]
