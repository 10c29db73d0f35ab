"""Tokens made on the device against those made on the CPU, for every clustering that ships.

A tokenizer of the default features is fitted on the CPU to synthesised clips, and reads them again on both:

- `share_equal`: the share of tokens that are the same. A frame midway between two centroids may fall to
  either, so a little less than 1 is expected.
- `clips_per_second`: waveforms of 10 s to tokens on the device, in batches of 32; `cpu_clips_per_second`.
"""

import copy
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from configuration import compose_program
from torch import Tensor

from audiotok.data.synthesis.mixture import mix_clip
from audiotok.experiment import build_tokenizer
from audiotok.programs import config_folder
from audiotok.tokens.tokenizer import Tokenizer
from gpu_steps.task import Found, Task

BATCH = 32


def measure(task: Task) -> Found:
    """Compare one clustering after the other."""
    logging.getLogger("audiotok").setLevel(logging.ERROR)  # few frames are enough here
    names = sorted(path.stem for path in config_folder().glob("clustering/[!_]*.yaml"))
    waveforms: Tensor | None = None
    for name in names:
        tokenizer = build(name, task)
        if waveforms is None:
            waveforms = synthesise(task.size(96, 24), tokenizer.features.sample_rate, task.size(10.0, 2.0))
        fit(tokenizer, waveforms)
        yield {name: compare(tokenizer, waveforms, task)}


def build(name: str, task: Task) -> Tokenizer:
    """Build the tokenizer of a clustering, not fitted yet."""
    tiny = ["clustering.n_clusters=16"] if task.is_tiny else []
    return build_tokenizer(compose_program([f"clustering={name}", *tiny]))


def synthesise(n_clips: int, rate: int, seconds: float) -> Tensor:
    """Synthesise clips of AudioSet classes: waveforms (B, S)."""

    def one(number: int) -> np.ndarray:
        return mix_clip(np.random.default_rng(number), rate, seconds)[0]

    with ThreadPoolExecutor() as pool:
        return torch.from_numpy(np.stack(list(pool.map(one, range(n_clips))))).float()


@torch.no_grad()
def fit(tokenizer: Tokenizer, waveforms: Tensor) -> None:
    """Fit a tokenizer to all frames of waveforms (B, S), on the CPU."""
    features = tokenizer.features
    analysis, n_slices = features.analyze(waveforms, lengths_of(waveforms))
    frames = features.stack(analysis, n_slices)[0].flatten(0, 1)
    features.fit(frames)
    tokenizer.codebooks.fit(features.project(frames).numpy())


def compare(tokenizer: Tokenizer, waveforms: Tensor, task: Task) -> dict[str, Any]:
    """Read waveforms (B, S) on the CPU and on the device."""
    on_device = copy.deepcopy(tokenizer).to(task.device)
    moved = waveforms.to(task.device)
    read(on_device, moved[:BATCH])  # warms the device up
    start = task.clock()
    tokens = read(on_device, moved)
    middle = task.clock()
    expected = read(tokenizer, waveforms)
    end = task.clock()
    return {
        "share_equal": float((tokens.cpu() == expected).double().mean()),
        "clips_per_second": len(waveforms) / (middle - start),
        "cpu_clips_per_second": len(waveforms) / (end - middle),
    }


def read(tokenizer: Tokenizer, waveforms: Tensor) -> Tensor:
    """Return the tokens (B, T, Q) of waveforms (B, S)."""
    return torch.cat([tokenizer(part, lengths_of(part))[0] for part in waveforms.split(BATCH)])


def lengths_of(waveforms: Tensor) -> Tensor:
    """Return how many samples count: all."""
    return torch.full((len(waveforms),), waveforms.shape[1], device=waveforms.device)
