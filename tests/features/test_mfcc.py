import librosa
import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from audiotok.errors import UserError
from audiotok.features.logmel import LogMel
from audiotok.features.mfcc import MFCC

SMALL = {"sample_rate": 8000, "n_fft": 256, "hop_length": 128, "n_mels": 16, "n_coefficients": 7}
PLAIN = {**SMALL, "context": 1, "stride": 1}


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def whole(waveforms: Tensor) -> Tensor:
    return torch.full((len(waveforms),), waveforms.shape[1])


def frames_of(features: MFCC, waveforms: Tensor) -> Tensor:
    return features(*features.analyze(waveforms, whole(waveforms)))[0]


def test_coefficients_are_those_of_torchaudio_and_librosa():
    waves = noise(3, 8000)
    found = frames_of(MFCC(**PLAIN), waves)
    mel = {"n_fft": 256, "hop_length": 128, "n_mels": 16, "f_min": 0.0, "f_max": None}
    theirs = torchaudio.transforms.MFCC(8000, 7, melkwargs=mel)(waves).mT
    np.testing.assert_allclose(found, theirs, atol=0.05)  # mel frames are rounded to a sixteenth of a dB
    for wave, ours in zip(waves.numpy(), found, strict=True):
        power = librosa.feature.melspectrogram(
            y=wave, sr=8000, n_fft=256, hop_length=128, n_mels=16, htk=True, norm=None, pad_mode="reflect"
        )
        expected = librosa.feature.mfcc(S=librosa.power_to_db(power, amin=1e-10), n_mfcc=7)
        np.testing.assert_allclose(ours, expected.T, atol=0.05)


def test_all_coefficients_keep_all_of_a_mel_frame():
    features = MFCC(**{**PLAIN, "n_coefficients": 16, "range_db": None})
    analysis, n_slices = features.analyze(noise(2, 4000), torch.tensor([4000, 4000]))
    frames, _ = features(analysis, n_slices)
    np.testing.assert_allclose(frames @ features.dct.T, analysis.float(), atol=1e-3)


def test_slopes_are_torchaudios_and_stacked_frames_those_of_log_mel():
    waves = noise(2, 8000)
    plain = frames_of(MFCC(**PLAIN), waves)
    slopes = torchaudio.functional.compute_deltas(plain.mT).mT
    sloped = frames_of(MFCC(**PLAIN, deltas=1), waves)
    np.testing.assert_allclose(sloped, torch.cat([plain, slopes], 2), atol=1e-4)
    stacked = frames_of(MFCC(**SMALL, context=5, stride=4), waves)
    np.testing.assert_allclose(stacked[:, 1], plain[:, 2:7].flatten(1), atol=1e-4)  # centred on slice 4


def test_padding_changes_no_coefficient():
    wave = noise(1, 5000)
    padded = torch.cat([wave, torch.zeros(1, 3000)], 1)
    features = MFCC(**SMALL, normalization="clip_max")
    alone, n_alone = features(*features.analyze(padded, torch.tensor([5000])))
    both = torch.cat([padded, noise(1, 8000)])
    together, n_together = features(*features.analyze(both, torch.tensor([5000, 8000])))
    assert n_alone[0] == n_together[0] == 10
    np.testing.assert_allclose(alone[0, :10], together[0, :10], atol=1e-4)


def test_mel_frames_are_shared_with_log_mel_and_nothing_else_is():
    mel = {key: value for key, value in PLAIN.items() if key != "n_coefficients"}
    mfcc, logmel = MFCC(**PLAIN), LogMel(**mel, range_db=80, n_components=None)
    assert mfcc.analysis_settings == logmel.analysis_settings
    assert mfcc.settings != logmel.settings
    assert mfcc.settings != MFCC(**{**PLAIN, "n_coefficients": 8}).settings


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_coefficients": 17}, r"features\.n_coefficients=17 is not between 1 and features\.n_mels=16"),
        ({"n_components": 8}, r"features\.n_components=8 .*features\.n_coefficients x features\.context"),
        ({"deltas": 3}, r"features\.deltas=3"),
    ],
)
def test_contradictions_are_refused_in_a_sentence(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        MFCC(**{**PLAIN, **changes})
