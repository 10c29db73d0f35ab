"""How fast one process gives batches of tokens that are kept, beside the training step that reads them.

    python benchmarks/cached.py                  20,000 clips that are drawn, not read: no audio, no corpus
    python benchmarks/cached.py model=bag        with Hydra overrides of the default configuration

Clips of 10 s, 8 codebooks, 527 classes, batches of 64, no worker: `ClipDataModule` as training uses it, whose
token rows are filled with noise beforehand. The step is that of the configured model on this machine's CPU
or GPU, and the share says how much longer it gets by waiting for data. Of several epochs and steps the
fastest is taken, as timeit does: what else runs on the machine only makes them slower.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from audiotok.data.clip import Clip, SoundClass
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.experiment import build_model, build_tokenizer
from audiotok.loader.datamodule import ClipDataModule
from audiotok.programs import config_folder
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer

N_CLASSES, CLIP_SECONDS, BATCH = 527, 10.0, 64
OVERRIDES = ["clustering.n_codebooks=8", "augment=none", "logger=none"]


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--clips", type=int, default=20_000, help="training clips")
    parser.add_argument("--epochs", type=int, default=5, help="epochs that are measured")
    parser.add_argument("--steps", type=int, default=10, help="training steps that are measured")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, model=bag for example")
    options = parser.parse_intermixed_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.clips, options.epochs, options.steps, options.overrides)
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def measure(
    folder: Path, n_clips: int, n_epochs: int, n_steps: int, overrides: Sequence[str] = ()
) -> dict[str, float]:
    """Fill a cache in a folder, and time epochs of it and training steps."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [*OVERRIDES, *overrides])
    tokenizer = build_tokenizer(config)
    fit_to_noise(tokenizer)
    datamodule = ClipDataModule(
        draw_corpus(n_clips),
        tokenizer,
        Store(folder),
        "tokens",
        recipe=None,
        batch_size=BATCH,
        n_workers=0,
        tokenize_on="workers",
        sampling="uniform",
        random_crop=False,
        seed=0,
    )
    fill(datamodule)
    rates = [n_clips / seconds_of(datamodule, epoch) for epoch in range(n_epochs + 1)]
    rate = max(rates[1:])  # the first brings the rows into memory
    step_seconds = training_step_seconds(config, tokenizer, datamodule, n_steps)
    return {
        "cached_clips_per_second": rate,
        "data_ms_per_batch": 1000 * BATCH / rate,
        "step_ms_per_batch": 1000 * step_seconds,
        "data_share_of_step": BATCH / rate / step_seconds,
    }


def draw_corpus(n_clips: int) -> Corpus:
    """Draw clips with three labels each, and no audio; ten validate and ten test."""
    rng = np.random.default_rng(0)

    def clip(split: str, number: int) -> Clip:
        labels = tuple(rng.choice(N_CLASSES, 3, replace=False).tolist())
        digest = int(rng.integers(2**63))
        return Clip(f"{split}{number:07}", None, labels, split, CLIP_SECONDS, digest)

    sizes = {"train": n_clips, "val": 10, "test": 10}
    clips = {split: Catalogue.of(clip(split, i) for i in range(n)) for split, n in sizes.items()}
    classes = tuple(SoundClass(f"/m/{i}", f"class {i}") for i in range(N_CLASSES))
    return Corpus(classes, clips, clip_seconds=CLIP_SECONDS, cache="tokens")


def fit_to_noise(tokenizer: Tokenizer) -> None:
    """Draw centroids: no frame is ever compared with them."""
    codebooks = tokenizer.codebooks
    size = (
        codebooks.n_codebooks,
        codebooks.n_clusters,
        tokenizer.features.n_dimensions // codebooks.n_codebooks,
    )
    codebooks.load_arrays({"centroids": np.random.default_rng(0).standard_normal(size)})


def fill(datamodule: ClipDataModule) -> None:
    """Write tokens of noise for all training clips, as an earlier epoch would have written theirs."""
    tokens = datamodule.cache.tokens("train")
    assert tokens is not None
    n_clusters = datamodule.tokenizer.codebooks.n_clusters
    rng = np.random.default_rng(0)
    for row in tokens.rows_of(datamodule.corpus.clips["train"].digests):
        datamodule.cache.put(tokens, row, rng.integers(n_clusters, size=tokens.shape), tokens.shape[0])


def seconds_of(datamodule: ClipDataModule, epoch: int) -> float:
    """Go through an epoch of training batches, and return how long it took."""
    loader: Any = datamodule.train_dataloader()
    loader.sampler.set_epoch(epoch)
    start = time.perf_counter()
    for batch in loader:
        assert batch["inputs"].dtype == torch.int64
    return time.perf_counter() - start


def training_step_seconds(
    config: Any, tokenizer: Tokenizer, datamodule: ClipDataModule, n_steps: int
) -> float:
    """Return the time of a forward and backward pass and an update with a batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config, tokenizer, CLIP_SECONDS, N_CLASSES).to(device).train()
    optimizer = instantiate(config.optimizer).build(model)
    batch = {key: value.to(device) for key, value in next(iter(datamodule.train_dataloader())).items()}
    times = []
    for _ in range(n_steps + 1):
        start = time.perf_counter()
        logits = model(batch["inputs"], batch["lengths"])
        torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["targets"]).backward()
        optimizer.step()
        optimizer.zero_grad()
        float(logits.detach()[0, 0])  # waits for the device
        times.append(time.perf_counter() - start)
    return min(times[1:])


def show(results: dict[str, float]) -> None:
    """Print a table."""
    table = Table(title=f"Batches of {BATCH} kept clips of {CLIP_SECONDS:g} s, 8 codebooks, no worker")
    for name in results:
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in results.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
