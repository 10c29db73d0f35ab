"""How soon a repeated command trains: seconds from the command to the end of the first training step.

    python benchmarks/start.py                         the default experiment on the embedded dataset
    python benchmarks/start.py --root DIR              on a folder in AudioSet's layout
    python benchmarks/start.py model=bag               with Hydra overrides

The first run trains for one epoch and so fills the caches: manifest, centroids and tokens.
`second_start_seconds` is the median over a few runs after it, in wall-clock time: Python and its imports, the
configuration, the corpus, the model, a batch, a step.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from command import run_train
from configuration import data_overrides
from report import show, write_json


class FirstStep(pl.Callback):
    """Write the time at the end of the first training step to a file, and end the program."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, *_: Any) -> None:
        """Write the time, in seconds since the epoch, and exit."""
        self.path.write_text(str(time.time()), encoding="utf-8")
        os._exit(0)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; without it, the embedded dataset")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--runs", type=int, default=3, help="runs after the first")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    options = parser.parse_intermixed_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = [*data_overrides(options.root), "logger=none", *options.overrides]
        run_train([*settings, f"hydra.run.dir={folder}/first", "trainer.max_epochs=1"])
        seconds = [seconds_to_first_step(settings, Path(folder) / str(n)) for n in range(options.runs)]
    results = {"second_start_seconds": statistics.median(seconds)}
    show(results, "From the command to the first training step")
    write_json(results, options.json)
    return results


def seconds_to_first_step(settings: Sequence[str], folder: Path) -> float:
    """Run a command until its first step is done, and return the seconds that it takes."""
    end = folder.with_suffix(".time")
    callback = f"+callbacks.first_step={{_target_:start.FirstStep,path:{end}}}"
    start = time.time()
    run_train([*settings, f"hydra.run.dir={folder}", callback])
    return float(end.read_text(encoding="utf-8")) - start


if __name__ == "__main__":
    main()
