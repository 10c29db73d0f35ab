"""How soon a second run of the same command trains: from the command to the end of its first training step.

    python benchmarks/start.py                         the default experiment on the embedded dataset
    python benchmarks/start.py --root DIR              on a folder in AudioSet's layout
    python benchmarks/start.py model=bag               with Hydra overrides

The first run goes through an epoch, so that it leaves all that is kept: the manifest, centroids and tokens.
`second_start_seconds` is the median of a few runs after it, by the clock on the wall: Python and its imports,
the configuration, the corpus, the model, a batch, a step.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

HERE = Path(__file__).parent


class FirstStep(pl.Callback):
    """Write down when the first training step is done, and end the program."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the time of day, s."""
        self.path.write_text(str(time.time()), encoding="utf-8")
        os._exit(0)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; the embedded dataset without it")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--runs", type=int, default=3, help="second runs")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    options = parser.parse_intermixed_args(arguments)
    data = ["data=audioset", f"data.root={Path(options.root).absolute()}"] if options.root else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE.parent / "train.py"), *data, "logger=none", *options.overrides]
        run([*command, f"hydra.run.dir={folder}/first", "trainer.max_epochs=1"])
        seconds = [seconds_to_first_step(command, Path(folder) / str(n)) for n in range(options.runs)]
    results = {"second_start_seconds": statistics.median(seconds)}
    print(f"First step {results['second_start_seconds']:.1f} s after the command.")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def seconds_to_first_step(command: Sequence[str], folder: Path) -> float:
    """Run the command until its first step is done."""
    told = folder.with_suffix(".time")
    callback = f"+callbacks.first_step={{_target_:start.FirstStep,path:{told}}}"
    start = time.time()
    run([*command, f"hydra.run.dir={folder}", callback])
    return float(told.read_text(encoding="utf-8")) - start


def run(command: Sequence[str]) -> None:
    """Run a command that may import this file, and show what it says if it fails."""
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(done.stdout.decode())


if __name__ == "__main__":
    main()
