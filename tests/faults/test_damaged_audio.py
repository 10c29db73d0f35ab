"""Damaged audio files of every format, through reading, inspection, `prepare` and `predict`."""

import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from audiotok.data.clip import SoundClass
from audiotok.data.corpus.manifest import update_manifest
from audiotok.data.csv import CSV
from audiotok.errors import UserError
from audiotok.experiment import Restored
from audiotok.prediction.tagger import TrainedRun
from audiotok.store import Store
from audiotok.training.calibration import Calibration

pytestmark = pytest.mark.faults
RATE = 16_000
READER = Path(__file__).with_name("audio_reader.py")
SECONDS_A_FILE = 20
MOST_MEMORY = 2**30
_WITHOUT_HEADER = ("RAW", "SD2")  # libsndfile does not read back what it writes
_LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


# ---- whole files ----


def sound() -> np.ndarray:
    noise = 0.3 * np.random.default_rng(0).standard_normal((RATE // 2, 2))
    return (noise * np.linspace(1, 0.01, len(noise))[:, None]).clip(-1, 1)


def by_libsndfile() -> dict[str, bytes]:
    """The same half second in every format and coding."""
    files = {}
    for kind in sorted(set(soundfile.available_formats()) - set(_WITHOUT_HEADER)):
        for subtype in soundfile.available_subtypes(kind):
            for samples in (sound(), sound()[:, 0]):
                file = io.BytesIO()
                try:
                    soundfile.write(file, samples, RATE, format=kind, subtype=subtype)
                except soundfile.LibsndfileError:  # some are of one channel, or of one rate
                    continue
                files[f"{kind}-{subtype}-{samples.ndim}"] = file.getvalue()
    return files


def by_ffmpeg(kind: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=RATE, layout="stereo")
        pcm = np.ascontiguousarray((sound() * 32767).astype(np.int16).reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(pcm, "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        context = stream.codec_context
        fit = av.AudioResampler(context.format, "stereo", RATE, context.frame_size)
        for piece in (*fit.resample(frame), *fit.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def whole_files() -> dict[str, bytes]:
    files = by_libsndfile()
    for kind, codec in (("mp4", "aac"), ("mp4", "alac"), ("ogg", "flac")):
        files[f"{kind}-{codec}"] = by_ffmpeg(kind, codec)
    return files


# ---- what is done to them ----


def flip(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    damaged = bytearray(content)
    most = len(content) if rng.random() < 0.5 else min(len(content), 200)  # half of them in the header
    for _ in range(rng.integers(1, 9)):
        damaged[rng.integers(most)] ^= 1 << rng.integers(8)
    return bytes(damaged)


def truncate(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    return content[: rng.integers(len(content))]


def set_length(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Overwrite four bytes with a number that is a length to somebody."""
    place = int(rng.integers(min(len(content) - 4, 120)))
    number = int(rng.choice(_LENGTHS)) if rng.random() < 0.7 else int(rng.integers(2**32))
    order = "little" if rng.random() < 0.5 else "big"
    return content[:place] + number.to_bytes(4, order) + content[place + 4 :]


def join(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    return content + (content if rng.random() < 0.5 else other)


def swap(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Exchange two neighbouring stretches."""
    a, b, c = sorted(rng.integers(len(content), size=3).tolist())
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def splice(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Begin as one file, and go on as another."""
    return content[: rng.integers(1, len(content))] + other[rng.integers(len(other)) :]


def blank(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    place, length = int(rng.integers(len(content))), int(rng.integers(1, 400))
    return content[:place] + bytes(min(length, len(content) - place)) + content[place + length :]


DAMAGE: tuple[Callable[[np.random.Generator, bytes, bytes], bytes], ...] = (
    flip,
    truncate,
    set_length,
    join,
    swap,
    splice,
    blank,
)


def write_damaged(folder: Path, n_files: int) -> None:
    """Write damaged files; a file's name says how to make it again: its number is the seed."""
    files = whole_files()
    names = sorted(files)
    folder.mkdir()
    for number in range(n_files):
        rng = np.random.default_rng(number)
        damage, name = DAMAGE[number % len(DAMAGE)], names[int(rng.integers(len(names)))]
        damaged = damage(rng, files[name], files[names[int(rng.integers(len(names)))]])
        (folder / f"{number:04d}-{damage.__name__}-{name}.bin").write_bytes(damaged)


@pytest.fixture(scope="module")
def damaged(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scale = float(request.config.getoption("--scale"))
    folder = tmp_path_factory.mktemp("damaged") / "audio"
    write_damaged(folder, max(40, round(2000 * scale)))
    return folder


# ---- tests ----


def reports_of(folder: Path) -> list[dict]:
    """Read the files of a folder in another process, and return what it reports."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    reader = subprocess.Popen(
        [sys.executable, str(READER), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libmpg123's complaints
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        output, _ = reader.communicate(timeout=60 + 2 * len(list(folder.iterdir())))
    except subprocess.TimeoutExpired:
        reader.kill()
        output, _ = reader.communicate()
    reports = [
        json.loads(line) for line in output.splitlines() if line.startswith("{")
    ]  # libraries print, too
    assert reader.returncode == 0, f"crashed or hung at {reports[-1]['name']}"
    return reports


def test_whole_files_of_every_format_are_read_and_agree(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    for name, content in whole_files().items():
        (folder / name).write_bytes(content)
    found = [report for report in reports_of(folder) if "faults" in report]
    assert [report for report in found if report["faults"]] == []
    assert {report["name"] for report in found if not report["is_read"]} <= {
        name for name in whole_files() if "DWVW" in name or "HTK" in name
    }


def test_damaged_files_are_read_or_refused_and_inspection_agrees(damaged, tally):
    *found, last = [report for report in reports_of(damaged) if "faults" in report or "memory" in report]
    assert [report for report in found if report["faults"]] == []
    assert [report for report in found if report["seconds"] > SECONDS_A_FILE] == []
    assert last["memory"] < MOST_MEMORY
    assert len(found) == len(list(damaged.iterdir()))
    outcomes = Counter("read" if report["is_read"] else "refused" for report in found)
    tally("damaged audio files, read and inspected", outcomes)


def test_prepare_finds_a_status_for_every_damaged_file(damaged, tmp_path, tally):
    paths = sorted(damaged.iterdir())
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        rows = [(path, "ab"[n % 2], ("train", "val", "test")[n % 3]) for n, path in enumerate(paths)]
        csv.writer(file).writerows([("path", "labels", "split"), *rows])
    outcomes = Counter()
    for check in ("decode", "header"):
        source = CSV(root=str(tmp_path / "clips.csv"), check=check)
        statuses = update_manifest(source, Store(tmp_path / "cache")).table["status"].to_pylist()
        assert len(statuses) == len(paths)
        outcomes.update(statuses)
    assert outcomes["usable"]
    assert outcomes["broken"]
    tally("damaged audio files in prepare, by decode and by header", outcomes)


class LoudTokenizer(nn.Module):
    """Stands in for a tokenizer: hands on the waveforms."""

    features = SimpleNamespace(sample_rate=RATE, analyze=lambda *batch: batch)

    def read(self, waveforms: torch.Tensor, n_samples: torch.Tensor, stage: str) -> tuple:
        return waveforms, n_samples


class LoudModel(nn.Module):
    """Stands in for a model of one class."""

    reads = "frames"

    def forward(self, waveforms: torch.Tensor, n_samples: torch.Tensor) -> torch.Tensor:
        return waveforms.abs().amax(1, keepdim=True)


def test_predict_tags_a_damaged_file_or_says_in_a_sentence_why_not(damaged, tally):
    loud = [SoundClass("loud", "loud")]
    run = TrainedRun(Restored(LoudTokenizer(), LoudModel(), loud, 1.0, Calibration.plain(1)))
    outcomes = Counter()
    for path in sorted(damaged.iterdir()):
        try:
            [found] = run.predict(path).tags()
            assert 0 <= found.probability <= 1, path.name
            outcomes["tagged"] += 1
        except UserError as error:
            outcomes["refused" if str(error).count("\n") == 0 else f"{path.name}: {error}"] += 1
    assert set(outcomes) <= {"tagged", "refused"}
    assert outcomes["tagged"]
    tally("damaged audio files in predict", outcomes)
