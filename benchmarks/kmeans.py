"""Our clusterings compared with plain FAISS and scikit-learn, on the same points and one thread.

    python benchmarks/kmeans.py                        random points
    python benchmarks/kmeans.py --root DIR             frames of a folder in AudioSet's layout

- `kmeans_time_vs_faiss`: CPU seconds of `KMeans.fit` / of `faiss.Kmeans.train`.
- `kmeans_objective_vs_sklearn`: mean squared distance of the points to our centroids / to those of
  scikit-learn's `KMeans` with its defaults: greedy k-means++, then Lloyd over all points until it converges.
- `kmeans_time_vs_sklearn`: CPU seconds of ours / of scikit-learn's.

Ours runs with its defaults and starts from well spread points. FAISS runs with its defaults (25 iterations,
10 for each codebook of a residual quantiser, random starting points), except that it uses all points instead
of 256 per centroid. In the table, `Product` and `Residual` are compared with FAISS's `ProductQuantizer` and
`ResidualQuantizer`, the latter with a beam of one, as ours has.
"""

import argparse
import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before FAISS and scikit-learn are loaded

import faiss
import numpy as np
import sklearn.cluster
import torch
from configuration import compose_program, data_overrides
from pairs import measure_pairs, seconds_of
from points import draw_points
from report import write_json
from rich.console import Console
from rich.table import Table

from audiotok.clustering.codebooks import Codebooks
from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.product import Product
from audiotok.clustering.residual import Residual
from audiotok.data.corpus.corpus import open_corpus
from audiotok.experiment import build_tokenizer
from audiotok.experiment.configuration import build_node
from audiotok.loader.training_clips import CorpusClips
from audiotok.store import Store
from audiotok.tokens.sample import draw_sample

N_BOOKS = 8
Rebuild = Callable[[np.ndarray], np.ndarray]  # decodes the tokens of points (N, D): (N, D)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; without it, random points")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--points", type=int, default=100_000, help="points to cluster")
    parser.add_argument("--clusters", type=int, default=500, help="centroids; per codebook at most 256")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of measurements")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    points = frames_of(options.root, options.points) if options.root else draw_points(options.points)
    results = measure(points, options.clusters, options.pairs)
    show(results, points)
    write_json(results, options.json)
    return results


def measure(points: np.ndarray, n_clusters: int, n_pairs: int) -> dict[str, float]:
    """Fit all clusterings to the same points."""
    n_bits = min(8, int(math.log2(n_clusters)))
    rivals: dict[str, tuple[Codebooks, Callable[[np.ndarray], Rebuild]]] = {
        "kmeans": (KMeans(n_clusters=n_clusters), faiss_kmeans(n_clusters)),
        "product": (Product(n_clusters=2**n_bits, n_codebooks=N_BOOKS), faiss_product(n_bits)),
        "residual": (Residual(n_clusters=2**n_bits, n_codebooks=N_BOOKS), faiss_residual(n_bits)),
    }
    results: dict[str, float] = {}
    for name, (ours, plain) in rivals.items():
        pairs = measure_pairs(
            lambda _, ours=ours: ours.fit(points), lambda _, plain=plain: plain(points), n_pairs
        )
        objective, theirs = distance(points, rebuild(ours, points)), distance(points, plain(points)(points))
        results |= {
            f"{name}_seconds": pairs.medians[0],
            f"{name}_faiss_seconds": pairs.medians[1],
            f"{name}_objective": objective,
            f"{name}_time_vs_faiss": pairs.ratio,
            f"{name}_objective_vs_faiss": objective / theirs,
        }
    full = sklearn.cluster.KMeans(n_clusters, n_init=1, random_state=0)
    seconds = seconds_of(lambda _: full.fit(points))
    return {
        **results,
        "kmeans_sklearn_seconds": seconds,
        "kmeans_time_vs_sklearn": results["kmeans_seconds"] / seconds,
        "kmeans_objective_vs_sklearn": results["kmeans_objective"] * len(points) / float(full.inertia_),
    }


def rebuild(codebooks: Codebooks, points: np.ndarray) -> np.ndarray:
    """Encode points and decode their tokens."""
    parts = torch.from_numpy(points).split(8192)
    return torch.cat([codebooks.decode(codebooks.encode(part)) for part in parts]).numpy()


def faiss_kmeans(n_clusters: int) -> Callable[[np.ndarray], Rebuild]:
    """Return a function that fits FAISS's k-means."""

    def fit(points: np.ndarray) -> Rebuild:
        kmeans = faiss.Kmeans(
            points.shape[1], n_clusters, max_points_per_centroid=len(points), min_points_per_centroid=1
        )
        kmeans.train(points)
        return lambda others: kmeans.centroids[kmeans.index.search(others, 1)[1][:, 0]]

    return fit


def faiss_product(n_bits: int) -> Callable[[np.ndarray], Rebuild]:
    """Return a function that fits FAISS's product quantiser."""
    return lambda points: _train(faiss.ProductQuantizer(points.shape[1], N_BOOKS, n_bits), points)


def faiss_residual(n_bits: int) -> Callable[[np.ndarray], Rebuild]:
    """Return a function that fits FAISS's residual quantiser, with a beam of one."""

    def fit(points: np.ndarray) -> Rebuild:
        quantizer = faiss.ResidualQuantizer(points.shape[1], N_BOOKS, n_bits)
        quantizer.max_beam_size = 1
        quantizer.train_type = faiss.ResidualQuantizer.Train_default
        return _train(quantizer, points)

    return fit


def _train(quantizer: Any, points: np.ndarray) -> Rebuild:
    quantizer.cp.max_points_per_centroid = len(points)
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(points)
    return lambda others: quantizer.decode(quantizer.compute_codes(others))


def distance(points: np.ndarray, rebuilt: np.ndarray) -> float:
    """Return the mean squared distance."""
    return float(np.square(points - rebuilt).sum(1, dtype=np.float64).mean())


def frames_of(root: str, n_points: int) -> np.ndarray:
    """Return frames (N, 64) of a corpus, as `features=logmel clustering=kmeans` would cluster them."""
    overrides = ["features=logmel", "clustering=kmeans", f"sample.n_frames={n_points}"]
    config = compose_program([*data_overrides(root), *overrides])
    tokenizer = build_tokenizer(config)
    corpus = open_corpus(build_node(config.data), Store(config.cache_dir))
    clips = CorpusClips(corpus, tokenizer.features)
    sample = draw_sample(tokenizer.features, tokenizer.codebooks, tokenizer.sampling, clips)
    tokenizer.features.fit(sample)
    return sample.project()


def show(results: dict[str, float], points: np.ndarray) -> None:
    """Print a table."""
    table = Table(title=f"{len(points):,} points of {points.shape[1]} dimensions, one thread")
    for column in ("", "seconds", "plain FAISS", "time ratio", "objective ratio"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("kmeans", "product", "residual"):
        seconds = [f"{results[f'{name}_{part}']:.2f}" for part in ("seconds", "faiss_seconds")]
        ratios = [f"{results[f'{name}_{part}_vs_faiss']:.3f}" for part in ("time", "objective")]
        table.add_row(name, *seconds, *ratios)
    table.add_row(
        "kmeans, against scikit-learn",
        f"{results['kmeans_seconds']:.2f}",
        f"{results['kmeans_sklearn_seconds']:.2f}",
        f"{results['kmeans_time_vs_sklearn']:.3f}",
        f"{results['kmeans_objective_vs_sklearn']:.3f}",
    )
    Console().print(table)


if __name__ == "__main__":
    main()
