"""Two devices in one process group, where there are two: an epoch as in `epoch.py`, with `trainer=ddp`.

`vs_one_device` is how many times as many clips a second as the second epoch of the step before. A tiny run
on a CPU has two processes.
"""

import json

import torch

from gpu_steps.epoch import prepare, train
from gpu_steps.task import Found, Task


def measure(task: Task) -> Found:
    """Train for two epochs on two devices."""
    if not (torch.cuda.device_count() > 1 if task.on_gpu else task.is_tiny):
        yield {"skipped": "one device"}
        return
    group = ["trainer=ddp"] if task.on_gpu else ["trainer.strategy=ddp"]
    overrides = [*prepare(task), *group, "trainer.devices=2", "trainer.max_epochs=2"]
    epochs = train(task, "devices", overrides)
    yield {f"epoch {number}": epoch for number, epoch in enumerate(epochs, start=1)}
    alone = task.folder / "epoch.json"
    if alone.is_file():
        rate = json.loads(alone.read_text(encoding="utf-8"))[-1]["clips_per_second"]
        yield {"vs_one_device": epochs[-1]["clips_per_second"] / rate}
