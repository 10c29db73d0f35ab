"""How long `audiotok compare` takes, and how large its page is.

    python benchmarks/compare.py                 200 generated runs of 300 test clips and 54 classes
    python benchmarks/compare.py --runs=20 --clips=20000 --classes=527

The runs are not trained: their predictions are drawn at random, with a skill that depends on two of the six
settings in which they differ, and on the seed. The command runs in a new process; its imports count.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from configuration import compose_program
from omegaconf import OmegaConf
from report import show, write_json

from audiotok.run.folder import RunFolder
from audiotok.run.history import write_history
from audiotok.run.results import COLUMNS

N_EPOCHS, LABELS_PER_CLIP = 20, 2


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--runs", type=int, default=200, help="runs to compare")
    parser.add_argument("--clips", type=int, default=300, help="test clips")
    parser.add_argument("--classes", type=int, default=54, help="classes")
    parser.add_argument("--to", type=Path, help="folder in which to keep the runs and the page")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.to or Path(temporary)
        write_runs(folder / "runs", options.runs, options.clips, options.classes)
        results = measure(folder / "runs", folder / "compare.html")
    show(results, f"audiotok compare with {options.runs} runs")
    write_json(results, options.json)
    return results


def measure(runs: Path, page: Path) -> dict[str, float]:
    """Compare runs in another process."""
    code = "from audiotok.cli import app; app()"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, "compare", str(runs), "--to", str(page)], check=True)
    return {"compare_seconds": time.perf_counter() - start, "page_mb": page.stat().st_size / 1e6}


def write_runs(folder: Path, n_runs: int, n_clips: int = 300, n_classes: int = 54) -> None:
    """Write the folders of runs that were tested on the same clips, and whose skill depends on settings."""
    rng = np.random.default_rng(0)
    config: Any = OmegaConf.to_container(compose_program(["logger=none"]), resolve=True)
    ids = np.array([f"clip{number:06}" for number in range(n_clips)])
    classes = np.array([f"/m/{number:05}" for number in range(n_classes)])
    popularity = 1 / np.arange(1, n_classes + 1)
    chance = LABELS_PER_CLIP * popularity / popularity.sum()
    targets = rng.random((n_clips, n_classes)) < np.minimum(chance, 0.5)
    ease = rng.normal(1.0, 0.4, n_classes)
    for number in range(n_runs):
        settings, skill = draw_settings(rng, number)
        for key, value in settings.items():
            *groups, name = key.split(".")
            reduce(getitem, groups, config)[name] = value
        logits = rng.normal(size=targets.shape) + targets * ease * skill - 2
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        run = RunFolder(folder / f"{number:03}")
        run.path.mkdir(parents=True)
        run.write_provenance({"program": "train"})
        run.write_config(yaml.dump(config, Dumper=yaml.CSafeDumper))
        write_scores(run, ids, classes, scores, targets)


def draw_settings(rng: np.random.Generator, number: int) -> tuple[dict[str, object], float]:
    """Draw the settings of a run, the same for three runs apart from the seed, and its skill."""
    choice = np.random.default_rng(number // 3)
    n_clusters = int(choice.choice([32, 64, 128, 256]))
    num_layers = int(choice.choice([2, 4, 6]))
    lr = float(f"{10 ** choice.uniform(-4, -2.5):.3g}")
    settings: dict[str, object] = {
        "seed": number % 3,
        "clustering.n_clusters": n_clusters,
        "model.num_layers": num_layers,
        "optimizer.lr": lr,
        "loss.label_smoothing": float(choice.choice([0.0, 0.1])),
        "augment.words.noise": float(choice.choice([0.0, 0.05, 0.1])),
        "model.pooling": str(choice.choice(["mean", "mean_max", "cls"])),
    }
    skill = 1.5 + 0.2 * np.log2(n_clusters / 64) - 0.8 * (np.log10(lr) + 3) ** 2 + 0.1 * rng.normal()
    return settings, float(skill)


def write_scores(
    run: RunFolder, ids: np.ndarray, classes: np.ndarray, scores: np.ndarray, targets: np.ndarray
) -> None:
    """Write the predictions of a run and all scores that follow from them."""
    np.savez_compressed(
        run.predictions, ids=ids, classes=classes, scores=scores, targets=targets.astype(np.int64)
    )
    positives = targets.sum(0)
    hits = np.take_along_axis(targets, np.argsort(-scores, axis=0), axis=0)
    precision_at = hits.cumsum(0) / np.arange(1, len(ids) + 1)[:, None]
    sums = (hits * precision_at).sum(0)
    precision = [total / n if n else None for total, n in zip(sums.tolist(), positives.tolist(), strict=True)]
    names = [f"Class number {number}" for number in range(len(classes))]
    with run.per_class.open("w", newline="", encoding="utf-8") as file:
        rows = zip(classes, names, positives, precision, strict=True)
        csv.writer(file).writerows([COLUMNS, *rows])
    mean = float(np.mean([value for value in precision if value is not None]))
    write_history(run.history, [epoch_of(epoch, mean) for epoch in range(N_EPOCHS)])
    run.write_metrics(
        {
            "test/mAP": mean,
            "val/mAP": mean * 1.02,
            "test/f1_micro_tuned": mean * 0.9,
            "test/hamming_loss": 0.1 * (1 - mean),
            "chance/mAP": float(targets.mean()),
            "n_parameters": 1_000_000,
            "seconds/train": 300.0,
        }
    )


def epoch_of(epoch: int, mean: float) -> dict[str, float]:
    """Return the scores of an epoch of a run whose final mAP is given."""
    share = 0.2 + 0.8 * epoch / (N_EPOCHS - 1)
    losses = {"train/loss": 0.7 - 0.5 * share, "val/loss": 0.7 - 0.4 * share}
    scores = {"train/mAP": mean * share + 0.05, "val/mAP": mean * share}
    return {"epoch": epoch, "step": 40 * (epoch + 1), **losses, **scores}


if __name__ == "__main__":
    main()
