"""The closing lines of a run."""

from types import SimpleNamespace

import torch

from audiotok.data.clip import SoundClass
from audiotok.run.results import summary
from audiotok.training.calibration import Calibration
from audiotok.training.predictions import Predictions

RESULTS = {
    "test/mAP": 0.5,
    "chance/mAP": 0.25,
    "test/top1": 0.75,
    "test/f1_micro_tuned": 0.1,
    "test/f1_macro_tuned": 0.2,
    "test/hamming_loss": 0.3,
    "test/n_scored_classes": 4.0,
    "n_test_clips": 8,
}


def lines(targets: torch.Tensor, precisions: list[float]) -> list[str]:
    classes = [SoundClass(f"/m/{i}", name) for i, name in enumerate("ABCDE")]
    predictions = Predictions(
        torch.arange(len(targets)),
        torch.rand(targets.shape),
        targets,
        torch.tensor(precisions),
        Calibration.plain(targets.shape[1]),
    )
    return summary(SimpleNamespace(classes=classes), predictions, RESULTS)


def test_accuracy_is_named_where_labels_are_single():
    single = torch.eye(5, dtype=torch.bool).repeat(2, 1)
    several = single.clone()
    several[0, 4] = True
    assert "accuracy 75.0 %" in lines(single, [0.5] * 5)[0]
    assert "accuracy" not in lines(several, [0.5] * 5)[0]


def test_the_three_classes_with_the_lowest_average_precision_are_named_worst_first():
    targets = torch.eye(5, dtype=torch.bool)
    assert lines(targets, [0.9, 0.1, float("nan"), 0.3, 0.2])[1].endswith("B 0.100, E 0.200, D 0.300.")


def test_of_three_classes_none_is_singled_out():
    assert len(lines(torch.eye(5, dtype=torch.bool), [0.9, 0.1, 0.3, float("nan"), float("nan")])) == 1
