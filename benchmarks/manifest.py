"""The cost of opening the manifest of two million clips: time and memory.

    python benchmarks/manifest.py                      2,000,000 clips
    python benchmarks/manifest.py --clips 100000

The manifest is synthetic and resembles AudioSet's: ids of 11 characters, 1 to 5 of 527 labels, paths of 70
characters, one clip in ten missing. A new process opens it as training does: the catalogues of the splits and
the key of the training clips. Needs Linux.

- `manifest_2m_seconds`, `cpu_seconds`: wall-clock and CPU time; the latter tells a slow program from a busy
  machine.
- `manifest_2m_gb`: by how much resident memory peaks above its level before opening.
- `worker_gb`: private memory of a forked worker that visits 20,000 clips.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from audiotok.data.clip import Listing, SoundClass
from audiotok.data.corpus.catalogue import SCHEMA, Catalogue
from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.corpus.manifest import made_of, write_manifest
from audiotok.data.source import Source
from audiotok.disk.checksum import write_checksums
from audiotok.disk.keys import content_key
from audiotok.store import Store

CLASSES = tuple(SoundClass(f"/m/{n}", f"class {n}") for n in range(527))


@dataclass(frozen=True, kw_only=True)
class NoFiles(Source):
    """A source without files: only its manifest exists."""

    def fingerprint_of_tables(self) -> str:
        """Return a name for no tables."""
        return ""

    def fingerprint_of_audio(self) -> str:
        """Return a name for no audio."""
        return ""

    def read(self) -> Listing:
        """Fail: the manifest exists, so nothing may be listed."""
        raise AssertionError("only the manifest may be read")


def measure_manifest(n_clips: int = 2_000_000) -> dict[str, float]:
    """Write a manifest, and return what opening it costs a new process."""
    with tempfile.TemporaryDirectory() as folder:
        ingredients = made_of(NoFiles())
        place = Store(folder).folder("manifests", content_key(ingredients))
        place.mkdir(parents=True)
        write_manifest(place, synthetic_table(n_clips), Listing(CLASSES, ()), ingredients)
        write_checksums(place)
        command = [sys.executable, __file__, "--open", folder]
        opened = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    results: dict[str, float] = json.loads(opened.stdout)
    return results


def synthetic_table(n_clips: int) -> pa.Table:
    """Return the rows of clips, ordered by id."""
    rng = np.random.default_rng(0)
    ids = [f"{n:011x}" for n in range(n_clips)]
    ends = np.concatenate([[0], rng.integers(1, 6, n_clips).cumsum()])
    labels = pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(rng.integers(0, len(CLASSES), ends[-1]), pa.int32())
    )
    is_present = rng.random(n_clips) < 0.9
    names = {
        "split": rng.choice(["train", "val", "test"], n_clips, p=[0.97, 0.02, 0.01]),
        "layout": np.where(is_present, "folders", None),
        "status": np.where(is_present, "usable", "missing"),
    }
    columns = {
        "id": ids,
        "labels": labels,
        "path": [f"/somewhere/on/a/large/disk/audioset/audio/unbal_train/{i[-2:]}/{i}.flac" for i in ids],
        "entry": [""] * n_clips,
        "start": np.zeros(n_clips),
        "end": [None] * n_clips,
        "seconds": rng.uniform(9, 10, n_clips),
        "rate": np.full(n_clips, 48_000),
        "channels": np.full(n_clips, 2),
        "peak": rng.random(n_clips),
        "digest": rng.integers(2**64, size=n_clips, dtype=np.uint64),
        "detail": [""] * n_clips,
        **{name: pa.array(values).dictionary_encode() for name, values in names.items()},
    }
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in SCHEMA], schema=SCHEMA)


def open_and_measure(folder: str) -> dict[str, float]:
    """Open the manifest in this process, and return what that costs."""
    before = memory_gb("VmRSS")
    start, cpu_start = time.perf_counter(), time.process_time()
    corpus = open_corpus(NoFiles(), Store(folder))
    corpus.clips["train"].fingerprint()
    corpus.class_counts("train")
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "manifest_2m_seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "manifest_2m_gb": round(memory_gb("VmHWM") - before, 3),
        "worker_gb": round(owned_by_worker_gb(corpus.clips["train"]), 3),
    }


def owned_by_worker_gb(clips: Catalogue) -> float:
    """Visit clips in a forked process, and return its private memory."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def visit() -> None:
        for index in np.linspace(0, len(clips) - 1, 20_000).astype(int).tolist():
            assert clips[index].id
        sender.send(memory_gb("Private_Dirty", "smaps_rollup"))

    worker = fork.Process(target=visit)
    worker.start()
    worker.join()
    return float(receiver.recv())


def memory_gb(name: str, file: str = "status") -> float:
    """Return a figure of this process's memory as Linux reports it in /proc."""
    lines = Path("/proc/self", file).read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e9


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=2_000_000, help="clips in the manifest")
    parser.add_argument("--open", metavar="CACHE", help=argparse.SUPPRESS)  # in the new process
    options = parser.parse_args(arguments)
    results = open_and_measure(options.open) if options.open else measure_manifest(options.clips)
    print(json.dumps(results))
    return results


if __name__ == "__main__":
    main()
