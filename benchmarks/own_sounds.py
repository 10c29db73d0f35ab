"""The defaults on several corpora, against a linear classifier on means and deviations of log-mel frames.

    python benchmarks/own_sounds.py esc10=DIR/esc10 esc50=DIR/esc50 soundscapes=DIR/soundscapes embedded

Each corpus is trained on with `python train.py data=... logger=none`, nothing else changed, in a process of
its own, whose CPU time is counted. The linear classifier is scikit-learn's logistic regression, one class
against the others, on the same clips; its C is chosen by mAP on the validation clips. Both are tested once.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from configuration import compose_program
from report import write_json
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.experiment.configuration import build_node
from audiotok.features.logmel import LogMel
from audiotok.loader.clips import ClipDataset
from audiotok.store import Store

DATA = {
    "esc10": ("data=esc50", "data.subset=esc10"),
    "esc50": ("data=esc50",),
    "soundscapes": ("data=audioset",),
    "embedded": ("data=synthetic",),
}
STRENGTHS = 10.0 ** np.arange(-4, 3)  # C of logistic regression
_TOGETHER = 64  # clips


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Train and test on each corpus, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="+", help="esc10=DIR, esc50=DIR, soundscapes=DIR, embedded")
    parser.add_argument("--folder", type=Path, default=Path("outputs/own_sounds"), help="of the runs")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given, overrides = parser.parse_known_args(arguments)
    figures = {}
    print("| corpus | clips | classes | audiotok: mAP | top 1 | CPU minutes | linear: mAP | top 1 | chance |")
    print("|---|---|---|---|---|---|---|---|---|")
    for corpus in given.corpora:
        name, _, root = corpus.partition("=")
        data = [*DATA[name], *([f"data.root={root}"] if root else []), *overrides]
        figures[name] = figures_of(data, given.folder / name)
        print(row(name, figures[name]), flush=True)
    write_json(figures, given.json)
    return figures


def figures_of(data: Sequence[str], folder: Path) -> dict[str, float]:
    """Return the test scores of both on one corpus."""
    metrics, seconds = train(data, folder)
    with tempfile.TemporaryDirectory() as temporary:
        corpus = open_corpus(build_node(compose_program(data).data), Store(temporary))
        began = time.process_time()
        linear = linear_scores(corpus)
    return {
        "n_clips": metrics["n_train_clips"],
        "n_classes": metrics["n_classes"],
        "mAP": metrics["test/mAP"],
        "top1": metrics["test/top1"],
        "cpu_minutes": seconds / 60,
        "linear_mAP": linear[0],
        "linear_top1": linear[1],
        "linear_cpu_minutes": (time.process_time() - began) / 60,
        "chance_mAP": metrics["chance/mAP"],
    }


def train(data: Sequence[str], folder: Path) -> tuple[dict[str, Any], float]:
    """Train with the defaults; return metrics.json and the CPU time of the process and its workers, s."""
    command = [sys.executable, str(Path(__file__).parents[1] / "train.py"), *data]
    with tempfile.TemporaryDirectory() as cache:  # so that nothing is found done
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "AUDIOTOK_CACHE": cache}
        subprocess.run(
            [*command, "logger=none", f"hydra.run.dir={folder}"],
            check=True,
            env=environment,
            stdout=sys.stderr,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads((folder / "metrics.json").read_text()), seconds


def linear_scores(corpus: Corpus) -> tuple[float, float]:
    """Return mAP and top 1 of logistic regression on the test clips; C has the best mAP on validation."""
    inputs, targets = {}, {}
    for split in ("train", "val", "test"):
        inputs[split], targets[split] = statistics(corpus, split)
    scaler = StandardScaler().fit(inputs["train"])
    scaled = {split: scaler.transform(values) for split, values in inputs.items()}
    best: tuple[float, np.ndarray] = (-1.0, np.zeros(0))
    for strength in STRENGTHS:
        model = OneVsRestClassifier(LogisticRegression(C=strength, max_iter=1000))
        model.fit(scaled["train"], targets["train"])
        mean = mean_average_precision(targets["val"], model.predict_proba(scaled["val"]))
        if mean > best[0]:
            best = mean, model.predict_proba(scaled["test"])
    scores = best[1]
    top1 = float(targets["test"][np.arange(len(scores)), scores.argmax(1)].mean())
    return mean_average_precision(targets["test"], scores), top1


def statistics(corpus: Corpus, split: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of 64 mel bins in dB (clips, 128), and labels (clips, C)."""
    clips = corpus.clips[split]
    features = LogMel()
    dataset = ClipDataset(clips, len(corpus.classes), corpus.clip_seconds, features, content="analysis")
    rows, targets = [], []
    for start in range(0, len(clips), _TOGETHER):
        batch = dataset.__getitems__(range(start, min(start + _TOGETHER, len(clips))))
        for analysis, n_slices in zip(batch["analysis"].float().numpy(), batch["n_slices"], strict=True):
            heard = analysis[: int(n_slices)]
            rows.append(np.concatenate([heard.mean(0), heard.std(0)]))
        targets.append(batch["targets"].numpy())
    return np.stack(rows), np.concatenate(targets).astype(int)


def mean_average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean over the classes that occur, as audiotok does."""
    occur = targets.any(0)
    return float(average_precision_score(targets[:, occur], scores[:, occur], average="macro"))


def row(name: str, found: dict[str, float]) -> str:
    """Return a row of the table."""
    cells = [f"{found['n_clips']:,}", f"{found['n_classes']}", f"{found['mAP']:.3f}", f"{found['top1']:.3f}"]
    cells += [f"{found['cpu_minutes']:.1f}", f"{found['linear_mAP']:.3f}", f"{found['linear_top1']:.3f}"]
    return f"| {name} | {' | '.join([*cells, format(found['chance_mAP'], '.3f')])} |"


if __name__ == "__main__":
    main()
