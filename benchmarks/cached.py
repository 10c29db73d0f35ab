"""How fast one process delivers batches of cached tokens, compared with the training step that reads them.

    python benchmarks/cached.py                  20,000 clips of random tokens; no audio is needed
    python benchmarks/cached.py model=bag        with Hydra overrides of the default configuration

Clips of 10 s, 8 codebooks, 527 classes, batches of 64, no workers: `ClipDataModule` as in training, with a
cache of random tokens. The step is that of the configured model on this machine's CPU or GPU;
`data_share_of_step` is how much longer it takes if it waits for its batch. The figures are those of the
fastest epoch and the fastest step, as with timeit: other work on the machine only slows them down.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from configuration import compose_program
from omegaconf import DictConfig
from report import show, write_json

from audiotok.data.clip import Clip, SoundClass
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.experiment import build_model, build_tokenizer
from audiotok.experiment.configuration import build_node
from audiotok.loader.datamodule import ClipDataModule
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer

N_CLASSES, CLIP_SECONDS, BATCH = 527, 10.0, 64
OVERRIDES = ["clustering.n_codebooks=8", "augment=none", "logger=none"]


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--clips", type=int, default=20_000, help="training clips")
    parser.add_argument("--epochs", type=int, default=5, help="epochs to measure")
    parser.add_argument("--steps", type=int, default=10, help="training steps to measure")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, model=bag for example")
    options = parser.parse_intermixed_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.clips, options.epochs, options.steps, options.overrides)
    show(results, f"Batches of {BATCH} cached clips of {CLIP_SECONDS:g} s, 8 codebooks, no workers")
    write_json(results, options.json)
    return results


def measure(
    folder: Path, n_clips: int, n_epochs: int, n_steps: int, overrides: Sequence[str] = ()
) -> dict[str, float]:
    """Fill a cache in a folder, and time epochs that read it and training steps."""
    config = compose_program([*OVERRIDES, *overrides])
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
    rate = max(rates[1:])  # the first epoch reads the rows into memory
    step_seconds = training_step_seconds(config, tokenizer, datamodule, n_steps)
    return {
        "cached_clips_per_second": rate,
        "data_ms_per_batch": 1000 * BATCH / rate,
        "step_ms_per_batch": 1000 * step_seconds,
        "data_share_of_step": BATCH / rate / step_seconds,
    }


def draw_corpus(n_clips: int) -> Corpus:
    """Draw clips without audio and with three labels each; ten are for validation and ten for testing."""
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
    """Set random centroids; nothing is compared with them."""
    codebooks = tokenizer.codebooks
    size = (
        codebooks.n_codebooks,
        codebooks.n_clusters,
        tokenizer.features.n_dimensions // codebooks.n_codebooks,
    )
    codebooks.load_arrays({"centroids": np.random.default_rng(0).standard_normal(size)})


def fill(datamodule: ClipDataModule) -> None:
    """Cache random tokens for all training clips, as an earlier epoch would have cached theirs."""
    tokens = datamodule.cache.tokens("train")
    assert tokens is not None
    n_clusters = datamodule.tokenizer.codebooks.n_clusters
    rng = np.random.default_rng(0)
    for row in tokens.rows_of(datamodule.corpus.clips["train"].digests):
        datamodule.cache.put(tokens, row, rng.integers(n_clusters, size=tokens.shape), tokens.shape[0])


def seconds_of(datamodule: ClipDataModule, epoch: int) -> float:
    """Iterate over the training batches of an epoch, and return the seconds that it takes."""
    loader: Any = datamodule.train_dataloader()
    loader.sampler.set_epoch(epoch)
    start = time.perf_counter()
    for batch in loader:
        assert batch["inputs"].dtype == torch.int64
    return time.perf_counter() - start


def training_step_seconds(
    config: DictConfig, tokenizer: Tokenizer, datamodule: ClipDataModule, n_steps: int
) -> float:
    """Return the seconds of a forward pass, a backward pass and an update with one batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config, tokenizer, CLIP_SECONDS, N_CLASSES).to(device).train()
    optimizer = build_node(config.optimizer).build(model)
    batch = {key: value.to(device) for key, value in next(iter(datamodule.train_dataloader())).items()}
    times = []
    for _ in range(n_steps + 1):
        start = time.perf_counter()
        logits = model(batch["inputs"], batch["lengths"])
        torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["targets"]).backward()
        optimizer.step()
        optimizer.zero_grad()
        float(logits.detach()[0, 0])  # wait for the device
        times.append(time.perf_counter() - start)
    return min(times[1:])


if __name__ == "__main__":
    main()
