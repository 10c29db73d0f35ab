"""How fast one process turns files into tokens, against decoding alone, which is the limit.

    python benchmarks/tokens.py                        the embedded dataset, synthesised into the cache
    python benchmarks/tokens.py --root DIR             any folder in AudioSet's layout
    python benchmarks/tokens.py clustering=kmeans      with Hydra overrides of the default configuration

Clips are read as a worker of training reads them in a first epoch: `ClipDataset` without kept mel frames, and
`Preparation`, in this process, on one thread. Pairs of measurements on the same few files, a batch, decoding
first in one pair and second in the next, are taken close together in time, so that a busy machine slows both
alike; the ratio reported is the median of theirs. All files have been read before, so the disk is not
measured. Centroids are drawn at random: to find the nearest costs the same, and nothing has to be fitted
first.
"""

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from audiotok.data.audio import read_mono
from audiotok.data.clip import Clip
from audiotok.data.corpus import open_corpus
from audiotok.data.layout.layout import sound_of
from audiotok.experiment import build_tokenizer
from audiotok.loader.clips import ClipDataset
from audiotok.loader.preparation import Preparation
from audiotok.store import Store
from audiotok.tokenizer import Tokenizer
from audiotok.train import config_folder


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, and return what is in it."""
    options = parse(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    torch.set_num_threads(1)
    config = compose_config(options.root, options.overrides)
    tokenizer = build_tokenizer(config)
    fit_to_noise(tokenizer)
    corpus = open_corpus(instantiate(config.data, _convert_="all"), Store(config.cache_dir))
    dataset = ClipDataset(corpus, "train", tokenizer.features)
    chosen = np.linspace(0, len(dataset) - 1, min(options.clips, len(dataset))).round().astype(int).tolist()
    results = {
        "n_clips": len(chosen),
        "clip_seconds": corpus.clip_seconds,
        **measure(dataset, tokenizer, chosen, options),
    }
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; the embedded dataset without it")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--clips", type=int, default=240, help="training clips to measure on, spread evenly")
    parser.add_argument("--rounds", type=int, default=3, help="visits to each of them")
    parser.add_argument("--pair", type=int, default=16, help="clips in one pair of measurements, a batch")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, features.n_mels=128 for example")
    return parser.parse_intermixed_args(arguments)  # overrides may stand anywhere


def compose_config(root: str | None, overrides: Sequence[str]) -> DictConfig:
    """Compose the default configuration, with AudioSet where a root is given."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", ["data=audioset" if root else "data=synthetic", *overrides])
    if root:
        config.data.root = root
    return config


def fit_to_noise(tokenizer: Tokenizer) -> None:
    """Fit a tokenizer to noise: what it costs does not depend on where its centroids lie."""
    noise = torch.Generator().manual_seed(0)
    projection, codebooks = tokenizer.features.projection, tokenizer.codebooks
    projection.mean.normal_(generator=noise)
    projection.components.normal_(generator=noise)
    frames = torch.randn(39 * codebooks.n_clusters, tokenizer.features.n_dimensions, generator=noise)
    codebooks.fit(frames.numpy())


def measure(
    dataset: ClipDataset, tokenizer: Tokenizer, chosen: Sequence[int], options: argparse.Namespace
) -> dict[str, Any]:
    """Time decoding against tokens in pairs, and after each pair the stages, in ms per clip."""
    preparation = Preparation(tokenizer, "tokens", None)
    preparation(dataset.__getitems__(chosen))  # files into memory, code into caches
    groups = [chosen[i : i + options.pair] for i in range(0, len(chosen), options.pair)] * options.rounds
    decode: list[float] = []
    tokens: list[float] = []
    stages: list[dict[str, float]] = []
    for number, group in enumerate(groups):
        pair: list[tuple[list[float], Callable[[Sequence[int]], object]]] = [
            (decode, lambda clips: [decode_alone(dataset, dataset.clips[i]) for i in clips]),
            (tokens, lambda clips: preparation(dataset.__getitems__(clips))),
        ]
        for times, work in pair if number % 2 else reversed(pair):
            times.append(per_clip_ms(work, group))
        stages.append(stage_ms(dataset, tokenizer, group))
    return {
        "n_pairs": len(groups),
        "decode_ms": statistics.median(decode),
        "tokens_ms": statistics.median(tokens),
        "clips_per_second": 1000 / statistics.median(tokens),
        "ratio": statistics.median(d / t for d, t in zip(decode, tokens, strict=True)),
        "stages_ms": {name: statistics.median(stage[name] for stage in stages) for name in stages[0]},
    }


def per_clip_ms(work: Callable[[Sequence[int]], object], clips: Sequence[int]) -> float:
    """Return what the work costs for each clip, ms."""
    start = time.perf_counter()
    work(clips)
    return 1000 * (time.perf_counter() - start) / len(clips)


def decode_alone(dataset: ClipDataset, clip: Clip) -> tuple[np.ndarray, int]:
    """Decode the stretch of a file that the dataset reads, and nothing more."""
    assert clip.location is not None
    return read_mono(sound_of(clip.location), max(0.0, clip.seconds - dataset.seconds) / 2, dataset.seconds)


def stage_ms(dataset: ClipDataset, tokenizer: Tokenizer, clips: Sequence[int]) -> dict[str, float]:
    """Time the parts one by one; reading contains decoding, and is reduced by it."""
    features, codebooks = tokenizer.features, tokenizer.codebooks
    with torch.no_grad():
        waveforms = [
            (waveform[None], torch.tensor([n_samples]))
            for waveform, n_samples in (dataset.waveform(dataset.clips[i]) for i in clips)
        ]
        batch = dataset.__getitems__(clips)
        mel, n_mel = batch["mel"], batch["n_mel"]
        stacked, _ = features.stack(mel, n_mel)
        frames = features.projection(stacked)
        decode = per_clip_ms(lambda _: [decode_alone(dataset, dataset.clips[i]) for i in clips], clips)
        read = per_clip_ms(lambda _: [dataset.waveform(dataset.clips[i]) for i in clips], clips)
        log_mel = per_clip_ms(lambda _: [features.log_mel(*waveform) for waveform in waveforms], clips)
        stack = per_clip_ms(lambda _: features.stack(mel, n_mel), clips)
        project = per_clip_ms(lambda _: features.projection(stacked), clips)
        nearest = per_clip_ms(lambda _: codebooks.encode(frames), clips)
    return {
        "decode": decode,
        "resample, pad": read - decode,
        "log-mel": log_mel,
        "stack": stack,
        "project": project,
        "nearest centroid": nearest,
    }


def show(results: dict[str, Any]) -> None:
    """Print a table."""
    table = Table(title=f"{results['n_clips']} clips of {results['clip_seconds']:g} s, one thread")
    table.add_column("median of")
    table.add_column("ms a clip", justify="right")
    for name, value in results["stages_ms"].items():
        table.add_row(name, f"{value:.2f}")
    table.add_section()
    table.add_row("decoding alone", f"{results['decode_ms']:.2f}")
    table.add_row("file to tokens", f"{results['tokens_ms']:.2f}")
    table.add_section()
    table.add_row(f"{results['n_pairs']} ratios of these two", f"{results['ratio']:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
