"""Compare loss=cross_entropy with loss=bce on clips of one label each: by folds of ESC-10 or ESC-50.

    python benchmarks/losses.py --root DIR --subset esc10 --out OUT [--folds 1,2,3,4,5] [OVERRIDE...]

Every run is what `python train.py data=esc50 loss=LOSS ...` does, with the defaults of train.yaml but for the
overrides; its epoch is chosen on validation clips, and its fold is tested once. Runs that OUT already holds
are not repeated. Prints a row for each fold and the means.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from audiotok.run.folder import RunFolder

LOSSES = ("bce", "cross_entropy")
SCORES = ("test/top1", "test/mAP", "seconds/train")
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run what is missing, and print the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder in ESC-50's layout")
    parser.add_argument("--subset", choices=("esc10", "esc50"), default="esc50")
    parser.add_argument("--folds", default="1,2,3,4,5")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    print("| loss | fold | " + " | ".join(SCORES) + " |")
    rows: dict[str, list[list[float]]] = {loss: [] for loss in LOSSES}
    for fold in options.folds.split(","):
        for loss in LOSSES:
            scores = run(options, loss, fold)
            rows[loss].append(scores)
            print(f"| {loss} | {fold} | " + " | ".join(f"{score:.3f}" for score in scores) + " |", flush=True)
    for loss in LOSSES:
        means = [fmean(values) for values in zip(*rows[loss], strict=True)]
        print(f"| {loss} | mean | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


def run(options: argparse.Namespace, loss: str, fold: str) -> list[float]:
    """Train with a loss and test on a fold, unless OUT has the run; return its scores."""
    folder = RunFolder(options.out.absolute() / options.subset / loss / fold)
    if not folder.metrics.is_file():
        data = ["data=esc50", f"data.root={options.root.absolute()}", f"data.subset={options.subset}"]
        where = [f"data.test_fold={fold}", f"hydra.run.dir={folder}", "logger=none"]
        command = [sys.executable, str(ROOT / "train.py"), *data, *where, f"loss={loss}", *options.overrides]
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        subprocess.run(command, check=True, env=environment, stdout=sys.stderr)
    metrics = folder.read_metrics()
    return [float(metrics[score]) for score in SCORES]


if __name__ == "__main__":
    main()
