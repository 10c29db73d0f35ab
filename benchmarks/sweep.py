"""What a sweep costs compared with separate trainings, and what two jobs at a time gain.

    python benchmarks/sweep.py                 the embedded dataset, synthesised into the cache
    python benchmarks/sweep.py --root DIR      any folder in AudioSet's layout

A 3 x 2 sweep (three vocabularies, two depths) of short trainings, with warm caches. Each measurement is a
command as a user types it. Seconds are wall-clock time, so nothing else should run.

- `sweep_vs_alone`: the sweep / the same six trainings as separate commands.
- `joblib_speedup`: the sweep with one job at a time / with two (`hydra/launcher=jobs`).
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from command import run_train
from configuration import data_overrides
from report import show, write_json

SWEPT = {"clustering.n_clusters": ("64", "128", "256"), "model.num_layers": ("1", "2")}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; without it, the embedded dataset")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each training")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, model=bag for example")
    options = parser.parse_intermixed_args(arguments)
    short = [f"trainer.max_epochs={options.epochs}", "logger=none"]
    common = [*data_overrides(options.root), *short, *options.overrides]
    sweep = ["-m", *(f"{key}={','.join(values)}" for key, values in SWEPT.items())]
    jobs = [
        [f"{key}={value}" for key, value in zip(SWEPT, values, strict=True)]
        for values in itertools.product(*SWEPT.values())
    ]
    seconds_of(sweep, common)  # fills the caches
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
    show(results, f"A sweep of {len(jobs)} trainings of {options.epochs} epochs")
    write_json(results, options.json)
    return results


def seconds_of(arguments: Sequence[str], common: Sequence[str]) -> float:
    """Run `python train.py` with some arguments, and return the seconds that it takes."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep"]
        start = time.perf_counter()
        run_train([*arguments, *common, *outputs])
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
