"""How fast files become tokens, compared with decoding alone, which is the limit, and with a plain pipeline.

    python benchmarks/tokens.py                        the embedded dataset, synthesised into the cache
    python benchmarks/tokens.py --root DIR             any folder in AudioSet's layout
    python benchmarks/tokens.py clustering=kmeans      with Hydra overrides of the default configuration

Clips are read as a worker reads them in the first epoch: `ClipDataset` without a cache, and `Collate`, in
batches of 16 on one thread. All files are read beforehand, so the disk is not measured. The centroids are
random: the nearest of them takes as long to find, and fitting takes no time.

- `tokens_vs_decode`: CPU seconds of decoding the same files (libsndfile, to mono) / of tokens.
- `tokens_vs_librosa_pipeline`: CPU seconds of the plain pipeline / of tokens. The plain pipeline is
  `librosa.load(file, sr=22050)`, `librosa.feature.melspectrogram` (1024, 512, 64 bins), `power_to_db` and
  scikit-learn's `KMeans(50).predict` on every mel frame: one codebook of 50 for each of the 431 frames in
  10 s. Our tokens are those of the configuration: by default 24 codebooks of 256 for each of 54 positions.
- `two_process_scaling`: wall-clock seconds in which one worker process tokenises all clips twice / in which
  two processes do. `two_process_limit` is the same ratio for processes that only decode: the most that the
  machine allows.
"""

import argparse
import io
import logging
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn is loaded

import librosa
import numpy as np
import torch
from configuration import compose_program, data_overrides
from pairs import measure_pairs, seconds_of
from report import write_json
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans
from torch.utils.data import DataLoader, Dataset

from audiotok.data.audio import read_mono
from audiotok.data.clip import Clip
from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.layout.layout import sound_of
from audiotok.experiment import build_tokenizer
from audiotok.experiment.configuration import build_node
from audiotok.loader.clips import ClipDataset, unchanged
from audiotok.loader.collate import Collate
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, and return the results."""
    options = parse(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    torch.set_num_threads(1)
    config = compose_program([*data_overrides(options.root), *options.overrides])
    tokenizer = build_tokenizer(config)
    fit_to_noise(tokenizer)
    corpus = open_corpus(build_node(config.data), Store(config.cache_dir))
    dataset = ClipDataset(corpus.clips["train"], len(corpus.classes), corpus.clip_seconds, tokenizer.features)
    chosen = np.linspace(0, len(dataset) - 1, min(options.clips, len(dataset))).round().astype(int).tolist()
    results = {
        "n_clips": len(chosen),
        "clip_seconds": corpus.clip_seconds,
        **measure(dataset, tokenizer, chosen, options),
    }
    show(results)
    write_json(results, options.json)
    return results


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; without it, the embedded dataset")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--clips", type=int, default=240, help="training clips to measure on, evenly spread")
    parser.add_argument("--rounds", type=int, default=5, help="visits to each of them")
    parser.add_argument("--pair", type=int, default=16, help="clips in one pair of measurements: a batch")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, features.n_mels=128 for example")
    return parser.parse_intermixed_args(arguments)  # overrides may stand anywhere


def fit_to_noise(tokenizer: Tokenizer) -> None:
    """Fit a tokenizer to noise: its speed does not depend on where its centroids lie."""
    noise = torch.Generator().manual_seed(0)
    features, codebooks = tokenizer.features, tokenizer.codebooks
    features.fit(torch.randn(2 * features.n_inputs, features.n_inputs, generator=noise))
    frames = torch.randn(39 * codebooks.n_clusters, tokenizer.features.n_dimensions, generator=noise)
    codebooks.fit(frames.numpy())


def measure(
    dataset: ClipDataset, tokenizer: Tokenizer, chosen: Sequence[int], options: argparse.Namespace
) -> dict[str, Any]:
    """Time tokens in pairs with decoding and with the plain pipeline, then the stages, in ms per clip."""
    collate = Collate(tokenizer, "tokens", None)
    groups = [chosen[i : i + options.pair] for i in range(0, len(chosen), options.pair)] * options.rounds
    plain = plain_pipeline()

    def tokens(number: int) -> None:
        collate(dataset.__getitems__(groups[number]))

    def decoding(number: int) -> None:
        for index in groups[number]:
            decode_alone(dataset, index)

    def librosa_and_sklearn(number: int) -> None:
        for index in groups[number]:
            plain(dataset.clips[index])

    for work in (tokens, librosa_and_sklearn):  # warms the caches of files and of the CPU
        for number in range(-(-len(groups) // options.rounds)):
            work(number)
    limit = measure_pairs(decoding, tokens, len(groups))
    others = measure_pairs(librosa_and_sklearn, tokens, -(-len(groups) // options.rounds))
    stages = [stage_ms(dataset, tokenizer, group) for group in groups]
    per_clip = 1000 / options.pair
    return {
        "n_pairs": len(groups),
        "decode_ms": limit.medians[0] * per_clip,
        "tokens_ms": limit.medians[1] * per_clip,
        "librosa_pipeline_ms": others.medians[0] * per_clip,
        "tokens_vs_decode": limit.ratio,
        "tokens_vs_librosa_pipeline": others.ratio,
        "two_process_scaling": scaling(dataset, collate, chosen, options),
        "two_process_limit": scaling(Decoding(dataset), unchanged, chosen, options),
        "stages_ms": {name: statistics.median(stage[name] for stage in stages) for name in stages[0]},
    }


def decode_alone(dataset: ClipDataset, index: int) -> tuple[np.ndarray, int]:
    """Decode the stretch of a file that the dataset reads, and nothing more."""
    clip, seconds = dataset.clips[index], dataset.reader.seconds
    assert clip.location is not None
    return read_mono(sound_of(clip.location), max(0.0, clip.seconds - seconds) / 2, seconds)


def plain_pipeline() -> Callable[[Clip], np.ndarray]:
    """Return a function that tokenises a clip with librosa and scikit-learn."""
    noise = np.random.default_rng(0).normal(-40, 20, (2000, 64)).astype(np.float32)
    kmeans = KMeans(50, n_init=1, random_state=0).fit(noise)

    def tokens(clip: Clip) -> np.ndarray:
        assert clip.location is not None
        sound = sound_of(clip.location)
        waveform, rate = librosa.load(io.BytesIO(sound) if isinstance(sound, bytes) else sound, sr=22050)
        mel = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=1024, hop_length=512, n_mels=64)
        return kmeans.predict(np.ascontiguousarray(librosa.power_to_db(mel).T))

    return tokens


class Decoding(Dataset[int]):
    """Decodes batches of clips, and returns their numbers of samples."""

    def __init__(self, dataset: ClipDataset) -> None:
        self.dataset = dataset

    def __getitems__(self, clips: Sequence[int]) -> list[int]:
        return [len(decode_alone(self.dataset, i)[0]) for i in clips]


def scaling(
    dataset: Dataset[Any],
    collate: Callable[[Any], object],
    chosen: Sequence[int],
    options: argparse.Namespace,
) -> float:
    """Return how many times as fast two worker processes are as one, in wall-clock time."""

    def worker_processes(n_workers: int) -> Callable[[int], object]:
        loader = DataLoader(
            dataset,
            batch_size=options.pair,
            sampler=[*chosen, *chosen],  # an even number of batches, so that no process waits
            collate_fn=collate,
            num_workers=n_workers,
            persistent_workers=True,
        )
        list(loader)  # starts the processes
        return lambda _: list(loader)

    one, two = worker_processes(1), worker_processes(2)
    pairs = measure_pairs(one, two, options.rounds, time.perf_counter)
    return pairs.ratio


def stage_ms(dataset: ClipDataset, tokenizer: Tokenizer, clips: Sequence[int]) -> dict[str, float]:
    """Time the stages one by one; the time for decoding is subtracted from that for reading."""
    features, codebooks = tokenizer.features, tokenizer.codebooks

    def per_clip(work: Callable[[int], object]) -> float:
        return 1000 * seconds_of(work) / len(clips)

    with torch.no_grad():
        waveforms = [
            (waveform[None], torch.tensor([n_samples]))
            for waveform, n_samples in (dataset.reader.waveform(dataset.clips[i]) for i in clips)
        ]
        batch = dataset.__getitems__(clips)
        mel, n_mel = batch["analysis"], batch["n_slices"]
        stacked, _ = features.stack(mel, n_mel)
        frames = features.project(stacked)
        decode = per_clip(lambda _: [decode_alone(dataset, i) for i in clips])
        read = per_clip(lambda _: [dataset.reader.waveform(dataset.clips[i]) for i in clips])
        return {
            "decode": decode,
            "resample, pad": read - decode,
            "log-mel": per_clip(lambda _: [features.analyze(*waveform) for waveform in waveforms]),
            "stack": per_clip(lambda _: features.stack(mel, n_mel)),
            "project": per_clip(lambda _: features.project(stacked)),
            "nearest centroid": per_clip(lambda _: codebooks.encode(frames)),
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
    table.add_row("librosa and scikit-learn", f"{results['librosa_pipeline_ms']:.2f}")
    table.add_section()
    for name in (
        "tokens_vs_decode",
        "tokens_vs_librosa_pipeline",
        "two_process_scaling",
        "two_process_limit",
    ):
        table.add_row(name, f"{results[name]:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
