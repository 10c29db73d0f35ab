from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.experiment import Restored
from audiotok.prediction import tag
from audiotok.training.calibration import Calibration

SAMPLE_RATE = 8000  # Hz
CLASSES = [SoundClass(f"/m/{name}", name) for name in ("soft", "middle", "loud")]


class LevelTokenizer(nn.Module):
    """Stand in for a tokenizer: hand on the waveforms as mel frames, and note what was asked for."""

    features = SimpleNamespace(sample_rate=SAMPLE_RATE, analyze=lambda *batch: batch)

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Tensor, Tensor, str]] = []

    def read(self, mel: Tensor, n_mel: Tensor, stage: str) -> tuple[Tensor, Tensor]:
        self.heard.append((mel, n_mel, stage))
        return mel, n_mel


class LevelModel(nn.Module):
    """Hear how loud a clip is, padding aside: one class for each of three levels."""

    reads = "frames"

    def forward(self, waveforms: Tensor, n_samples: Tensor) -> Tensor:
        level = waveforms.abs().sum(1) / n_samples
        return 4 - 40 * (level[:, None] - torch.tensor([0.1, 0.5, 0.9])).abs()


def run() -> Restored:
    return Restored(LevelTokenizer(), LevelModel(), CLASSES, 1.0, Calibration.plain(len(CLASSES)))


def write(path: Path, *levels: float, seconds: float = 1.0, rate: int = SAMPLE_RATE) -> Path:
    """Write a file that is as loud as each of the levels, one after the other."""
    samples = np.concatenate([np.full(round(seconds * rate), level) for level in levels])
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def probabilities(path: Path) -> dict[str, float]:
    return {found.sound_class.name: found.probability for found in tag(run(), path)}


def test_the_most_probable_class_comes_first(tmp_path):
    tags = tag(run(), write(tmp_path / "a.wav", 0.6))
    assert [found.sound_class.name for found in tags] == ["middle", "loud", "soft"]
    assert tags[0].sound_class == CLASSES[1]
    assert [found.probability for found in tags] == sorted(
        (found.probability for found in tags), reverse=True
    )


def test_a_probability_is_the_sigmoid_of_the_logit(tmp_path):
    found = probabilities(write(tmp_path / "a.wav", 0.55))
    assert found["middle"] == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-4)
    assert found["loud"] == pytest.approx(1 / (1 + np.exp(10.0)), abs=1e-6)


def test_a_class_of_a_long_file_is_as_probable_as_where_it_is_most_so(tmp_path):
    levels = (0.1, 0.45, 0.87)
    whole = probabilities(write(tmp_path / "long.wav", *levels))
    parts = [probabilities(write(tmp_path / f"{level}.wav", level)) for level in levels]
    assert whole == pytest.approx({name: max(part[name] for part in parts) for name in whole}, abs=1e-6)
    assert min(whole.values()) > 0.5 > max(min(part.values()) for part in parts)


def test_a_long_file_is_cut_into_clips_of_which_the_last_begins_earlier(tmp_path):
    restored = run()
    tag(restored, write(tmp_path / "long.wav", 0.1, 0.2, 0.3, seconds=0.9))  # 2.7 s
    heard = restored.tokenizer.heard
    assert [tuple(waveforms.shape) for waveforms, _, _ in heard] == [(1, 8000)] * 3
    assert [n_samples.tolist() for _, n_samples, _ in heard] == [[8000]] * 3
    assert (heard[2][0] - 0.3).abs().median() < 1e-6


def test_a_clip_is_read_as_far_as_the_model_wants_it(tmp_path):
    for stage in ("analysis", "frames", "tokens"):
        restored = run()
        restored.model.reads = stage
        tag(restored, write(tmp_path / "a.wav", 0.5))
        assert [heard[2] for heard in restored.tokenizer.heard] == [stage]


def test_a_file_a_little_longer_than_a_clip_adds_no_remnant(tmp_path):
    samples = np.full(SAMPLE_RATE + 40, 0.1)
    samples[-40:] = 0.9  # 5 ms
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    assert probabilities(tmp_path / "a.wav")["loud"] < 0.01


def test_a_short_file_is_padded_to_the_runs_length(tmp_path):
    restored = run()
    tags = tag(restored, write(tmp_path / "short.wav", 0.5, seconds=0.25))
    [(waveforms, n_samples, _)] = restored.tokenizer.heard
    assert waveforms.shape == (1, 8000)
    assert n_samples.tolist() == [2000]
    assert tags[0].sound_class.name == "middle"


def test_a_file_of_another_rate_is_resampled(tmp_path):
    restored = run()
    tag(restored, write(tmp_path / "fast.wav", 0.5, seconds=1.0, rate=16000))
    [(_, n_samples, _)] = restored.tokenizer.heard
    assert n_samples.tolist() == [8000]


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44100])
def test_an_empty_file_is_one_sentence(tmp_path, rate):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), rate)
    with pytest.raises(UserError, match=r"^[^\n]*empty\.wav [^\n]*; give another file\.$"):
        tag(run(), path)


@pytest.mark.parametrize("content", [b"", b"this is no sound at all"])
def test_a_broken_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(
        UserError,
        match=r"^[^\n]*broken\.wav cannot be read as audio \([^\n]+\); "
        r"give one of flac, wav, ogg, mp3, opus, m4a, mp4\.$",
    ):
        tag(run(), path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(
        UserError,
        match=r"^[^\n]*missing\.wav cannot be read as audio \([^\n]*no such file\); give [^\n]*\.$",
    ):
        tag(run(), tmp_path / "missing.wav")


def test_a_folder_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=rf"^{tmp_path} is a folder; give the files in it.*\.$"):
        tag(run(), tmp_path)


def test_a_file_that_breaks_off_is_one_sentence(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "half.flac"
    soundfile.write(path, rng.uniform(-0.5, 0.5, 3 * SAMPLE_RATE), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        UserError, match=r"^[^\n]*half\.flac cannot be read as audio \([^\n]+\); give [^\n]*\.$"
    ):
        tag(run(), path)


def test_tagging_needs_no_gradient(tmp_path):
    restored = run()
    restored.model.scale = nn.Parameter(torch.ones(1))
    restored.model.register_forward_hook(lambda module, _, logits: logits * module.scale)
    assert torch.is_grad_enabled()
    assert all(type(found.probability) is float for found in tag(restored, write(tmp_path / "a.wav", 0.5)))
