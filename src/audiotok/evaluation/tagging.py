"""Clips, tagged by a finished run and scored as the test clips of a training run are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from audiotok.data.corpus.corpus import Corpus
from audiotok.evaluation.matching import Matching
from audiotok.loader.waveforms import WaveformReader
from audiotok.prediction.tagger import TrainedRun
from audiotok.training.calibration import only_candidates
from audiotok.training.metrics import Metrics, f1_at
from audiotok.training.tagger import Predictions


def predictions_of(run: TrainedRun, corpus: Corpus, matching: Matching) -> Predictions:
    """Tag the test clips of a corpus, cropped and padded as in training.

    Args:
        run: A finished run.
        corpus: Its classes are the matched ones, C.
        matching: Says which of the run's scores they are.

    Raises:
        UserError: A clip can no longer be read.
    """
    clips = corpus.clips["test"]
    reader = WaveformReader(clips, run.clip_seconds, run.tokenizer.features)
    scores = np.empty((len(clips), len(corpus.classes)), np.float32)
    for place, clip in enumerate(tqdm(clips, "Scoring clips", unit="clip", disable=None, leave=False)):
        waveform, n_samples = reader.waveform(clip)
        scores[place] = run.predict(waveform[:n_samples], run.sample_rate).scores[0, matching.of_run]
    targets = np.zeros((len(clips), len(matching.classes) + len(matching.only_data)), bool)
    targets[clips.label_rows(range(len(clips)))] = True
    return Predictions(
        torch.arange(len(clips)),
        torch.from_numpy(scores),
        torch.from_numpy(targets[:, matching.of_data]),
        torch.full((len(corpus.classes),), torch.nan),
    )


def scored(
    run: TrainedRun, predictions: Predictions, matching: Matching, metrics: Callable[..., Metrics]
) -> tuple[Predictions, dict[str, Any]]:
    """Return predictions with the average precision of each class, and the scores by their names."""
    n_classes = len(matching.classes)
    metric, targets = metrics(n_classes=n_classes, prefix="test/"), predictions.targets.int()
    metric.update(predictions.scores, targets)
    thresholds = torch.tensor(run.thresholds)[torch.from_numpy(matching.of_run)]
    heard = (only_candidates(predictions.scores, run.calibration.activation) > thresholds).float()
    results = {name: float(value) for name, value in metric.compute().items()}
    results |= {f"test/{name}": float(value) for name, value in f1_at(0.5, heard, targets).items()}
    shares = predictions.targets.double().mean(0)
    results["chance/mAP"] = float(shares[shares > 0].mean())
    results["n_test_clips"] = len(targets)
    return predictions._replace(average_precision=metric.average_precision()), results
