"""A corpus of tones so small that it costs nothing, and its tokenizer: what tests of single stages share."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiotok.augment.mixup import Mixup
from audiotok.augment.recipe import Recipe
from audiotok.augment.sound import Sound
from audiotok.augment.words import Words
from audiotok.clustering.codebooks import Codebooks
from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.product import Product
from audiotok.clustering.random import Random
from audiotok.clustering.residual import Residual
from audiotok.clustering.spherical import Spherical
from audiotok.data.audioset import AudioSet
from audiotok.data.clip import Clip, Location, Split
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.data.limits import Limits
from audiotok.data.validation import Validation
from audiotok.features.features import Features
from audiotok.features.logmel import LogMel
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import ClipDataset
from audiotok.loader.training_clips import CorpusClips
from audiotok.store import Store
from audiotok.tokens.sample import Sampling
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import Vocabulary, fit_or_load

ODD_IDS = [
    "--PJHxphWEs",
    "_0AbCdEfGhI",
    "YabcdefghiJ",
    "Y_-Y_-Y_-Y_",
    "abc_30_40_5",
    "-----------",
    "0123456789_",
]

SAMPLE_RATE = 8000  # Hz
TONES = {"/m/0a": ("Low tone", 250.0), "/m/0b": ("Middle tone", 800.0), "/m/0c": ("High tone", 2500.0)}  # Hz
# What the ids of each set begin with: A-F for first_characters, and what trips a careless parser.
FIRST_CHARACTERS = {"bal_train": "ABCDEF-_Yg-_0Zklmnopqrst", "unbal_train": "AB-_Yh", "eval": "ACx-_Y9z"}
LIMITS = Limits(min_seconds=0.5, max_seconds=60.0, silence_db=-80.0)

CLUSTERINGS: dict[str, tuple[type[Codebooks], dict[str, Any]]] = {
    "kmeans": (KMeans, {"n_iter": 5}),
    "product": (Product, {"n_iter": 5, "n_codebooks": 4}),
    "spherical": (Spherical, {"n_iter": 5}),
    "residual": (Residual, {"n_iter": 5, "n_codebooks": 4}),
    "random": (Random, {"n_codebooks": 4, "code_dimensions": 6}),
}


def file_at(path: Path | str) -> Location:
    """Return the location of a file that is one clip."""
    return Location("folders", str(path))


def path_of(clip: Clip) -> Path:
    """Return the file of a clip that has one."""
    assert clip.location is not None
    return Path(clip.location.path)


def clips_with(targets: np.ndarray, split: Split = "train") -> Catalogue:
    """Return clips that have labels and no sound.

    Args:
        targets: bool (clips, C)
        split: Theirs.
    """
    labels = [tuple(np.flatnonzero(row).tolist()) for row in targets]
    return Catalogue.of(Clip(f"{split}{n:05}", None, labels, split) for n, labels in enumerate(labels))


def targets_of(clips: Catalogue, n_classes: int) -> np.ndarray:
    """Return the labels of clips as bool (clips, C)."""
    targets = np.zeros((len(clips), n_classes), bool)
    targets[clips.label_rows(range(len(clips)))] = True
    return targets


def tiny_source(root: Path | str | None, **changes: Any) -> AudioSet:
    """Build a reader of `tiny_audioset`: bal_train for training, of which A-F validate, eval for testing."""
    arguments: dict[str, Any] = {
        "root": None if root is None else str(root),
        "metadata_folder": "metadata",
        "audio_folder": "audio",
        "layout": "auto",
        "train_sets": ["bal_train"],
        "test_sets": ["eval"],
        "classes": "table",
        "clip_seconds": 1.0,
        "validation": Validation(first_characters="ABCDEF", fraction=0.0, seed=0),
        "limits": LIMITS,
        "check": "decode",
        "scan": "always",
        "cache": "none",
    }
    return AudioSet(**(arguments | changes))


def build_tiny_tokenizer(
    clustering: str = "kmeans", *, features: dict[str, Any] | None = None, **changes: Any
) -> Tokenizer:
    """Build a tokenizer for 8 kHz: 63 mel frames and 32 tokens a second, 8 components, 8 clusters.

    Args:
        clustering: One of `CLUSTERINGS`, with 4 codebooks where it has several.
        features: Arguments of the features that differ.
        changes: Arguments of the clustering, or of the sample, that differ.
    """
    logmel: dict[str, Any] = {
        "sample_rate": SAMPLE_RATE,
        "n_fft": 256,
        "hop_length": 128,
        "n_mels": 16,
        "f_min": 0.0,
        "f_max": None,
        "floor_db": -100.0,
        "range_db": None,
        "normalization": "none",
        "deltas": 0,
        "context": 3,
        "stride": 2,
        "n_components": 8,
        "bands": 1,
        "whiten": False,
    }
    kind, arguments = CLUSTERINGS[clustering]
    sampling = {
        key: changes.pop(key, default)
        for key, default in {"n_frames": None, "n_clips": None, "max_gb": 1.0}.items()
    }
    codebooks = kind(**({"n_clusters": 8, "seed": 0} | arguments | changes))
    return Tokenizer(LogMel(**(logmel | (features or {}))), codebooks, Sampling(**sampling))


def fit_vocabulary(
    tokenizer: Tokenizer,
    corpus: Corpus,
    store: Store,
    *,
    cache: ClipCache | None = None,
    n_workers: int = 0,
    before: Path | None = None,
) -> Vocabulary:
    """Fit a tokenizer to the training clips of a corpus, or load what was fitted."""
    return fit_or_load(tokenizer, CorpusClips(corpus, tokenizer.features, cache, n_workers), store, before)


def dataset_of(
    corpus: Corpus, split: Split, features: Features, cache: ClipCache | None = None, **arguments: Any
) -> ClipDataset:
    """Return the clips of a split, with their cache."""
    return ClipDataset(
        corpus.clips[split],
        len(corpus.classes),
        corpus.clip_seconds,
        features,
        cache=cache.of(split) if cache else None,
        **arguments,
    )


def build_tiny_recipe(
    *,
    sound: dict[str, Any] | None = None,
    words: dict[str, Any] | None = None,
    mixup: dict[str, Any] | None = None,
) -> Recipe:
    """Build a recipe in which every step is off, but for the arguments given."""
    of_sound: dict[str, Any] = {
        "mix": 0.0,
        "mix_db": 10.0,
        "rotate": False,
        "gain_db": 0.0,
        "equalizer_db": 0.0,
        "mask_time": 0.0,
        "mask_bins": 0,
    }
    of_words: dict[str, Any] = {"mask_time": 0.0, "mask_codebooks": 0.0, "noise": 0.0, "n_neighbors": 4}
    of_mixup: dict[str, Any] = {"share": 0.0, "alpha": 0.5}
    return Recipe(
        Sound(**(of_sound | (sound or {}))),
        Words(**(of_words | (words or {}))),
        Mixup(**(of_mixup | (mixup or {}))),
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
