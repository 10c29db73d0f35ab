"""The embedded dataset: synthesised sounds of AudioSet classes, in AudioSet's layout.

The clips are written once to the cache as audio files and read like AudioSet, so that a laptop without any
data goes through the same steps as a training run on AudioSet. Writing the default 1,200 clips of 5 s takes
about 20 s of one core and 115 MB.
"""

import csv
import functools
import io
import os
import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from audiotok.data.audioset import AudioSet
from audiotok.data.clip import Listing
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS, SourceSet
from audiotok.data.source import Source
from audiotok.data.synthesis.mixture import mix_clip
from audiotok.data.synthesis.sounds import SOUNDS
from audiotok.data.validation import Validation
from audiotok.disk.keys import content_key
from audiotok.disk.locking import Hold
from audiotok.errors import UserError
from audiotok.errors.memory import check_disk, check_memory
from audiotok.errors.ranges import Count, Seconds, Seed
from audiotok.kinds import SYNTHETIC
from audiotok.store import DEFAULT_ROOT, StaleError, Store

_SAMPLE_RATE = 16_000  # Hz; enough for these sounds, and a third less to write than 22,050
_LEAST_BYTES = 10_000  # of a second in FLAC; about 20,000 on average
_ID_CHARACTERS = string.ascii_letters + string.digits + "-_"


@dataclass(frozen=True, kw_only=True)
class Synthetic(Source):
    """A seeded corpus of synthesised sounds, 1 to 4 in a clip.

    Args:
        n_train_clips: Clips for training and validation.
        n_test_clips: Clips for testing.
        seed: Seed of all sounds.
        cache_dir: Folder of the audio files, about 20 kB for each second.

    The other arguments are those of `Source`; `clip_seconds` is also the length of the files.
    """

    n_train_clips: Count = 1000
    n_test_clips: Count = 200
    seed: Seed = 0
    cache_dir: str = DEFAULT_ROOT
    clip_seconds: Seconds = 5.0
    validation: Validation = field(default_factory=lambda: Validation(fraction=0.15))

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the tables, which are written first if they are missing."""
        return self._audioset().fingerprint_of_tables()

    def fingerprint_of_audio(self) -> str:
        """Return a name for the audio files, which are written first if they are missing."""
        return self._audioset().fingerprint_of_audio()

    def read(self) -> Listing:
        """Read the corpus like AudioSet, writing it first if it is missing.

        Raises:
            UserError: The cache cannot be written, or a setting is out of range.
        """
        return self._audioset().read()

    def _audioset(self) -> AudioSet:
        for key in ("n_train_clips", "n_test_clips", "clip_seconds"):
            if getattr(self, key) <= 0:
                raise UserError(f"data.{key}={getattr(self, key)} is not positive; choose more than 0.")
        if self.seed < 0:
            raise UserError(f"data.seed={self.seed} is negative; choose 0 or more.")
        check_memory(4 * 8 * _SAMPLE_RATE * self.clip_seconds, f"data.clip_seconds={self.clip_seconds}")
        settings = [SYNTHETIC.version, self.n_train_clips, self.n_test_clips, self.seed, self.clip_seconds]
        key = content_key(settings)
        root = Store(self.cache_dir).load_or_make(SYNTHETIC.name, key, _existing_root, self._write)
        _hold(self.cache_dir, key)
        return AudioSet(root=str(root), layout="folders", validation=self.validation)

    def _write(self, root: Path) -> None:
        n_clips = self.n_train_clips + self.n_test_clips
        check_disk(
            _LEAST_BYTES * n_clips * self.clip_seconds,
            root,
            f"data.n_train_clips={self.n_train_clips} and data.n_test_clips={self.n_test_clips} of "
            f"data.clip_seconds={self.clip_seconds}",
        )
        metadata = root / "metadata"
        metadata.mkdir()
        with (metadata / CLASS_TABLE).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "mid", "display_name"])
            writer.writerows((i, sound.mid, sound.name) for i, sound in enumerate(SOUNDS))
        sets: list[tuple[SourceSet, int]] = [("bal_train", self.n_train_clips), ("eval", self.n_test_clips)]
        for number, (name, n_clips) in enumerate(sets):
            seeds = np.random.SeedSequence([self.seed, number]).spawn(n_clips)
            folder = root / "audio" / name
            jobs = [(folder, seed, self.clip_seconds) for seed in seeds]
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # processes would need a guarded main script
                written = pool.map(_write_clip, jobs)
                progress = tqdm(written, f"Synthesising {name}", n_clips, disable=None, leave=False)
                _write_segments(metadata / SEGMENTS[name], list(progress), self.clip_seconds)


@functools.cache
def _hold(cache_dir: str, key: str) -> Hold:
    """Keep the corpus from being removed until this process ends: its clips are read by their paths."""
    return Store(cache_dir).hold(SYNTHETIC.name, key)


def _existing_root(root: Path) -> Path:
    if not (root / "metadata" / SEGMENTS["eval"]).is_file():
        raise StaleError("the corpus is incomplete")
    return root


def _write_clip(job: tuple[Path, np.random.SeedSequence, float]) -> tuple[str, list[str]]:
    """Synthesise one clip into `<folder>/<id[:2]>/<id>.flac` and return its id and mids."""
    folder, seed, seconds = job
    rng = np.random.default_rng(seed)
    id_ = "".join(rng.choice(list(_ID_CHARACTERS), 11))
    waveform, mids = mix_clip(rng, _SAMPLE_RATE, seconds)
    path = folder / id_[:2] / f"{id_}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()  # libsndfile would not say that the disk is full
    soundfile.write(content, waveform, _SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    path.write_bytes(content.getbuffer())
    return id_, mids


def _write_segments(path: Path, rows: list[tuple[str, list[str]]], seconds: float) -> None:
    lines = [
        "# Segments csv",
        f"# num_ytids={len(rows)}",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    lines += [f'{id_}, 0.000, {seconds:.3f}, "{",".join(mids)}"' for id_, mids in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
