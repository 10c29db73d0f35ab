"""Training steps on one CPU thread beside steps on all threads: from which size on do threads pay?

    python benchmarks/threads.py                               models from small to large
    python benchmarks/threads.py model.hidden_size=384         one model, with Hydra overrides

Steps are those of `benchmarks/step.py`: what training runs, on clips of 10 s with random tokens. One process
takes steps on one thread and on all threads alternately, so that whatever slows the machine slows both. The
clock is the wall's. `speed_up` is the median of one / all; on a machine that is busy with other programs,
whose threads also wait for a core, `best_speed_up` (the fastest step of each) is closer to that of an idle
machine.

`threads=auto` (`src/audiotok/run/threads.py`) rests on these figures.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pairs import Pairs
from report import show, write_json
from step import build_ours, configured, fit

from audiotok.run.threads import n_cores

MODELS = {  # from the default to that of experiment=audioset_balanced
    "128 x 2": [],
    "256 x 4": ["model.hidden_size=256", "model.num_layers=4"],
    "384 x 4": ["model.hidden_size=384", "model.num_layers=4"],
    "512 x 6": ["model.hidden_size=512", "model.num_layers=6", "model.num_heads=8"],
}
N_WARM_UP = 4  # steps that do not count


class Alternating(pl.Callback):
    """Take every other step on all threads, and time each step."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads, self.start = n_threads, 0.0
        self.pairs = Pairs([], [])  # seconds of a step on one thread, and on all

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        """Set the threads of this step."""
        torch.set_num_threads(self.n_threads if batch_idx % 2 else 1)
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop the clock."""
        if batch_idx >= N_WARM_UP:
            seconds = self.pairs.second if batch_idx % 2 else self.pairs.first
            seconds.append(time.perf_counter() - self.start)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table of each model, and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--pairs", type=int, default=20, help="steps on one thread, and as many on all")
    parser.add_argument("--threads", type=int, default=n_cores(), help="how many all threads are")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides of one model")
    options = parser.parse_intermixed_args(arguments)
    models = {" ".join(options.overrides): options.overrides} if options.overrides else MODELS
    results = {}
    for name, overrides in models.items():
        results[name] = measure(overrides, options.pairs, options.threads)
        show(results[name], f"{name}: one thread and {options.threads}")
    write_json(results, options.json)
    return results


def measure(overrides: Sequence[str], n_pairs: int, n_threads: int) -> dict[str, float]:
    """Train one model for a few steps."""
    config = configured(["trainer=default", "trainer.accelerator=cpu", *overrides])
    tagger, batch = build_ours(config)
    alternating = Alternating(n_threads)
    before = torch.get_num_threads()
    fit(config, tagger, batch, N_WARM_UP + 2 * n_pairs, alternating)
    torch.set_num_threads(before)
    pairs = alternating.pairs
    one, all_threads = min(pairs.first), min(pairs.second)
    return {
        "million_parameters": sum(p.numel() for p in tagger.model.parameters()) / 1e6,
        "clips_per_second_one_thread": config.loader.batch_size / one,
        "clips_per_second_all_threads": config.loader.batch_size / all_threads,
        "best_speed_up": one / all_threads,
        "speed_up": pairs.ratio,
    }


if __name__ == "__main__":
    main()
