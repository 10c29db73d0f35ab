"""From tokens back to sound."""

import numpy as np
import pytest
import torch
from tiny import SAMPLE_RATE, TONES, build_tiny_tokenizer, tones
from torch import Tensor

from audiotok.clustering.random import Random
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.features.griffin_lim import frequencies
from audiotok.tokens.quantizer import Quantizer


class Envelope(Features):
    """The loudness of every sample: it tells nothing about sound."""

    sample_rate, n_bins = 8000, 8
    settings = {"kind": "envelope"}  # noqa: RUF012

    def n_slices(self, n_samples: int) -> int:
        return n_samples

    def analyze(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        return waveforms[..., None].abs().expand(-1, -1, 8).half(), n_samples


@pytest.fixture(scope="module")
def waveforms() -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.stack([tones([hz], rng) for _, hz in TONES.values()]))


def test_powers_of_frequencies_sum_to_those_of_the_mel_bins():
    spectrogram = build_tiny_tokenizer().features.spectrogram
    linear = torch.rand(5, 129, generator=torch.Generator().manual_seed(0)) ** 4
    power = linear @ spectrogram.mel_filters[::2]
    found = frequencies(power, spectrogram)
    assert (found >= 0).all()
    torch.testing.assert_close(found @ spectrogram.mel_filters[::2], power, rtol=0.02, atol=0)


@pytest.mark.parametrize("clustering", ["kmeans", "product", "residual", "spherical"])
def test_detokenised_tones_have_their_pitch_and_their_length(waveforms, clustering):
    tokenizer = build_tiny_tokenizer(clustering, n_clusters=16)
    n_samples = torch.tensor([8000, 8000, 5000])
    analysis, n_slices = tokenizer.features.analyze(waveforms, n_samples)
    stacked, _ = tokenizer.features.stack(analysis, n_slices)
    tokenizer.features.fit(stacked.flatten(0, 1))
    frames, n_frames = tokenizer.features(analysis, n_slices)
    tokenizer.codebooks.fit(frames.flatten(0, 1).numpy())
    tokens = tokenizer.codebooks.encode(frames)
    tokens[2, n_frames[2] :] = -1  # padding may be anything
    back = tokenizer.reconstruct(tokens, n_frames)
    assert back.shape == (3, 2 * tokens.shape[1], 16)
    sound = tokenizer.resynthesize(tokens, n_frames)
    assert torch.equal(sound, tokenizer.resynthesize(tokens, n_frames))
    assert not sound[2, 5120:].any()
    assert sound[2, 4500:4900].any()
    for wave, (_, hz) in zip(sound, TONES.values(), strict=True):
        spectrum = torch.fft.rfft(wave[:4800]).abs()
        assert abs(spectrum.argmax() * SAMPLE_RATE / 4800 - hz) < 0.12 * hz


def test_features_that_cannot_be_heard_say_so():
    quantizer = Quantizer(Envelope(), Random(n_clusters=4, n_codebooks=1, code_dimensions=2, seed=0))
    assert not quantizer.features.invertible
    with pytest.raises(UserError, match="features=envelope cannot be turned back into sound"):
        quantizer.features.unproject(torch.zeros(1, 2, 8), torch.tensor([2]))
    with pytest.raises(UserError, match="cannot be turned back"):
        quantizer.features.synthesize(torch.zeros(1, 2, 8), torch.tensor([2]))
