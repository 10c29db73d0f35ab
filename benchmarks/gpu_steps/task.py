"""What a step is told: device, time, size, and a folder that the steps share."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

Found = Iterator[dict[str, Any]]  # parts of a step's results, which are merged
Value = TypeVar("Value")


@dataclass(frozen=True)
class Task:
    """One step's task.

    Args:
        device: Where to measure.
        is_tiny: Whether to shrink everything.
        deadline: When the step is killed, on the clock `time.monotonic`.
        folder: For files, which later steps may read.
    """

    device: torch.device
    is_tiny: bool
    deadline: float
    folder: Path

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def seconds_left(self) -> float:
        """Seconds until the step is killed."""
        return self.deadline - time.monotonic()

    def size(self, full: Value, tiny: Value) -> Value:
        """Choose between a full and a tiny size."""
        return tiny if self.is_tiny else full

    def clock(self) -> float:
        """Wait for the device, and return the time, s."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()
