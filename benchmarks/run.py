"""All benchmarks one after the other, into one flat JSON object: the figures of docs/PERFORMANCE.md.

python benchmarks/run.py --json FILE               on synthesised clips and drawn numbers
python benchmarks/run.py --root DIR --json FILE    on a folder in AudioSet's layout, where clips are read
python benchmarks/run.py --only kmeans --only step
"""

import argparse
import importlib
import json
from collections.abc import Sequence
from pathlib import Path

BENCHMARKS = {  # module: the figures that are taken of what its main returns
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
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this one; repeatable")
    options = parser.parse_args(arguments)
    figures: dict[str, float] = {}
    for name in options.only or BENCHMARKS:
        root = [f"--root={options.root}"] if options.root and name in READ_CLIPS else []
        found = importlib.import_module(name).main(root)
        figures |= {key: found[key] for key in BENCHMARKS[name]}
        if options.json:  # after each: a long run that is stopped leaves what it has
            options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


if __name__ == "__main__":
    main()
