"""The cost of looking through a corpus of many files in folders: for its manifest, and at every start.

    python benchmarks/folders.py                       100,000 files
    python benchmarks/folders.py --clips 2000000       half an hour on 2 cores
    python benchmarks/folders.py --folder DIR          written on that disk, and removed at the end

The corpus has AudioSet's layout: `audio/unbal_train/<id[:2]>/<id>.flac`, and CSVs that list a tenth more
clips. The files are hard links to a few files of 10 s of noise that were just written, so the disk is not
measured.

- `first_seconds`: making the manifest with `check=header`, on all cores.
- `remake_seconds`: making it again when all clips have been inspected: everything but the headers, on one
  core.
- `look_seconds`: opening the manifest at a start that checks all files for changes (`data.scan=always`).
- `once_seconds`: opening it without that check (`data.scan=once`).
- `peak_gb`: peak memory of all of these.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from report import show, write_json

from audiotok.data.audioset import AudioSet
from audiotok.data.corpus.manifest import open_manifest
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.data.source import Scan
from audiotok.store import Store

N_CLASSES = 527
N_LINKS = 50_000  # links to one file; ext4 allows 65,000


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=100_000, help="files")
    parser.add_argument("--folder", type=Path, help="folder in which the files are written")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        write_corpus(Path(name), options.clips)
        results = measure(Path(name))
    show(results, f"{options.clips:,} files in folders")
    write_json(results, options.json)
    return results


def write_corpus(root: Path, n_clips: int) -> None:
    """Write CSVs and files; one in eleven of the listed clips is missing."""
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
    """Create a file as a hard link to a file of noise, which is written if necessary."""
    source = root / f"{number // N_LINKS}.flac"
    if not source.exists():
        noise = np.random.default_rng(number).normal(0, 0.1, 160_000)
        soundfile.write(source, noise, 16_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, path)


def measure(root: Path) -> dict[str, float]:
    """Make the manifest, and open it as a training run does."""
    store = Store(root / "cache")
    results = {"first_seconds": seconds_to_open(root, store, "always")}
    shutil.rmtree(store.root / "manifests")
    results["remake_seconds"] = seconds_to_open(root, store, "always")
    results["look_seconds"] = seconds_to_open(root, store, "always")
    results["once_seconds"] = seconds_to_open(root, store, "once")
    results["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {name: round(value, 2) for name, value in results.items()}


def seconds_to_open(root: Path, store: Store, scan: Scan) -> float:
    """Open the manifest, and return the wall-clock seconds that it takes."""
    source = AudioSet(root=str(root), train_sets=["unbal_train"], check="header", scan=scan)
    start = time.perf_counter()
    open_manifest(source, store)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
