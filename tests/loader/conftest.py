import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny import file_at

from audiotok.data.clip import Clip, SoundClass, Split
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.loader import waveforms
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer

SAMPLE_RATE = 8000  # Hz


MakeClip = Callable[..., Clip]


@pytest.fixture(scope="session")
def tokenizer(tiny_tokenizer: Callable[..., Tokenizer]) -> Tokenizer:
    """A tiny tokenizer, whose eight centroids are frames of noise from soft to loud."""
    tokenizer = tiny_tokenizer()
    n_samples = torch.tensor([SAMPLE_RATE])
    noise = torch.randn(1, SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    fading = noise * torch.logspace(-4, 0, SAMPLE_RATE)
    mel, n_mel = tokenizer.features.analyze(fading, n_samples)
    stacked, _ = tokenizer.features.stack(mel, n_mel)
    tokenizer.features.fit(stacked[0])
    frames, _ = tokenizer.features(mel, n_mel)  # (1, 32, 8)
    tokenizer.codebooks.load_arrays({"centroids": frames[:, ::4].numpy()})
    return tokenizer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A cache folder of the test's own."""
    return Store(tmp_path / "cache")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the audio files that are opened in this process."""
    names: list[str] = []
    read_mono = waveforms.read_mono

    def noted(path: Path, *arguments: float) -> np.ndarray:
        names.append(path.stem)
        return read_mono(path, *arguments)

    monkeypatch.setattr(waveforms, "read_mono", noted)
    return names


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Write a float32 wav of noise, or of the samples given, and return its clip."""

    def make(
        name: str,
        seconds: float = 1.0,
        labels: tuple[int, ...] = (0,),
        split: Split = "train",
        rate: int = SAMPLE_RATE,
        samples: np.ndarray | None = None,
    ) -> Clip:
        path = tmp_path / f"{name}.wav"
        if samples is None:
            rng = np.random.default_rng(list(name.encode()))
            samples = rng.uniform(-1, 1, round(seconds * rate)) * 10 ** rng.uniform(-3, 0)
        soundfile.write(path, samples, rate, subtype="FLOAT")
        digest = zlib.crc32(path.read_bytes())
        return Clip(name, file_at(path), labels, split, seconds=len(samples) / rate, digest=digest)

    return make


@pytest.fixture
def corpus(make_clip: MakeClip) -> Corpus:
    """Seven training, five validation and three test clips of four classes, 0.6, 1.0 and 1.7 s long.

    Nothing is kept of them.
    """
    sizes: dict[Split, int] = {"train": 7, "val": 5, "test": 3}
    clips = {
        split: Catalogue.of(
            make_clip(f"{split}{i}", (0.6, 1.0, 1.7)[i % 3], (i % 4, 3), split) for i in range(n)
        )
        for split, n in sizes.items()
    }
    classes = tuple(SoundClass(f"/m/{i}", f"class {i}") for i in range(4))
    return Corpus(classes, clips, clip_seconds=1.0)
