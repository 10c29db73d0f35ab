"""What tests share: a quiet machine, a corpus of tones so small that it costs nothing, and its tokenizer."""

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and faiss; inherited by child processes

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings

from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.product import Product
from audiotok.data.audioset import CLASS_TABLE, SEGMENTS, AudioSet
from audiotok.data.corpus import Corpus, open_corpus
from audiotok.data.inspection import Limits
from audiotok.data.validation import Validation
from audiotok.features.logmel import LogMel
from audiotok.store import Store
from audiotok.tokenizer import Tokenizer

settings.register_profile("audiotok", deadline=None, derandomize=True)
settings.load_profile("audiotok")

SAMPLE_RATE = 8000  # Hz
TONES = {"/m/0a": ("Low tone", 250.0), "/m/0b": ("Middle tone", 800.0), "/m/0c": ("High tone", 2500.0)}  # Hz
# What the ids of each set begin with: A-F for first_characters, and what trips a careless parser.
FIRST_CHARACTERS = {"bal_train": "ABCDEF-_Yg-_0Zklmnopqrst", "unbal_train": "AB-_Yh", "eval": "ACx-_Y9z"}
LIMITS = Limits(min_seconds=0.5, max_seconds=60.0, silence_db=-80.0)


@pytest.fixture(scope="session", autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep caches in a folder of this session, W&B off the network, and torch on one core."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOTOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("NETRC", str(tmp_path_factory.getbasetemp() / "no-netrc"))
        patch.delenv("WANDB_API_KEY", raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_audioset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in AudioSet's layout: 1 s clips at 8 kHz whose labels are the tones that sound in them."""
    root = tmp_path_factory.mktemp("tiny_audioset")
    write_tiny_audioset(root)
    return root


@pytest.fixture(scope="session")
def tiny_corpus(tiny_audioset: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The usable clips of `tiny_audioset`: 18 train, 6 val (A-F), 8 test. Do not change it."""
    return open_corpus(tiny_source(tiny_audioset), Store(tmp_path_factory.mktemp("tiny_corpus")))


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Callable[..., Tokenizer]:
    """Return `build_tiny_tokenizer`, which makes a new tokenizer at each call."""
    return build_tiny_tokenizer


def tiny_source(root: Path | str | None, **changes: Any) -> AudioSet:
    """Build a reader of `tiny_audioset`: bal_train for training, of which A-F validate, eval for testing."""
    arguments: dict[str, Any] = {
        "root": None if root is None else str(root),
        "metadata_folder": "metadata",
        "audio_folder": "audio",
        "train_sets": ["bal_train"],
        "test_sets": ["eval"],
        "classes": "table",
        "clip_seconds": 1.0,
        "validation": Validation(first_characters="ABCDEF", fraction=0.0, seed=0),
        "limits": LIMITS,
    }
    return AudioSet(**(arguments | changes))


def build_tiny_tokenizer(
    clustering: str = "kmeans", *, features: dict[str, Any] | None = None, **changes: Any
) -> Tokenizer:
    """Build a tokenizer for 8 kHz: 63 mel frames and 32 tokens a second, 8 components, 8 clusters.

    Args:
        clustering: kmeans, or product with 4 codebooks.
        features: Arguments of the features that differ.
        changes: Arguments of the clustering that differ.
    """
    logmel: dict[str, Any] = {
        "sample_rate": SAMPLE_RATE,
        "n_fft": 256,
        "hop_length": 128,
        "n_mels": 16,
        "f_min": 0.0,
        "f_max": None,
        "floor_db": -100.0,
        "normalization": "none",
        "context": 3,
        "stride": 2,
        "n_components": 8,
        "whiten": False,
    }
    common = {"n_clusters": 8, "n_iter": 5, "sample_frames": None, "sample_clips": None, "seed": 0}
    if clustering == "kmeans":
        return Tokenizer(LogMel(**(logmel | (features or {}))), KMeans(**(common | changes)))
    return Tokenizer(
        LogMel(**(logmel | (features or {}))), Product(**(common | {"n_codebooks": 4} | changes))
    )


def write_tiny_audioset(root: Path) -> None:
    """Write metadata and audio; the same bytes wherever it is called."""
    rng = np.random.default_rng(0)
    metadata = root / "metadata"
    metadata.mkdir(parents=True)
    with (metadata / CLASS_TABLE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(["index", "mid", "display_name"])
        csv.writer(file).writerows((i, mid, name) for i, (mid, (name, _)) in enumerate(TONES.items()))
    for name, first_characters in FIRST_CHARACTERS.items():
        lines = ["# Segments csv created Sun Mar  5 10:54:31 2017", "# num_ytids=0, num_segs=0, num_labels=3"]
        lines.append("# YTID, start_seconds, end_seconds, positive_labels")
        for number, first in enumerate(first_characters):
            id_ = first + "".join(rng.choice(list("abcXYZ019-_"), 10))
            mids = [mid for bit, mid in enumerate(TONES) if (number % 7 + 1) >> bit & 1]
            path = root / "audio" / name / id_[:2] / f"{id_}.{'wav' if number % 3 else 'flac'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tones([TONES[mid][1] for mid in mids], rng), SAMPLE_RATE)
            lines.append(f'{id_}, 30.000, 31.000, "{",".join(mids)}"')
        (metadata / SEGMENTS[name]).write_text("\n".join(lines) + "\n", encoding="utf-8")


def tones(frequencies: list[float], rng: np.random.Generator, seconds: float = 1.0) -> np.ndarray:
    """Return steady tones with a little noise, float32 (S,) at 8 kHz."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phases = rng.uniform(0, 2 * np.pi, len(frequencies))
    wave = sum(
        0.25 * np.sin(2 * np.pi * hz * t + phase) for hz, phase in zip(frequencies, phases, strict=True)
    )
    return (wave + 0.003 * rng.standard_normal(len(t))).astype(np.float32)
