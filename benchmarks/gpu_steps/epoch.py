"""Whole epochs of `experiment=audioset_balanced` on 20,000 clips whose mel frames are cached.

`python train.py` runs two epochs, with everything that training has: the loader's processes, augmentation,
tokens made on the device, averaging, checkpoints. Only the audio is missing (`corpus.py`), and the centroids
are fitted to fewer frames. The first epoch starts the loader's processes and brings the rows into memory.

- `seconds` and `clips_per_second` of each epoch, validation left aside.
- `share_waiting`: the share of these seconds in which the training loop waits for a batch.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gpu

from gpu_steps.corpus import fill_cache, write_corpus
from gpu_steps.task import Found, Task

ROOT = Path(__file__).parents[2]
FEWER = ("data.validation.fraction=0.01", "sample.n_frames=50000", "sample.n_clips=1000")
TINY = (
    "data.validation.fraction=0.1", "features=logmel_scales", "clustering.n_clusters=16",
    "clustering.n_iter=2", "sample.n_frames=2000", "sample.n_clips=48",
    "model.num_layers=1", "model.hidden_size=16", "model.num_heads=2", "loader.batch_size=16",
    "loader.n_workers=1",
)  # fmt: skip


def measure(task: Task) -> Found:
    """Write the corpus and its cache, and train."""
    start = time.monotonic()
    overrides = prepare(task)
    yield {"seconds_to_prepare": time.monotonic() - start}
    start = time.monotonic()
    epochs = train(task, "epoch", [*overrides, "trainer.max_epochs=2"])
    yield {f"epoch {number}": epoch for number, epoch in enumerate(epochs, start=1)}
    metrics = json.loads((task.folder / "epoch" / "metrics.json").read_text(encoding="utf-8"))
    seconds = {name: value for name, value in metrics.items() if name.startswith("seconds/")}
    yield {"seconds_of_command": time.monotonic() - start, **seconds}


def prepare(task: Task) -> list[str]:
    """Write the corpus and its cached frames, unless an earlier step has; return overrides that name it."""
    root = task.folder / "corpus"
    overrides = [
        "experiment=audioset_balanced", f"data.root={root}", "data.check=header", "logger=none",
        f"cache_dir={task.folder / 'cache'}", *task.size(FEWER, TINY),
        *([] if task.on_gpu else ["trainer=default", "trainer.accelerator=cpu"]),
    ]  # fmt: skip
    if not root.is_dir():
        write_corpus(root, task.size(20_000, 240), task.size(200, 20))
        fill_cache(overrides)
    return overrides


def train(task: Task, name: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Run `train.py` and return what was measured in its epochs.

    Raises:
        RuntimeError: The run failed, or it did not find the cached frames.
    """
    path = task.folder / f"{name}.json"
    watch = f"+callbacks.watch={{_target_:gpu_steps.watch.Watch,path:{path}}}"
    extra = [f"hydra.run.dir={task.folder / name}", "+trainer.profiler=simple", watch]
    command = [sys.executable, str(ROOT / "train.py"), *overrides, *extra]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise RuntimeError(f"train.py: {gpu.last_line(lines)}")
    caches = [path for path in (task.folder / "cache" / "frames").iterdir() if path.is_dir()]
    if len(caches) != 1:
        raise RuntimeError(
            f"train.py did not find the cached frames; there are {len(caches)} caches of frames"
        )
    epochs: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return epochs
