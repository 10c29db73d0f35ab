"""Run one step in this process and print what it finds; `benchmarks/gpu.py` starts one for each step."""

import argparse
import importlib
import json
import time
from pathlib import Path

import gpu
import torch

from gpu_steps.task import Task


def main() -> None:
    """Run the step that the command line names."""
    start = time.monotonic()
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=gpu.STEPS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("RuntimeError: torch sees no CUDA device")
    task = Task(torch.device(device), options.tiny, start + options.seconds, options.folder)
    for found in importlib.import_module(f"gpu_steps.{options.step}").measure(task):
        print(f"{gpu.FOUND}{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
