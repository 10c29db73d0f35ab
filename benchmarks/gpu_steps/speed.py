"""Training steps of `model=bert` beside those of transformers' `BertForSequenceClassification`.

Three sizes, 10 s clips, batches of 64, bfloat16 on a GPU; ours with and without `compile=true`, the reference
always without. Each trains as `benchmarks/step.py` describes, and turns of 20 steps alternate on the same
batch; what counts is the median of the turns. For each size:

- `clips_per_second`, and `vs_transformers`: how many times as many clips a second as the reference.
- `share_of_peak`: operations by formula (`flops.py`) over those of a large matrix product in this process.
- `peak_memory_gb`: the most memory allocated in a step, with weights and the state of the optimizer.
- `warm_up_seconds`: what the first turn takes longer than the others; with `compile=true`, the compilation.
"""

import gc
import statistics
from functools import partial
from typing import Any
from unittest.mock import patch

import pytorch_lightning as pl
import step
import torch
from omegaconf import DictConfig

from gpu_steps.flops import training_flops
from gpu_steps.machine import products_per_second
from gpu_steps.task import Found, Task

SIZES = {
    "default": [],
    "512 x 6": ["model.hidden_size=512", "model.num_layers=6", "model.num_heads=8"],
    "768 x 12": ["model=bert_base"],
}
TINY = ["model.hidden_size=32", "model.num_heads=2", "loader.batch_size=4", "clustering.n_clusters=16"]
# Seconds that a size needs on a GPU at the least, without and with compile=true.
SECONDS = {False: dict.fromkeys(SIZES, 8.0), True: {"default": 30.0, "512 x 6": 45.0, "768 x 12": 75.0}}


class Peak(pl.Callback):
    """Note the most memory that training has taken by the end of its first turn, in bytes."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps, self.n_bytes = n_steps, 0
        self.before = start_counting()

    def on_train_batch_end(self, *_: Any) -> None:
        """Read the counter of torch's allocator, until the other trainer has its turn."""
        if self.n_steps:
            self.n_bytes = torch.cuda.max_memory_allocated() - self.before
            self.n_steps -= 1


class Bounded(step.InTurn):
    """End the epoch when its time is over, once two turns were timed after the first."""

    deadline = float("inf")  # on the task's clock

    def on_train_batch_start(self, *_: Any) -> int | None:  # type: ignore[override]
        """Start the clock, or skip the rest of the epoch."""
        super().on_train_batch_start()
        begins_turn = self.n_taken % self.n_steps == 0  # elsewhere the clock would wait for a GPU
        return -1 if begins_turn and len(self.pairs.first) > 2 and self.clock() > self.deadline else None


def measure(task: Task) -> Found:
    """Measure all sizes as they come, then compiled, as far as there is time."""
    peak = products_per_second(task)
    yield {"peak": peak}
    compiled_sizes = task.size(list(SIZES), ["default"])
    cases = [(False, name) for name in SIZES] + [(True, name) for name in compiled_sizes]
    for number, (compiled, name) in enumerate(cases):
        label = f"{name}, compiled" if compiled else name
        if task.on_gpu and task.seconds_left < SECONDS[compiled][name]:
            yield {label: "skipped: no time left"}
            continue
        seconds = task.seconds_left / (len(cases) - number)
        yield {label: measure_size(task, name, compiled, peak, seconds)}


def measure_size(task: Task, name: str, compiled: bool, peak: float, seconds: float) -> dict[str, Any]:
    """Train a model of one size beside the reference."""
    gc.collect()
    torch.cuda.empty_cache()
    if compiled:
        torch._dynamo.reset()  # so that the compilation is timed, whatever was compiled before
    config = step.configured(overrides_of(task, name, compiled))
    backend = task.size("inductor", "eager")  # inductor takes minutes on a CPU
    with patch.object(torch, "compile", partial(torch.compile, backend=backend)):
        tagger, batch = step.build_ours(config)
    before = start_counting()
    theirs = step.their_step(config, {key: value.to(task.device) for key, value in batch.items()})
    for _ in range(3):
        theirs()
    their_bytes = torch.cuda.max_memory_allocated() - before
    n_steps = task.size(20, 2)
    turns, ours = Bounded(theirs, task.clock, n_steps), Peak(n_steps)
    turns.deadline = task.clock() + seconds
    step.fit(config, tagger, batch, n_steps * task.size(8, 3), ours, turns)
    first, others = turns.pairs.second[0], step.Pairs(turns.pairs.first[1:], turns.pairs.second[1:])
    their_seconds, our_seconds = (value / n_steps for value in others.medians)
    n_operations = operations(config, batch["inputs"].shape[1] + 1)
    found: dict[str, Any] = {
        "clips_per_second": config.loader.batch_size / our_seconds,
        "vs_transformers": others.ratio,
        "share_of_peak": n_operations / our_seconds / peak,
        "transformers_clips_per_second": config.loader.batch_size / their_seconds,
        "transformers_share_of_peak": n_operations / their_seconds / peak,
        "warm_up_seconds": first - statistics.median(others.second),
        "n_parameters": sum(weight.numel() for weight in tagger.parameters()),
        "n_turns": len(others.first),
    }
    if task.on_gpu:
        found |= {"peak_memory_gb": ours.n_bytes / 1e9, "transformers_peak_memory_gb": their_bytes / 1e9}
    return found


def start_counting() -> int:
    """Begin to look for the most memory allocated, and return what is allocated now, in bytes; 0 on a CPU."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def overrides_of(task: Task, name: str, compiled: bool) -> list[str]:
    """Return the Hydra overrides of a size."""
    tiny = [*TINY, f"model.num_layers={1 + list(SIZES).index(name)}"] if task.is_tiny else []
    return ["loader.batch_size=64", *SIZES[name], f"compile={str(compiled).lower()}", *tiny]


def operations(config: DictConfig, n_positions: int) -> int:
    """Return the operations of a step."""
    sizes = config.model
    return training_flops(
        n_clips=config.loader.batch_size,
        n_positions=n_positions,
        n_layers=sizes.num_layers,
        hidden=sizes.hidden_size,
        intermediate=sizes.intermediate_size or 4 * sizes.hidden_size,
        n_classes=step.N_CLASSES,
    )
