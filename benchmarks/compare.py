"""How long `audiotok compare` takes, and how large its page gets.

    python benchmarks/compare.py                 200 runs that are drawn, not trained: 300 clips, 54 classes
    python benchmarks/compare.py --runs=20 --clips=20000 --classes=527

The runs differ in six settings, two of which decide their scores, and in seeds. The command runs in a
process of its own, imports included.
"""

import argparse
import csv
import json
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
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from audiotok.programs import config_folder

N_EPOCHS, LABELS_PER_CLIP = 20, 2


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--clips", type=int, default=300, help="test clips")
    parser.add_argument("--classes", type=int, default=54)
    parser.add_argument("--to", type=Path, help="keep runs and page in this folder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.to or Path(temporary)
        write_runs(folder / "runs", options.runs, options.clips, options.classes)
        results = measure(folder / "runs", folder / "compare.html")
    show(results, options.runs)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def measure(runs: Path, page: Path) -> dict[str, float]:
    """Compare runs in another process."""
    code = "from audiotok.cli import app; app()"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, "compare", str(runs), "--to", str(page)], check=True)
    return {"compare_seconds": time.perf_counter() - start, "page_mb": page.stat().st_size / 1e6}


def write_runs(folder: Path, n_runs: int, n_clips: int = 300, n_classes: int = 54) -> None:
    """Write run folders, as training leaves them, of taggers whose skill follows from their settings."""
    rng = np.random.default_rng(0)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", ["logger=none"]), resolve=True)
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
        write_run(
            folder / f"{number:03}", yaml.dump(config, Dumper=yaml.CSafeDumper), ids, classes, scores, targets
        )


def draw_settings(rng: np.random.Generator, number: int) -> tuple[dict[str, object], float]:
    """Draw what a run changes, three runs with each choice, and how well it tells classes apart."""
    choice = np.random.default_rng(number // 3)
    settings: dict[str, object] = {
        "seed": number % 3,
        "clustering.n_clusters": int(choice.choice([32, 64, 128, 256])),
        "model.num_layers": int(choice.choice([2, 4, 6])),
        "optimizer.lr": float(f"{10 ** choice.uniform(-4, -2.5):.3g}"),
        "loss.label_smoothing": float(choice.choice([0.0, 0.1])),
        "augment.words.noise": float(choice.choice([0.0, 0.05, 0.1])),
        "model.pooling": str(choice.choice(["mean", "mean_max", "first"])),
    }
    skill = (
        1.5
        + 0.2 * np.log2(settings["clustering.n_clusters"] / 64)
        - 0.8 * (np.log10(settings["optimizer.lr"]) + 3) ** 2
    )  # type: ignore[operator]
    return settings, float(skill + 0.1 * rng.normal())


def write_run(
    folder: Path, config: str, ids: np.ndarray, classes: np.ndarray, scores: np.ndarray, targets: np.ndarray
) -> None:
    """Write one run folder; its scores are read off its predictions."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    np.savez_compressed(
        folder / "predictions.npz", ids=ids, classes=classes, scores=scores, targets=targets.astype(np.int64)
    )
    positives = targets.sum(0)
    hits = np.take_along_axis(targets, np.argsort(-scores, axis=0), axis=0)
    precision_at = hits.cumsum(0) / np.arange(1, len(ids) + 1)[:, None]
    sums = (hits * precision_at).sum(0)
    precision = [total / n if n else None for total, n in zip(sums.tolist(), positives.tolist(), strict=True)]
    with (folder / "per_class.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "test_positives", "average_precision"])
        for number, id_ in enumerate(classes):
            writer.writerow([id_, f"Class number {number}", positives[number], precision[number]])
    mean = float(np.mean([value for value in precision if value is not None]))
    rate = np.linspace(0.2, 1, N_EPOCHS)
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "train/loss", "train/mAP", "val/loss", "val/mAP"])
        for epoch, share in enumerate(rate):
            row = [0.7 - 0.5 * share, mean * share + 0.05, 0.7 - 0.4 * share, mean * share]
            writer.writerow([epoch, 40 * (epoch + 1), *row])
    metrics = {
        "test/mAP": mean,
        "val/mAP": mean * 1.02,
        "test/f1_micro_tuned": mean * 0.9,
        "test/hamming_loss": 0.1 * (1 - mean),
        "chance/mAP": float(targets.mean()),
        "n_parameters": 1_000_000,
        "seconds/train": 300.0,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")


def show(results: dict[str, float], n_runs: int) -> None:
    """Print a table."""
    table = Table(title=f"audiotok compare of {n_runs} runs")
    for name in results:
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:.2f}" for value in results.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
