"""What a corpus of two million clips would cost, computed from rates that are measured on a small one.

    python benchmarks/scale.py --root DIR                          a folder in AudioSet's layout
    python benchmarks/scale.py --root DIR --clips 2000000 --cores 64
    python benchmarks/scale.py --root DIR clustering=kmeans        with Hydra overrides of the defaults

Stages are timed as a process of an engine runs them, on one thread, in CPU seconds (user and system), which
depend less on other work than wall-clock time. All files are read beforehand, so the disk is not measured.
Hours are clips x milliseconds per clip / cores, and disk space is clips x bytes per clip. Clustering reads a
sample of the clips, so its cost does not grow with the corpus.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from configuration import compose_program, data_overrides
from report import write_json
from rich.console import Console
from rich.table import Table

from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.data.corpus.parts import Part
from audiotok.data.inspection import inspect_clip
from audiotok.data.reading.files import Files
from audiotok.experiment import build_model, build_tokenizer
from audiotok.experiment.configuration import build_node
from audiotok.loader.clip_rows import AnalysisRows, TokenRows
from audiotok.loader.fill import analysis_of_part, tokens_of_part
from audiotok.loader.training_clips import CorpusClips
from audiotok.model.model import Model
from audiotok.store import Store
from audiotok.tokens.sample import sample_size
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import fit_or_load

AUDIOSET = 2_041_789 + 22_160 + 20_371  # rows of the unbalanced, balanced and evaluation CSVs


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print both tables, and return the results."""
    options = parse(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    torch.set_num_threads(1)
    config = compose_program([*data_overrides(options.root), *options.overrides])
    store = Store(config.cache_dir)
    corpus = open_corpus(build_node(config.data), store)
    tokenizer = build_tokenizer(config)
    fit_or_load(tokenizer, CorpusClips(corpus, tokenizer.features), store)
    model = build_model(config, tokenizer, corpus.clip_seconds, len(corpus.classes))
    rates = measure(corpus, tokenizer, store, options.sample)
    rates["step_ms"] = step_ms(model, tokenizer, corpus)
    results = {"measured": rates, "computed": compute(rates, options.clips, options.cores)}
    show(results, options)
    write_json(results, options.json)
    return results


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", required=True, help="folder in AudioSet's layout, with clips of 10 s")
    parser.add_argument("--clips", type=int, default=AUDIOSET, help="clips of the large corpus")
    parser.add_argument("--cores", type=int, default=16, help="cores of the machine that prepares it")
    parser.add_argument("--sample", type=int, default=240, help="clips to measure on, evenly spread")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, features.n_mels=128 for example")
    return parser.parse_intermixed_args(arguments)  # overrides may stand anywhere


def measure(corpus: Corpus, tokenizer: Tokenizer, store: Store, n_sample: int) -> dict[str, float]:
    """Return milliseconds per clip (medians over parts of 16 clips), bytes per clip, and costs of fitting."""
    parts = parts_of(corpus, n_sample)
    clips = [list(part.clips) for part in parts]
    stages: dict[str, Callable[[int], object]] = {
        "header_ms": lambda i: [inspect_clip(clip.location, "header") for clip in clips[i]],
        "decode_ms": lambda i: [inspect_clip(clip.location, "decode") for clip in clips[i]],
        "frames_ms": lambda i: analysis_of_part(tokenizer.features, corpus.clip_seconds, parts[i]),
        "tokens_ms": lambda i: tokens_of_part(tokenizer, corpus.clip_seconds, parts[i]),
    }
    sizes = [Files().stat(clip.location.path).size for some in clips for clip in some]
    tokens_of_part(tokenizer, corpus.clip_seconds, parts[0])  # warms the CPU caches
    fitted = (tokenizer.features, tokenizer.codebooks, tokenizer.sampling)
    sample = sample_size(*fitted, AUDIOSET, corpus.clip_seconds)
    noise = np.random.default_rng(0).standard_normal((sample.n_frames, tokenizer.features.n_dimensions))
    return {
        "n_clips": len(sizes),
        **{
            name: statistics.median(1000 * cpu_seconds(stage, i) / len(clips[i]) for i in range(len(parts)))
            for name, stage in stages.items()
        },
        "fit_clips": sample.n_clips,
        "fit_seconds": cpu_seconds(tokenizer.codebooks.fit, noise.astype(np.float32)),
        "fit_bytes": sample.n_bytes,
        "audio_bytes": statistics.mean(sizes),
        "frames_bytes": AnalysisRows(corpus, tokenizer.features, store).row_bytes,
        "tokens_bytes": TokenRows(corpus, tokenizer, store).row_bytes,
    }


def step_ms(model: Model, tokenizer: Tokenizer, corpus: Corpus, n_clips: int = 64) -> float:
    """Return the milliseconds per clip of a training step on this CPU: forward, backward and update."""
    size = (n_clips, tokenizer.n_tokens(corpus.clip_seconds), tokenizer.codebooks.n_codebooks)
    tokens = torch.randint(tokenizer.codebooks.n_clusters, size)
    lengths, targets = torch.full((n_clips,), size[1]), torch.rand(n_clips, len(corpus.classes)).round()
    optimizer = torch.optim.AdamW(model.parameters())
    model.train()

    def step(_: object) -> None:
        torch.nn.functional.binary_cross_entropy_with_logits(model(tokens, lengths), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return statistics.median(1000 * cpu_seconds(step, None) / n_clips for _ in range(6))


def parts_of(corpus: Corpus, n_sample: int) -> list[Part]:
    """Choose parts of 16 clips, evenly spread, and read their files, so that the disk is not measured."""
    table = corpus.clips["train"].table()
    chosen = np.linspace(0, len(table) - 1, min(n_sample, len(table))).round().astype(int)
    parts = []
    for rows in np.split(chosen, range(16, len(chosen), 16)):
        part = Part.of(table, rows, rows)
        for clip in part.clips:
            Files().read(clip.location.path)
        parts.append(part)
    return parts


def cpu_seconds(work: Callable[[Any], object], argument: object) -> float:
    """Return the CPU seconds of a call, summed over all threads of this process."""
    start = time.process_time()
    work(argument)
    return time.process_time() - start


def compute(rates: dict[str, float], n_clips: int, n_cores: int) -> dict[str, dict[str, float]]:
    """Return the hours of each stage, clips x ms / cores, and its gigabytes, clips x bytes."""

    def stage(ms: float, n_bytes: float) -> dict[str, float]:
        return {"hours": n_clips * ms / 1000 / 3600 / n_cores, "gigabytes": n_clips * n_bytes / 1e9}

    fit_ms = rates["fit_clips"] * rates["frames_ms"] + 1000 * rates["fit_seconds"]
    return {
        "manifest, check=header": stage(rates["header_ms"], 0),
        "manifest, check=decode": stage(rates["decode_ms"], 0),
        "mel frames": stage(rates["frames_ms"], rates["frames_bytes"]),
        "tokens": stage(rates["tokens_ms"], rates["tokens_bytes"]),
        "one epoch, on CPUs": stage(rates["step_ms"], 0),
        "clustering": {"hours": fit_ms / 1000 / 3600 / n_cores, "gigabytes": rates["fit_bytes"] / 1e9},
    }


def show(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the measured rates and the computed costs."""
    console = Console()
    measured = Table("measured", "", title=f"{results['measured']['n_clips']} clips, one thread, CPU time")
    for name, value in results["measured"].items():
        measured.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    console.print(measured)
    computed = Table(
        "stage", "hours", "GB", title=f"{options.clips:,} clips on {options.cores} cores, computed"
    )
    for name, row in results["computed"].items():
        computed.add_row(name, f"{row['hours']:.2f}", f"{row['gigabytes']:,.1f}")
    console.print(computed)


if __name__ == "__main__":
    main()
