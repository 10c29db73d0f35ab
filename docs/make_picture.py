"""Make `docs/tokens.png`, the README's picture: a spectrogram and, aligned in time, the tokens of the clip.

    python docs/make_picture.py

The clip is one of the embedded dataset's test clips, and its tokens are those that `python train.py` reads.
The first time, the corpus is synthesised and its centroids are fitted, which takes about a minute.
"""

from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from audiotok.data.clip import Clip
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.experiment import build_tokenizer
from audiotok.features.logmel import LogMel
from audiotok.loader.training_clips import CorpusClips
from audiotok.loader.waveforms import WaveformReader
from audiotok.programs import config_folder
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import fit_or_load

SOUNDS = {"Telephone dialing, DTMF", "Theremin", "Smoke detector, smoke alarm"}
PICTURE = Path(__file__).with_name("tokens.png")
KILOHERTZ = (0.25, 0.5, 1, 2, 4, 8)


def main() -> None:
    """Fit the default vocabulary, or take it from the cache, and draw."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", ["data=synthetic"])
    store = Store(config.cache_dir)
    corpus = open_corpus(instantiate(config.data, _convert_="all"), store)
    tokenizer = build_tokenizer(config)
    fit_or_load(tokenizer, CorpusClips(corpus, tokenizer.features), store)
    clip = find_clip(corpus, SOUNDS)
    reader = WaveformReader(corpus.clips["test"], corpus.clip_seconds, tokenizer.features)
    waveform, n_samples = reader.waveform(clip)
    names = [corpus.classes[label].name for label in clip.labels]
    draw(tokenizer, waveform, n_samples, " · ".join(names))


def find_clip(corpus: Corpus, names: set[str]) -> Clip:
    """Return the first test clip in which exactly these classes are heard."""
    for clip in corpus.clips["test"]:
        if {corpus.classes[label].name for label in clip.labels} == names:
            return clip
    raise SystemExit(f"No test clip has exactly {names}; choose others for SOUNDS.")


def draw(tokenizer: Tokenizer, waveform: Tensor, n_samples: int, title: str) -> None:
    """Draw the spectrogram of a waveform (S,) above its tokens, and write the picture."""
    mel, n_mel = tokenizer.features.analyze(waveform[None], torch.tensor([n_samples]))
    log_mel = mel[0].float().numpy()  # (mel frames, M)
    tokens = tokenizer.read(mel, n_mel, "tokens")[0][0].numpy()  # (T, Q)
    figure, (above, below) = plt.subplots(
        2, figsize=(12, 5.6), dpi=100, sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    draw_spectrogram(above, log_mel, tokenizer.features)
    draw_tokens(below, tokens, tokenizer)
    above.set_title(title, fontsize=13, loc="left")
    figure.savefig(PICTURE)


def draw_spectrogram(axes: Axes, log_mel: np.ndarray, features: LogMel) -> None:
    """Draw mel frames (mel frames, M) in dB; a frame is as wide as a hop, around its own time."""
    hop_seconds = features.hop_length / features.sample_rate
    right = (len(log_mel) - 0.5) * hop_seconds
    loudest = log_mel.max()
    axes.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(-0.5 * hop_seconds, right, -0.5, features.n_bins - 0.5),
        vmin=loudest - 90,
        vmax=loudest,
    )
    axes.set_yticks([mel_bin(features, 1000 * khz) for khz in KILOHERTZ], [f"{khz:g}" for khz in KILOHERTZ])
    axes.set_ylim(top=mel_bin(features, 1000 * KILOHERTZ[-1]))  # the files have 16 kHz: above is silence
    axes.set_ylabel("kHz")


def mel_bin(features: LogMel, hertz: float) -> float:
    """Return the mel bin, not rounded, whose centre is at a frequency (HTK's mel scale, from 0 Hz)."""
    mel = np.log10(1 + np.array([hertz, features.sample_rate / 2]) / 700)
    return mel[0] / mel[1] * (features.n_bins + 1) - 1


def draw_tokens(axes: Axes, tokens: np.ndarray, tokenizer: Tokenizer) -> None:
    """Draw tokens (T, Q), a codebook a row; a token is as wide as a stride, around its own time.

    The number of a centroid says nothing, so its colour is its place along the first dimension that its
    codebook clusters.
    """
    features, n_clusters = tokenizer.features, tokenizer.codebooks.n_clusters
    places = tokenizer.codebooks.centroids[..., 0].argsort(1).argsort(1).numpy()  # (Q, K)
    token_seconds = features.stride * features.hop_length / features.sample_rate
    right = (len(tokens) - 0.5) * token_seconds
    axes.imshow(
        np.take_along_axis(places, tokens.T, 1),
        aspect="auto",
        interpolation="nearest",
        cmap="Spectral",
        extent=(-0.5 * token_seconds, right, len(places) + 0.5, 0.5),
        vmin=0,
        vmax=n_clusters - 1,
    )
    axes.set_xlim(0, right)
    step = max(1, len(places) // 8)
    axes.set_yticks(range(step, len(places) + 1, step))
    axes.set_ylabel("codebook")
    axes.set_xlabel("s")
    axes.set_title(
        f"Its tokens: a column every {1000 * token_seconds:.0f} ms, a colour for each of {n_clusters} "
        "centroids of a codebook, similar for similar ones",
        fontsize=10,
        loc="left",
    )


if __name__ == "__main__":
    main()
