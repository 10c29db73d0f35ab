"""From tokens back to sound."""

import json

import numpy as np
import pytest
import soundfile
import torch
from tiny import SAMPLE_RATE, TONES, build_tiny_tokenizer, tones
from torch import Tensor

from audiotok.cli import app
from audiotok.clustering.random import Random
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.features.griffin_lim import frequencies
from audiotok.tokens.measures import spectral_distance
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


def test_first_codebooks_tell_less_than_all():
    frames = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))
    for clustering in ("product", "residual"):
        codebooks = build_tiny_tokenizer(clustering, n_clusters=16).codebooks
        codebooks.fit(frames.numpy())
        tokens = codebooks.encode(frames)
        torch.testing.assert_close(codebooks.decode_first(tokens, 4), codebooks.decode(tokens))
        errors = [float((codebooks.decode_first(tokens, n) - frames).square().mean()) for n in range(1, 5)]
        assert errors == sorted(errors, reverse=True), clustering


def test_the_spectral_distance_is_its_formula():
    generator = torch.Generator().manual_seed(0)
    mel, other = (30 * torch.randn(2, 6, 4, generator=generator) - 50 for _ in range(2))
    expected = []
    for one, two, n in zip(mel.numpy(), other.numpy(), (6, 3), strict=True):
        level = one[:n] - one[:n].max()
        raised = two[:n] + (level - two[:n])[level > -40].mean()
        expected.append(np.sqrt(((np.maximum(level, -40) - np.maximum(raised, -40)) ** 2).mean()))
    assert spectral_distance(mel, other, torch.tensor([6, 3])) == pytest.approx(np.mean(expected), rel=1e-5)
    assert spectral_distance(mel, mel - 20, torch.tensor([6, 3])) == pytest.approx(0, abs=1e-4)


def test_listen_writes_what_is_kept(waveforms, tmp_path, capsys):
    files = []
    for n, wave in enumerate(waveforms):
        files.append(tmp_path / f"{n}.wav")
        soundfile.write(files[-1], wave.numpy(), SAMPLE_RATE)
    build_tiny_tokenizer("residual", n_clusters=4).fit(files, 0.4).save(tmp_path / "tokenizer")
    app(
        ["listen", str(tmp_path / "tokenizer"), str(files[2]), "--to", str(tmp_path / "out")],
        standalone_mode=False,
    )
    names = ["original", "mel", "tokens_first_1", "tokens_first_2", "tokens"]
    for name in names:
        sound, rate = soundfile.read(tmp_path / "out" / f"{name}.wav")
        assert (rate, len(sound)) == (SAMPLE_RATE, 8000), name
        assert np.sqrt((sound**2).mean()) == pytest.approx(
            float(waveforms[2].square().mean().sqrt()), rel=0.1
        )
    kept = json.loads((tmp_path / "out" / "listen.json").read_text())["spectral_distance_db_by_codebooks"]
    assert list(kept) == ["1", "2", "4"]
    assert all(0 < distance < 20 for distance in kept.values())
    assert "original.wav, mel.wav" in capsys.readouterr().out
