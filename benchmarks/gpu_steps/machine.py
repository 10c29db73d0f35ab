"""What the machine is, and what its device does in large matrix products in bfloat16.

`peak` is measured, and is what `speed` compares with; `peak_of_vendor` is the dense bfloat16 figure of the
card's data sheet, where the card is known here. On a CPU the products are in float32.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from gpu_steps.task import Found, Task

PACKAGES = ("torch", "torchaudio", "transformers", "pytorch-lightning", "torchmetrics", "numpy", "faiss-cpu")
OF_VENDOR = {  # operations a second, dense bfloat16, from data sheets; longer names before shorter ones
    "B200": 2.25e15,
    "H200": 0.989e15,
    "H100 PCIe": 0.756e15,
    "H100": 0.989e15,
    "A100": 0.312e15,
    "L40S": 0.362e15,
    "L4": 0.121e15,
    "A10": 0.125e15,
    "RTX 5090": 0.2095e15,
    "RTX 4090": 0.165e15,
    "RTX 3090": 0.071e15,
}


def measure(task: Task) -> Found:
    """Name the machine, then time its matrix products."""
    card = torch.cuda.get_device_properties(task.device) if task.on_gpu else None
    name = card.name if card else platform.machine()
    yield {
        "device": name,
        "n_devices": torch.cuda.device_count() if task.on_gpu else 0,
        "memory_gb": torch.cuda.get_device_properties(task.device).total_memory / 1e9
        if task.on_gpu
        else None,
        "n_cores": os.cpu_count(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "packages": {package: found for package in PACKAGES if (found := version_of(package))},
    }
    yield {"peak": products_per_second(task), "peak_of_vendor": peak_of_vendor(name)}


def peak_of_vendor(name: str) -> float | None:
    """Return the operations a second of a card's data sheet; None for a card that is not listed here."""
    words = name.replace("-", " ")
    return next((peak for card, peak in OF_VENDOR.items() if f" {card} " in f" {words} "), None)


def products_per_second(task: Task) -> float:
    """Return the operations a second of a large matrix product, the best of ten."""
    size = task.size(8192, 512)
    dtype = torch.bfloat16 if task.on_gpu else torch.float32
    matrix = torch.randn(size, size, device=task.device, dtype=dtype)
    times = []
    for _ in range(10):
        start = task.clock()
        torch.mm(matrix, matrix)
        times.append(task.clock() - start)
    return 2 * size**3 / min(times)


def version_of(package: str) -> str | None:
    """Return the version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
