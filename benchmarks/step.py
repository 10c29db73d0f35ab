"""A training step of `model=bert`, compared with one of transformers' `BertForSequenceClassification`.

    python benchmarks/step.py                          on a GPU if there is one, otherwise on one thread
    python benchmarks/step.py model=bert_base          with Hydra overrides of the default configuration

Batches have the configured size and hold clips of 10 s: tokens drawn at random, 527 classes. Ours is what
training runs: Lightning's loop around `Tagger`, with its loss, metrics, logging, gradient clipping and
optimizer, but without other callbacks. The reference has the same layers, widths and dropout, and is trained
by torch's default AdamW with the same clipping, in a bare loop. The two take steps alternately.

- `step_vs_transformers`: seconds of a step of the reference / of ours; 1.1 means a tenth more clips a second.
  Both read the same tokens, of one codebook (`clustering=kmeans`), after a [CLS]. On a CPU these are CPU
  seconds of one thread, on a GPU seconds of wall-clock time.
- `step_of_all_codebooks_vs_transformers`: the same when ours sums the vectors of all codebooks at each
  position, as it does by default, and the reference reads the first codebook.

`benchmarks/gpu.py` measures more sizes, in bfloat16, with and without `compile=true`.
"""

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from configuration import compose_program
from omegaconf import DictConfig
from pairs import Clock, Pairs
from report import show, write_json
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification

from audiotok.data.clip import SoundClass
from audiotok.experiment import build_model, build_tokenizer
from audiotok.experiment.build import compile_model
from audiotok.experiment.configuration import build_node
from audiotok.training.tagger import Tagger

CLIP_SECONDS, N_CLASSES = 10.0, 527


class InTurn(pl.Callback):
    """Let another trainer take some steps after as many of ours, and time both.

    Args:
        other: Takes one step of the other trainer.
        clock: Tells the time in s.
        n_steps: Steps in a turn. A GPU works through them in a queue: one at a time, it would wait for each.
    """

    def __init__(self, other: Callable[[], object], clock: Clock, n_steps: int = 1) -> None:
        self.other, self.clock, self.n_steps = other, clock, n_steps
        self.start, self.n_taken = 0.0, 0
        self.pairs = Pairs([], [])  # seconds of a turn

    def on_train_batch_start(self, *_: Any) -> None:
        """Start the clock at the first step."""
        self.start = self.start or self.clock()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop our clock at the end of a turn, and start it again after the other trainer's turn."""
        self.n_taken += 1
        if self.n_taken % self.n_steps:
            return
        between = self.clock()
        for _step in range(self.n_steps):
            self.other()
        end = self.clock()
        self.pairs.first.append(end - between)
        self.pairs.second.append(between - self.start)
        self.start = end


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--steps", type=int, default=30, help="steps of each; the first three do not count")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    options = parser.parse_intermixed_args(arguments)
    torch.set_num_threads(1)
    results = measure(options.steps, ["clustering=kmeans", *options.overrides])
    summed = measure(options.steps, options.overrides)
    results["step_of_all_codebooks_vs_transformers"] = summed["step_vs_transformers"]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "one CPU thread"
    show(results, f"Training steps on {device}")
    write_json(results, options.json)
    return results


def measure(n_steps: int, overrides: Sequence[str] = ()) -> dict[str, float]:
    """Train both models side by side."""
    config = configured(overrides)
    tagger, batch = build_ours(config)
    on_gpu = torch.cuda.is_available()
    theirs = their_step(config, {name: value.cuda() if on_gpu else value for name, value in batch.items()})
    turns = InTurn(theirs, synchronised_clock if on_gpu else time.process_time)
    fit(config, tagger, batch, n_steps, turns)
    pairs = Pairs(turns.pairs.first[3:], turns.pairs.second[3:])
    theirs_seconds, ours_seconds = pairs.medians
    return {
        "step_vs_transformers": pairs.ratio,
        "step_clips_per_second": config.loader.batch_size / ours_seconds,
        "transformers_clips_per_second": config.loader.batch_size / theirs_seconds,
    }


def configured(overrides: Sequence[str]) -> DictConfig:
    """Compose the default configuration, in bfloat16 on a GPU."""
    trainer = ["trainer=gpu"] if torch.cuda.is_available() else ["trainer.accelerator=cpu"]
    return compose_program([*trainer, *overrides])


def build_ours(config: DictConfig) -> tuple[Tagger, dict[str, Tensor]]:
    """Build the module that training trains, and a batch like those of its loader."""
    tokenizer = build_tokenizer(config)
    model = build_model(config, tokenizer, CLIP_SECONDS, N_CLASSES)
    if config.compile:
        compile_model(model)
    tagger = Tagger(
        model,
        classes=[SoundClass(f"/m/{i}", f"class {i}") for i in range(N_CLASSES)],
        metrics=partial(build_node, config.metrics, n_classes=N_CLASSES),
        loss=build_node(config.loss),
        mixup=build_node(config.augment).mixup,
        optimizer=build_node(config.optimizer),
        schedule=build_node(config.schedule),
        vocabulary_key="",
        seed=config.seed,
    )
    draw = torch.Generator().manual_seed(0)
    n_clips, n_tokens = config.loader.batch_size, tokenizer.n_tokens(CLIP_SECONDS)
    n_codebooks, n_clusters = tokenizer.codebooks.n_codebooks, tokenizer.codebooks.n_clusters
    return tagger, {
        "index": torch.arange(n_clips),
        "inputs": torch.randint(n_clusters, (n_clips, n_tokens, n_codebooks), generator=draw),
        "lengths": torch.full((n_clips,), n_tokens),
        "targets": (torch.rand(n_clips, N_CLASSES, generator=draw) < 0.005).float(),
    }


def fit(
    config: DictConfig, tagger: Tagger, batch: dict[str, Tensor], n_steps: int, *callbacks: pl.Callback
) -> None:
    """Train as `train.py` does, on the same batch at every step, and leave nothing on the disk."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|torchmetrics")
    bare = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": 1}
    trainer = build_node(config.trainer, callbacks=list(callbacks), limit_val_batches=0, **bare)
    trainer.fit(tagger, DataLoader([batch] * n_steps, batch_size=None, pin_memory=torch.cuda.is_available()))


def their_step(config: DictConfig, batch: dict[str, Tensor]) -> Callable[[], None]:
    """Return a step of transformers' model."""
    sizes, cls = config.model, int(config.clustering.n_clusters)
    bert = BertConfig(
        vocab_size=cls + 1,
        hidden_size=sizes.hidden_size,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        intermediate_size=sizes.intermediate_size or 4 * sizes.hidden_size,
        hidden_dropout_prob=sizes.dropout,
        attention_probs_dropout_prob=sizes.attention_dropout,
        num_labels=N_CLASSES,
        problem_type="multi_label_classification",
    )
    device = batch["inputs"].device
    model = BertForSequenceClassification(bert).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.optimizer.lr)
    tokens = batch["inputs"][:, :, 0]
    tokens = torch.cat([torch.full_like(tokens[:, :1], cls), tokens], 1)
    mask = torch.ones_like(tokens)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.trainer.precision == "bf16-mixed"):
            loss = model(input_ids=tokens, attention_mask=mask, labels=batch["targets"]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
        optimizer.zero_grad()

    return step


def synchronised_clock() -> float:
    """Wait for the GPU, and return the time, s."""
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
