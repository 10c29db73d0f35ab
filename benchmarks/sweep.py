"""What a sweep costs beside its trainings, and what two jobs at a time gain.

    python benchmarks/sweep.py                 the embedded dataset, synthesised into the cache
    python benchmarks/sweep.py --root DIR      any folder in AudioSet's layout

A 3 x 2 sweep (three vocabularies, two depths) of short trainings, with all caches warm. Seconds are by the
clock on the wall, so nothing else should run; each is a command as a user types it.

- `sweep_vs_alone`: the sweep / the sum of its six trainings as commands of their own.
- `joblib_speedup`: the sweep, one job after the other / the same with `hydra/launcher=jobs`, two at a time.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TRAIN = Path(__file__).parents[1] / "train.py"
SWEPT = {"clustering.n_clusters": ("64", "128", "256"), "model.num_layers": ("1", "2")}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print, and return what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; the embedded dataset without it")
    parser.add_argument("--epochs", type=int, default=4, help="of each training")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(arguments)
    data = ["data=audioset", f"data.root={options.root}"] if options.root else ["data=synthetic"]
    common = [*data, f"trainer.max_epochs={options.epochs}", "logger=none"]
    sweep = ["-m", *(f"{key}={','.join(values)}" for key, values in SWEPT.items())]
    jobs = [
        [f"{key}={value}" for key, value in zip(SWEPT, values, strict=True)]
        for values in itertools.product(*SWEPT.values())
    ]
    seconds_of(sweep, common)  # fits the centroids and keeps tokens and mel frames
    alone = sum(seconds_of(job, common) for job in jobs)
    in_turn = seconds_of(sweep, common)
    two_at_a_time = seconds_of([*sweep, "hydra/launcher=jobs"], common)
    results = {
        "alone_seconds": alone,
        "sweep_seconds": in_turn,
        "joblib_seconds": two_at_a_time,
        "sweep_vs_alone": in_turn / alone,
        "joblib_speedup": in_turn / two_at_a_time,
    }
    print(json.dumps({key: round(value, 3) for key, value in results.items()}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def seconds_of(arguments: Sequence[str], common: Sequence[str]) -> float:
    """Run `python train.py`, and return how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep"]
        command = [sys.executable, str(TRAIN), *arguments, *common, *outputs]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
