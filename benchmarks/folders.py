"""What it takes to look at a corpus of many files in folders: for its first manifest, and at every start.

    python benchmarks/folders.py                       100,000 files
    python benchmarks/folders.py --clips 2000000       half an hour on 2 cores
    python benchmarks/folders.py --folder DIR          written on that disk, and removed at the end

The corpus is of AudioSet's shape: `audio/unbal_train/<id[:2]>/<id>.flac`, CSVs that list a tenth more. The
files are hard links to a few of 10 s of noise, just written, so that the disk is not what is measured.

- `first_seconds`: the manifest is made, with `check=header` on all cores; `beside_seconds`: of it, what is
  beside the headers, on one core: it is made again when all parts are inspected.
- `look_seconds`: the manifest is opened by a start that looks at all files (`data.scan=always`).
- `once_seconds`: the same without a look (`data.scan=once`).
- `peak_gb`: the most memory that all of it took.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from audiotok.data.corpus.manifest import open_manifest
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.data.source import Source
from audiotok.programs import config_folder
from audiotok.store import Store

N_CLASSES, LINKS = 527, 50_000  # classes; links to one file, of which ext4 allows 65,000


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where files are written")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        write_corpus(Path(name), options.clips)
        results = measure(Path(name))
    show(results, options.clips)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def write_corpus(root: Path, n_clips: int) -> None:
    """Write CSVs and files: one clip in eleven is listed and not there."""
    metadata = root / "metadata"
    metadata.mkdir()
    classes = [f'{n},/m/{n:04},"class {n}"\n' for n in range(N_CLASSES)]
    (metadata / CLASS_TABLE).write_text("index,mid,display_name\n" + "".join(classes), encoding="utf-8")
    rng = np.random.default_rng(0)
    with (
        (metadata / SEGMENTS["unbal_train"]).open("w", encoding="utf-8") as train,
        (metadata / SEGMENTS["eval"]).open("w", encoding="utf-8") as test,
    ):
        for number in range(n_clips + n_clips // 10):
            name = "eval" if number % 100 == 0 else "unbal_train"
            id_ = rng.bytes(6).hex()[:11]
            row = f'{id_}, 30.000, 40.000, "/m/{number % N_CLASSES:04}"\n'
            (test if name == "eval" else train).write(row)
            if number % 11:
                link(root, number, root / "audio" / name / id_[:2] / f"{id_}.flac")


def link(root: Path, number: int, path: Path) -> None:
    """Write a file of noise, or a link to one that was written."""
    source = root / f"{number // LINKS}.flac"
    if not source.exists():
        noise = np.random.default_rng(number).normal(0, 0.1, 160_000)
        soundfile.write(source, noise, 16_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, path)


def measure(root: Path) -> dict[str, float]:
    """Make the manifest, and open it as starts do."""
    store = Store(root / "cache")
    results = {"first_seconds": seconds_to_open(root, store, "always")}
    shutil.rmtree(store.root / "manifests")
    results["beside_seconds"] = seconds_to_open(root, store, "always")
    results["look_seconds"] = seconds_to_open(root, store, "always")
    results["once_seconds"] = seconds_to_open(root, store, "once")
    results["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {name: round(value, 2) for name, value in results.items()}


def seconds_to_open(root: Path, store: Store, scan: str) -> float:
    """Open the manifest, and return how long it took by the clock."""
    source = configured(root, scan)
    start = time.perf_counter()
    open_manifest(source, store)
    return time.perf_counter() - start


def configured(root: Path, scan: str) -> Source:
    """Return AudioSet as it is configured."""
    overrides = ["data=audioset", "data.train_sets=[unbal_train]", "data.check=header", f"data.scan={scan}"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides)
    config.data.root = str(root)
    source: Source = instantiate(config.data, _convert_="all")
    return source


def show(results: dict[str, float], n_clips: int) -> None:
    """Print a table."""
    table = Table(title=f"{n_clips:,} files in folders")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in results.items():
        table.add_row(name, f"{value:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
