"""Clips, tagged by a finished run and scored as the test clips of a training run are."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.data.corpus.corpus import Corpus
from audiotok.evaluation.matching import Matching
from audiotok.loader.waveforms import WaveformReader
from audiotok.prediction.tagger import TrainedRun
from audiotok.training.calibration import Calibration, only_candidates
from audiotok.training.metrics import Metrics, f1_of
from audiotok.training.predictions import Predictions
from audiotok.training.reliability import reliability


def predictions_of(run: TrainedRun, corpus: Corpus, matching: Matching) -> Predictions:
    """Tag the test clips of a corpus, cropped and padded as in training.

    Args:
        run: A finished run.
        corpus: Its classes are the matched ones, C.
        matching: Says which of the run's logits they are.

    Returns:
        Predictions without average precisions, which `scored` adds.

    Raises:
        UserError: A clip can no longer be read.
    """
    clips = corpus.clips["test"]
    reader = WaveformReader(clips, run.clip_seconds, run.tokenizer.features)
    logits = torch.empty(len(clips), len(matching.classes))
    for place, clip in enumerate(tqdm(clips, "Scoring clips", unit="clip", disable=None, leave=False)):
        waveform, n_samples = reader.waveform(clip)
        logits[place] = run.logits([waveform[:n_samples].numpy()])[0, torch.tensor(matching.of_run)]
    targets = np.zeros((len(clips), len(matching.classes) + len(matching.only_data)), bool)
    targets[clips.label_rows(range(len(clips)))] = True
    return Predictions(
        torch.arange(len(clips)),
        logits,
        torch.from_numpy(targets[:, matching.of_data]),
        torch.full((len(matching.classes),), torch.nan),
        _of_classes(run.calibration, matching),
    )


def scored(
    predictions: Predictions, metrics: Callable[..., Metrics], tuned_threshold: float
) -> tuple[Predictions, dict[str, Any]]:
    """Return predictions with the average precision of each class, and their scores as training names them.

    Args:
        predictions: Of clips.
        metrics: Builds the scores from `n_classes` and the `prefix` of their names.
        tuned_threshold: The one for all classes that validation has chosen, of uncalibrated probabilities.
    """
    targets, activation = predictions.targets.int(), predictions.calibration.activation
    metric = metrics(n_classes=targets.shape[1], prefix="test/")
    metric.update(predictions.scores, targets)
    results = {name: float(value) for name, value in metric.compute().items()}
    tuned = only_candidates(predictions.scores, activation) > tuned_threshold
    results |= _f1("tuned", tuned, targets)
    results |= _f1("class_thresholds", predictions.calibration.heard(predictions.probabilities), targets)
    for name, probabilities in (("ece", predictions.probabilities), ("ece_uncalibrated", predictions.scores)):
        results[f"test/{name}"] = reliability(probabilities, targets, activation).error()
    shares = predictions.targets.double().mean(0)
    results["chance/mAP"] = float(shares[shares > 0].mean())
    results["n_test_clips"] = len(targets)
    return replace(predictions, average_precision=metric.average_precision()), results


def _f1(kind: str, heard: Tensor, targets: Tensor) -> dict[str, float]:
    both = zip(("micro", "macro"), f1_of(heard, targets), strict=True)
    return {f"test/f1_{mean}_{kind}": float(value) for mean, value in both}


def _of_classes(calibration: Calibration, matching: Matching) -> Calibration:
    """Return the calibration of the matched classes alone."""
    parts = (calibration.scale, calibration.offset, calibration.thresholds)
    return Calibration(calibration.activation, *(tuple(part[i] for i in matching.of_run) for part in parts))
