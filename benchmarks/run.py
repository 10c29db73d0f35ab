"""Run all benchmarks and collect the figures of docs/PERFORMANCE.md in one flat JSON object.

    python benchmarks/run.py --json FILE               on synthesised clips and random numbers
    python benchmarks/run.py --root DIR --json FILE    on a folder in AudioSet's layout, where clips are read
    python benchmarks/run.py --only kmeans --only step

The file is written after each benchmark, so an interrupted run leaves the figures that it has.
"""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from report import write_json

BENCHMARKS = {  # module: the figures taken from what its `main` returns
    "tokens": ("tokens_vs_decode", "tokens_vs_librosa_pipeline", "two_process_scaling", "two_process_limit"),
    "cached": ("cached_clips_per_second",),
    "kmeans": ("kmeans_time_vs_faiss", "kmeans_objective_vs_sklearn"),
    "manifest": ("manifest_2m_seconds", "manifest_2m_gb"),
    "step": ("step_vs_transformers",),
    "start": ("second_start_seconds",),
    "sweep": ("sweep_vs_alone", "joblib_speedup"),
    "compare": ("compare_seconds", "page_mb"),
}
READ_CLIPS = {"tokens", "kmeans", "start", "sweep"}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, and return the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", help="folder in AudioSet's layout")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; repeatable")
    options = parser.parse_args(arguments)
    figures: dict[str, float] = {}
    for name in options.only or BENCHMARKS:
        root = [f"--root={options.root}"] if options.root and name in READ_CLIPS else []
        results = importlib.import_module(name).main(root)
        figures |= {key: results[key] for key in BENCHMARKS[name]}
        write_json(figures, options.json)
    return figures


if __name__ == "__main__":
    main()
