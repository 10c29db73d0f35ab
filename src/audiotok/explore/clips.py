"""Clips of a corpus with their tokens, tags and spectrogram."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm import tqdm

from audiotok.data.corpus.catalogue import Catalogue
from audiotok.explore.subject import Subject
from audiotok.features.features import Features
from audiotok.loader.waveforms import WaveformReader
from audiotok.tokens.spectra import MeanSpectra

MOST_BINS, MOST_SLICES = 64, 400  # of a spectrogram in the page


@dataclass
class Clips:
    """Some clips of a corpus, n of them.

    Args:
        catalogue: The clips.
        tokens: Of each (T, Q).
        scores: Probabilities of the run's classes (n, C), or (n, 0).
        targets: The labels among the page's classes, bool (n, classes).
        spectra: The mean spectrum of each token.
        recordings: The number of the file that each is from (n,).
        splits: Of each.
    """

    catalogue: Catalogue
    tokens: list[np.ndarray]
    scores: np.ndarray
    targets: np.ndarray
    spectra: MeanSpectra
    recordings: np.ndarray
    splits: list[str] = field(default_factory=list)

    @property
    def is_new(self) -> np.ndarray:
        """Which clips the run was not trained on, as their split says, bool (n,)."""
        return np.array([split != "train" for split in self.splits], bool)


def evenly(catalogue: Catalogue, n_clips: int) -> Catalogue:
    """Return at most `n_clips` of some clips, evenly spaced in the order of their ids."""
    chosen = np.zeros(len(catalogue), bool)
    places = np.linspace(0, len(catalogue) - 1, min(n_clips, len(catalogue)))
    chosen[np.unique(places.round().astype(int))] = True
    return catalogue.select(chosen)


def read_clips(subject: Subject, catalogue: Catalogue, targets: np.ndarray) -> Clips:
    """Tokenise clips, and tag them where there is a run.

    Args:
        subject: The run or the tokenizer.
        catalogue: The clips.
        targets: Their labels, bool (n, classes).

    Raises:
        UserError: A clip can no longer be read.
    """
    reader = WaveformReader(catalogue, subject.clip_seconds, subject.tokenizer.features)
    codebooks, shown = subject.tokenizer.codebooks, subject.shown
    spectra = MeanSpectra(codebooks.n_codebooks, codebooks.n_clusters, shown.n_bins)
    tokens, scores, splits = [], [], []
    files: dict[object, int] = {}
    recordings = np.zeros(len(catalogue), int)
    for place, clip in enumerate(tqdm(catalogue, "Reading clips", unit="clip", disable=None, leave=False)):
        waveform, n_samples = reader.waveform(clip)
        made = tokens_of(subject, waveform, n_samples)
        tokens.append(made)
        spectra.add(at_tokens(spectrogram(shown, waveform, n_samples), len(made)), made)
        if subject.run is not None:
            logits = subject.run.logits([waveform[:n_samples].numpy()])
            scores.append(subject.run.calibration.probabilities(logits)[0].numpy())
        location = clip.location
        file = (location.path, location.entry) if location else clip.id
        recordings[place] = files.setdefault(file, len(files))
        splits.append(clip.split)
    of_classes = np.array(scores, np.float32).reshape(len(catalogue), len(subject.classes))
    return Clips(catalogue, tokens, of_classes, targets, spectra, recordings, splits)


@torch.no_grad()
def tokens_of(subject: Subject, waveform: torch.Tensor, n_samples: int) -> np.ndarray:
    """Return the tokens (T, Q) of a waveform (S,)."""
    made, n_tokens = subject.tokenizer(waveform[None], torch.tensor([n_samples]))
    return made[0, : int(n_tokens[0])].numpy()


@torch.no_grad()
def spectrogram(features: Features, waveform: torch.Tensor, n_samples: int) -> np.ndarray:
    """Return the analysis (slices, bins) of a waveform (S,), float32, at the scale that models read."""
    analysis, n_slices = features.analyze(waveform[None], torch.tensor([n_samples]))
    normalized = features.normalize(analysis, n_slices)
    return normalized[0, : int(n_slices[0])].float().numpy()


def at_tokens(slices: np.ndarray, n_tokens: int) -> np.ndarray:
    """Return the mean spectrum at each of `n_tokens` tokens: (slices, bins) to (T, bins)."""
    bounds = np.linspace(0, len(slices), n_tokens + 1)
    starts = np.minimum(bounds[:-1].astype(int), len(slices) - 1)
    ends = np.maximum(np.ceil(bounds[1:]).astype(int), starts + 1)
    sums = np.concatenate([np.zeros((1, slices.shape[1])), slices.cumsum(0, dtype=np.float64)])
    return (sums[ends] - sums[starts]) / (ends - starts)[:, None]


def smaller(slices: np.ndarray) -> np.ndarray:
    """Return a spectrogram (slices, bins) of at most `MOST_SLICES` x `MOST_BINS`, by means of neighbours."""
    return fewer_bins(_fewer(slices, MOST_SLICES))


def fewer_bins(spectra: np.ndarray) -> np.ndarray:
    """Return spectra (spectra, bins) of at most `MOST_BINS`, by means of neighbours."""
    return _fewer(spectra.T, MOST_BINS).T


def centres(hertz: Sequence[float]) -> list[float]:
    """Return the centres of the bins that are left of some, Hz."""
    return [round(float(value), 1) for value in fewer_bins(np.array(hertz)[None])[0]]


def _fewer(rows: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else at_tokens(rows, most)
