"""A corpus of noise in AudioSet's layout, whose cached frames are noise too: no audio is decoded.

Every clip is half a second of noise in a tar, which is enough to be listed and looked at. The cache then
holds frames of whole clips of 10 s for each of them, as an earlier epoch would have left them.
"""

import csv
import io
import tarfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from configuration import compose_program

from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS, SourceSet
from audiotok.experiment import build_tokenizer
from audiotok.experiment.configuration import build_node
from audiotok.loader.clip_rows import AnalysisRows
from audiotok.store import Store

N_CLASSES = 527
RATE = 8000  # Hz
N_KINDS = 64  # different rows of noise


def write_corpus(root: Path, n_train_clips: int, n_test_clips: int) -> None:
    """Write the tables, and a tar for each set; clips have three labels each."""
    rng = np.random.default_rng(0)
    (root / "metadata").mkdir(parents=True)
    (root / "audio").mkdir()
    with (root / "metadata" / CLASS_TABLE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(["index", "mid", "display_name"])
        csv.writer(file).writerows((i, f"/m/{i:04}", f"Class {i}") for i in range(N_CLASSES))
    sets: dict[SourceSet, int] = {"bal_train": n_train_clips, "eval": n_test_clips}
    for name, n_clips in sets.items():
        lines = ["# Segments csv", f"# num_ytids={n_clips}", "# YTID, start_seconds, end_seconds, labels"]
        with tarfile.open(root / "audio" / f"{name}.tar", "w") as tar:
            for number in range(n_clips):
                id_ = f"{name[0]}{number:010}"
                labels = ",".join(f"/m/{i:04}" for i in rng.choice(N_CLASSES, 3, replace=False))
                lines.append(f'{id_}, 0.000, 10.000, "{labels}"')
                member = tarfile.TarInfo(f"audio/{name}/{id_}.wav")
                content = noise_file(rng)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        (root / "metadata" / SEGMENTS[name]).write_text("\n".join(lines) + "\n", encoding="utf-8")


def noise_file(rng: np.random.Generator) -> bytes:
    """Return half a second of noise as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(RATE)
        sound.writeframes(rng.bytes(RATE // 2))
    return file.getvalue()


def fill_cache(overrides: Sequence[str]) -> int:
    """Write cached frames of every clip of the corpus that a configuration names; return how many."""
    config = compose_program(overrides)
    corpus = open_corpus(build_node(config.data), Store(config.cache_dir))
    cached = AnalysisRows(corpus, build_tokenizer(config).features, Store(config.cache_dir))
    cached.open()
    level_db = np.random.default_rng(0).normal(-50, 15, (N_KINDS, *cached.shape)).clip(-100, 0)
    kinds = level_db.astype(cached.dtype)
    for row in range(len(cached.rows)):
        cached.rows.write(row, kinds[row % N_KINDS], cached.shape[0])
    return len(cached.rows)
