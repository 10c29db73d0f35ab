"""Our k-means against bare FAISS and scikit-learn, on the same points and one thread.

    python benchmarks/kmeans.py                        points that are drawn
    python benchmarks/kmeans.py --root DIR             frames of a folder in AudioSet's layout

- `kmeans_time_vs_faiss`: seconds of `KMeans.fit` / of `faiss.Kmeans.train`, both with 20 iterations.
- `kmeans_objective_vs_sklearn`: mean squared distance of the points to our centroids / to those of
  scikit-learn's `KMeans` as it comes: k-means++, Lloyd over all points until it converges.
- `kmeans_time_vs_sklearn`: seconds of ours / of that.

`Product` and `Residual` stand in the table beside FAISS's `ProductQuantizer` and `ResidualQuantizer`, whose
training has the same iterations and points, and the latter a beam of one, as ours has.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before FAISS and scikit-learn are loaded

import faiss
import numpy as np
import torch
from pairs import Pairs, measure_pairs, seconds_of
from rich.console import Console
from rich.table import Table

from audiotok.clustering.codebooks import Codebooks
from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.product import Product
from audiotok.clustering.residual import Residual

N_ITER, N_BOOKS, N_BITS, SEED = 20, 8, 8, 0


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout; drawn points without it")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, default=500, help="of k-means; the others have 256")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    points = frames_of(options.root, options.points) if options.root else draw_points(options.points)
    rows = {
        "k-means": against(
            lambda: of_kmeans(options.clusters), bare_kmeans(options.clusters), points, options.pairs
        ),
        "product": against(of_product, bare_product, points, options.pairs),
        "residual": against(of_residual, bare_residual, points, options.pairs),
    }
    ours, ours_seconds = rows["k-means"].objective, rows["k-means"].pairs.medians[0]
    theirs, theirs_seconds = of_sklearn(points, options.clusters)
    results = {
        "kmeans_time_vs_faiss": rows["k-means"].pairs.ratio,
        "kmeans_objective_vs_sklearn": ours / theirs,
        "kmeans_time_vs_sklearn": ours_seconds / theirs_seconds,
        "product_time_vs_faiss": rows["product"].pairs.ratio,
        "product_objective_vs_faiss": rows["product"].objective / rows["product"].bare_objective,
        "residual_time_vs_faiss": rows["residual"].pairs.ratio,
        "residual_objective_vs_faiss": rows["residual"].objective / rows["residual"].bare_objective,
    }
    show(rows, (theirs, theirs_seconds), points)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results
