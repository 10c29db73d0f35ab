"""Make `docs/tokens.png`, a picture for the README: the spectrogram of a clip above its tokens.

    python docs/make_picture.py

The clip is a test clip of the embedded dataset, with the tokens that `python train.py` reads. The first time,
the dataset is synthesised and the centroids are fitted, which takes about a minute.
"""

from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from audiotok.data.clip import Clip
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.experiment import build_tokenizer
from audiotok.experiment.configuration import build_node
from audiotok.features.logmel import LogMel
from audiotok.loader.training_clips import CorpusClips
from audiotok.loader.waveforms import WaveformReader
from audiotok.programs import config_folder
from audiotok.store import Store
from audiotok.tokens.likeness import token_colours
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import fit_or_load

SOUNDS = {"Telephone dialing, DTMF", "Theremin", "Smoke detector, smoke alarm"}
PICTURE = Path(__file__).with_name("tokens.png")
KILOHERTZ = (0.25, 0.5, 1, 2, 4, 8)


def main() -> None:
    """Fit the default vocabulary, or load it from the cache, and draw."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", ["data=synthetic"])
    store = Store(config.cache_dir)
    corpus = open_corpus(build_node(config.data), store)
    tokenizer = build_tokenizer(config)
    fit_or_load(tokenizer, CorpusClips(corpus, tokenizer.features), store)
    clip = find_clip(corpus, SOUNDS)
    reader = WaveformReader(corpus.clips["test"], corpus.clip_seconds, tokenizer.features)
    waveform, n_samples = reader.waveform(clip)
    names = [corpus.classes[label].name for label in clip.labels]
    draw(tokenizer, waveform, n_samples, " · ".join(names))


def find_clip(corpus: Corpus, names: set[str]) -> Clip:
    """Return the first test clip with exactly these classes."""
    for clip in corpus.clips["test"]:
        if {corpus.classes[label].name for label in clip.labels} == names:
            return clip
    raise SystemExit(f"No test clip has exactly the classes {names}; choose others for SOUNDS.")


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
    """Draw mel frames (mel frames, M) in dB, each centred on its time and as wide as a hop."""
    hop_seconds = features.spectrogram.hop_length / features.sample_rate
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
    bins = np.interp([1000 * khz for khz in KILOHERTZ], features.bin_hertz, np.arange(features.n_bins))
    axes.set_yticks(bins, [f"{khz:g}" for khz in KILOHERTZ])
    axes.set_ylim(top=bins[-1])  # half the sample rate of the files
    axes.set_ylabel("kHz")


def draw_tokens(axes: Axes, tokens: np.ndarray, tokenizer: Tokenizer) -> None:
    """Draw tokens (T, Q), one row per codebook, each centred on its time and as wide as a stride.

    Their colours are those of `audiotok.tokens.likeness`.
    """
    features, n_clusters = tokenizer.features, tokenizer.codebooks.n_clusters
    pixels = token_colours(tokens, tokenizer.codebooks.centroids.numpy())  # (Q, T, 3)
    token_seconds = features.stride * features.spectrogram.hop_length / features.sample_rate
    right = (len(tokens) - 0.5) * token_seconds
    axes.imshow(
        pixels,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5 * token_seconds, right, len(pixels) + 0.5, 0.5),
    )
    axes.set_xlim(0, right)
    step = max(1, len(pixels) // 8)
    axes.set_yticks(range(step, len(pixels) + 1, step))
    axes.set_ylabel("codebook")
    axes.set_xlabel("s")
    axes.set_title(
        f"Its tokens: one column every {1000 * token_seconds:.0f} ms, one row per codebook of {n_clusters} "
        "centroids; similar centroids have similar colours",
        fontsize=10,
        loc="left",
    )


if __name__ == "__main__":
    main()
