"""A picture of a sound: its spectrogram, and below it which classes are heard when."""

import math
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from audiotok.disk.writing import replacing
from audiotok.errors import UserError
from audiotok.prediction.results import Scores
from audiotok.prediction.screen import NONE

SUFFIXES = (".png", ".svg", ".pdf", ".jpg")
_MOST_ROWS = 12  # classes
_MOST_COLUMNS = 2000  # of the spectrogram; a longer sound has the loudest of neighbouring frames in each
_PIECE = 2**18  # samples that are analysed at a time
_N_MELS = 64
_STEPS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200)  # s between two marks
_RANGE_DB = 80.0  # shown below the loudest bin


def check_matplotlib() -> None:
    """Refuse pictures without matplotlib, before anything is computed."""
    if find_spec("matplotlib") is None:
        raise UserError('--plot needs matplotlib, which is missing; pip install "audiotok[predict]" has it.')


def draw(
    path: Path, scores: Scores, thresholds: Sequence[float], blocks: Iterable[np.ndarray], rate: int
) -> None:
    """Draw a sound.

    Args:
        path: The picture, in the format that its suffix names.
        scores: Of the sound.
        thresholds: Probability above which each class counts as heard, (C,).
        blocks: Its waveform, piece by piece, float32 (some,).
        rate: Of the waveform, Hz.

    Raises:
        OSError: The picture cannot be written.
    """
    spectrogram = _spectrogram(blocks, rate)
    rows = _rows(scores, thresholds)
    figure = import_module("matplotlib.figure").Figure(
        figsize=(12, 3.4 + 0.32 * len(rows)), layout="constrained"
    )
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 0.4 + 0.32 * len(rows)])
    _draw_spectrogram(upper, spectrogram, scores.seconds, rate)
    nothing = "" if scores.heard(thresholds).any() else f": {NONE}"
    upper.set_title(f"{Path(scores.source).name}{nothing}".replace("$", r"\$"), fontsize=10)
    shade = _draw_timeline(lower, scores, thresholds, rows)
    figure.colorbar(shade, ax=lower, label="probability", pad=0.01, aspect=12)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().lstrip("."), dpi=110)


def _rows(scores: Scores, thresholds: Sequence[float]) -> list[int]:
    """Return the classes that are shown: those that are heard, or else the most probable ones."""
    order = np.argsort(-scores.maximum(), kind="stable")
    heard = set(np.flatnonzero(scores.heard(thresholds).any(0)).tolist())
    return [i for i in order.tolist() if i in heard][:_MOST_ROWS] or order[:5].tolist()


def _draw_timeline(axes: Any, scores: Scores, thresholds: Sequence[float], rows: list[int]) -> Any:
    edges = np.append(scores.starts, scores.ends[-1])
    shade = axes.pcolormesh(
        edges, np.arange(len(rows) + 1), scores.scores[:, rows].T, cmap="Greys", vmin=0, vmax=1
    )
    places = {scores.classes[i]: row for row, i in enumerate(rows)}
    for found in scores.detections(thresholds):
        if found.sound_class in places:
            stretch, row = (found.start, found.end - found.start), places[found.sound_class]
            axes.broken_barh([stretch], (row + 0.8, 0.14), facecolors="tab:red")
    axes.set_yticks(np.arange(len(rows)) + 0.5, [scores.classes[i].name.replace("$", r"\$") for i in rows])
    axes.set_ylim(len(rows), 0)
    axes.set_xlim(0, scores.seconds)
    axes.set_xlabel("time" if scores.seconds >= 60 else "time / s")
    if scores.seconds >= 60:
        step = next((step for step in _STEPS if scores.seconds / step <= 12), _STEPS[-1])
        axes.set_xticks(np.arange(0, scores.seconds, step))
        axes.xaxis.set_major_formatter(lambda seconds, _: _short_clock(seconds))
    return shade


def _draw_spectrogram(axes: Any, spectrogram: np.ndarray, seconds: float, rate: int) -> None:
    high = float(spectrogram.max())
    axes.imshow(
        spectrogram.T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, _N_MELS),
        cmap="magma",
        vmin=high - _RANGE_DB,
        vmax=high,
        interpolation="nearest",
    )
    hertz = [f for f in (200, 500, 1000, 2000, 4000, 8000, 16000) if f < rate / 2]
    axes.set_yticks([_N_MELS * _mel(f) / _mel(rate / 2) for f in hertz], [f"{f / 1000:g}" for f in hertz])
    axes.set_ylabel("frequency / kHz")


def _spectrogram(blocks: Iterable[np.ndarray], rate: int) -> np.ndarray:
    """Return a mel spectrogram in dB (columns, M) of a sound of any length, of at most `_MOST_COLUMNS`."""
    import torch

    from audiotok.features.spectrogram import MelSpectrogram

    n_fft = max(1024, 2 ** round(math.log2(0.046 * rate)))
    analysis = MelSpectrogram(
        sample_rate=rate, n_fft=n_fft, hop_length=n_fft // 2, n_mels=_N_MELS, f_min=0.0, f_max=None,
        floor_db=-100.0,
    )  # fmt: skip
    columns, together = np.zeros((0, _N_MELS), np.float32), 1  # frames in a column
    rest = np.zeros((0, _N_MELS), np.float32)  # that fill no column yet
    with torch.no_grad():
        for piece in _pieces(blocks, max(_PIECE, n_fft)):
            waveform = torch.nn.functional.pad(torch.from_numpy(piece), (0, max(0, n_fft - len(piece))))
            frames, _ = analysis(waveform[None], torch.tensor([len(piece)]))
            n_frames = max(1, len(piece) // analysis.hop_length)  # the one behind them is of the next piece
            rest = np.concatenate([rest, frames[0, :n_frames].float().numpy()])
            n_whole = len(rest) // together * together
            columns = np.concatenate([columns, _loudest(rest[:n_whole], together)])
            rest = rest[n_whole:]
            while len(columns) > _MOST_COLUMNS:
                n_even = len(columns) // 2 * 2
                rest = np.concatenate([columns[n_even:].repeat(together, 0), rest])
                columns, together = _loudest(columns[:n_even], 2), 2 * together
    return np.concatenate([columns, _loudest(rest, max(1, len(rest)))]) if len(rest) else columns


def _loudest(frames: np.ndarray, together: int) -> np.ndarray:
    """Return the maximum of every `together` frames (n * together, M): (n, M)."""
    return frames.reshape(-1, together, frames.shape[1]).max(1)


def _pieces(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Yield a waveform that comes in blocks in pieces of one length, and what remains."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= length:
            yield held[:length]
            held = held[length:]
    if len(held):
        yield held


def _mel(hertz: float) -> float:
    """Return the HTK mel of a frequency in Hz."""
    return 2595 * math.log10(1 + hertz / 700)


def _short_clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
