"""The CPU threads that a run computes with: the root key `threads`.

torch starts with a thread for each core. Threads wait for each other at every operation, which slows a small
model down. `auto` therefore gives a model of fewer than `LARGE_MODEL` parameters one thread, and a larger one
all cores. With one thread the scores of a run do not depend on the number of cores either.
`benchmarks/threads.py` measures one thread against all; docs/PERFORMANCE.md has its figures.

OMP_NUM_THREADS in the environment comes first. Processes that read clips have one thread each, which is
torch's own rule. Jobs of a sweep that run at the same time (`hydra/launcher=jobs`) share the cores. A run on
a GPU keeps the threads that it has.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # programs note the environment before they import torch
    import torch

Threads = Literal["auto"] | int
LARGE_MODEL = 10_000_000  # parameters; an assumption: no size was measured at which two threads pay
_ASKED_FOR = "AUDIOTOK_OMP_NUM_THREADS"


def remember_environment() -> None:
    """Note what OMP_NUM_THREADS is before a launcher of jobs sets it for its processes."""
    os.environ[_ASKED_FOR] = os.environ.get("OMP_NUM_THREADS", "")


def set_threads(threads: Threads, model: "torch.nn.Module", device: "torch.device") -> None:
    """Give this process the threads that a run on a device computes with.

    Args:
        threads: A number, or "auto".
        model: The model that is trained.
        device: The device that it is trained on.
    """
    import torch

    threads_of_torch()
    n_threads = chosen_threads(threads, sum(p.numel() for p in model.parameters()), device.type)
    if n_threads is not None:
        torch.set_num_threads(n_threads)


def chosen_threads(threads: Threads, n_parameters: int, device: str) -> int | None:
    """Return how many threads a run computes with; None leaves them as they are.

    Args:
        threads: A number, or "auto".
        n_parameters: Parameters of the model.
        device: The type of the device, "cpu" or "cuda".
    """
    if os.environ.get(_ASKED_FOR, os.environ.get("OMP_NUM_THREADS")):
        return None
    if threads != "auto":
        return threads
    if device != "cpu":
        return None
    if n_parameters < LARGE_MODEL:
        return 1
    n_jobs = int(os.environ.get("AUDIOTOK_JOBS", "1"))
    return max(1, min(threads_of_torch(), n_cores() // n_jobs))


@cache
def threads_of_torch() -> int:
    """Return how many threads torch has by itself: what it has when this is first called."""
    import torch

    return torch.get_num_threads()


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
