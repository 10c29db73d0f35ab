"""Sounds through a run: windows, rates, arrays; with a stand-in for the model, which hears how loud it is."""

import subprocess
import sys
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
from audiotok.prediction.tagger import TrainedRun
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

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Identity()

    def forward(self, waveforms: Tensor, n_samples: Tensor) -> Tensor:
        level = waveforms.abs().sum(1) / n_samples
        return self.classifier(4 - 40 * (level[:, None] - torch.tensor([0.1, 0.5, 0.9])).abs())


@pytest.fixture
def run() -> TrainedRun:
    return TrainedRun(Restored(LevelTokenizer(), LevelModel(), CLASSES, 1.0, Calibration.plain(3)))


def levels(*levels: float, seconds: float = 1.0, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return samples that are as loud as each of the levels, one after the other."""
    return np.concatenate([np.full(round(seconds * rate), level, np.float32) for level in levels])


def write(path: Path, *values: float, seconds: float = 1.0, rate: int = SAMPLE_RATE) -> Path:
    soundfile.write(path, levels(*values, seconds=seconds, rate=rate), rate, subtype="FLOAT")
    return path


def names(scores) -> list[str]:
    """Return the most probable class of every window."""
    return [CLASSES[i].name for i in scores.scores.argmax(1)]


# ---- windows ----


def test_a_probability_is_the_sigmoid_of_the_logit(run, tmp_path):
    path = write(tmp_path / "a.wav", 0.55)
    found = {tag.sound_class.name: tag.probability for tag in run.predict(path).tags()}
    assert found["middle"] == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-4)
    assert found["loud"] == pytest.approx(1 / (1 + np.exp(10.0)), abs=1e-6)


def test_the_last_window_of_a_long_file_begins_earlier(run, tmp_path):
    scores = run.predict(write(tmp_path / "long.wav", 0.1, 0.5, 0.9, seconds=0.9))  # 2.7 s
    assert scores.starts.tolist() == [0.0, 1.0, 1.7]
    assert scores.ends.tolist() == [1.0, 2.0, 2.7]
    assert names(scores)[2] == "loud"
    heard = run.tokenizer.heard
    assert [tuple(waveforms.shape) for waveforms, _, _ in heard] == [(1, 8000)] * 3
    assert [n_samples.tolist() for _, n_samples, _ in heard] == [[8000]] * 3


def test_windows_overlap_as_asked(run):
    scores = run.predict(levels(*[0.1, 0.5] * 20, seconds=0.5), SAMPLE_RATE, window=0.5, overlap=0.25)
    assert scores.starts.tolist() == [0.25 * i for i in range(79)]
    assert (scores.ends - scores.starts == 0.5).all()
    assert names(scores)[::2] == ["soft", "middle"] * 20


def test_a_window_is_padded_to_the_clips_of_the_run(run, tmp_path):
    short = run.predict(write(tmp_path / "short.wav", 0.5, seconds=0.25))
    assert (short.starts.tolist(), short.ends.tolist(), names(short)) == ([0.0], [0.25], ["middle"])
    run.predict(levels(0.5), SAMPLE_RATE, window=0.25)
    assert [(tuple(w.shape), n.tolist()) for w, n, _ in run.tokenizer.heard] == [((1, 8000), [2000])] * 5


@pytest.mark.parametrize(("window", "overlap"), [(1.1, 0), (0, 0), (np.nan, 0), (0.5, 0.5), (None, -1)])
def test_an_impossible_window_is_one_sentence(run, window, overlap):
    with pytest.raises(UserError, match=r"^(window|overlap)=[^\n]*; choose [^\n]*\.$"):
        run.predict(levels(0.5), SAMPLE_RATE, window=window, overlap=overlap)


def test_a_clip_is_read_as_far_as_the_model_wants_it(run, tmp_path):
    for stage in ("analysis", "frames", "tokens"):
        run.model.reads = stage
        run.predict(write(tmp_path / "a.wav", 0.5))
    assert [heard[2] for heard in run.tokenizer.heard] == ["analysis", "frames", "tokens"]


def test_a_file_of_another_rate_is_resampled(run, tmp_path):
    scores = run.predict(write(tmp_path / "fast.wav", *[0.5] * 30, rate=16000))
    assert scores.ends.tolist() == list(range(1, 31))
    assert names(scores) == ["middle"] * 30


def test_sounds_of_a_list_are_read_together_and_score_as_alone(run, monkeypatch):
    """Long and short ones, so that a batch has windows of several sounds and a sound spans batches."""
    rng = np.random.default_rng(0)
    sounds = [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in (4000, 150_000, 8000, 3000, 12_000)]
    calls = []
    monkeypatch.setattr(
        run.model, "forward", lambda *batch, forward=run.model.forward: calls.append(batch) or forward(*batch)
    )
    together, n_calls = run.predict(sounds, 8000), len(calls)
    alone = [run.predict(sound, 8000) for sound in sounds]
    assert n_calls == 2 < len(calls) - n_calls
    for one, other in zip(together, alone, strict=True):
        assert one.starts.tolist() == other.starts.tolist()
        assert one.ends.tolist() == other.ends.tolist()
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    assert run.predict([]) == []


def test_embeddings_are_what_the_last_layer_reads(run):
    logits = run.embed(levels(0.1, 0.5), SAMPLE_RATE).vectors
    expected = run.predict(levels(0.1, 0.5), SAMPLE_RATE).scores
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(expected)
    assert not run.model.classifier._forward_pre_hooks


# ---- kinds of sounds ----


def test_paths_bytes_arrays_and_tensors_give_the_same(run, tmp_path):
    path, samples = write(tmp_path / "a.wav", 0.5, 0.1), levels(0.5, 0.1)
    pcm = (samples * 2**15).astype(np.int16)
    stereo = np.stack([samples + 0.01, samples - 0.01])
    sounds = [str(path), path.read_bytes(), samples, torch.from_numpy(samples), stereo, pcm, pcm[None]]
    sounds += [samples.astype(np.float64), torch.from_numpy(stereo)]
    expected = run.predict(path)
    for scores in run.predict(sounds, sample_rate=SAMPLE_RATE):
        assert scores.scores == pytest.approx(expected.scores, abs=1e-3)
        assert scores.starts.tolist() == expected.starts.tolist()


@pytest.mark.parametrize(
    ("sound", "sample_rate", "says"),
    [
        (levels(0.5), None, "sample_rate=, in Hz"),
        (levels(0.5), 0, "sample_rate=0 is not a rate"),
        (levels(0.5), float("nan"), "sample_rate=nan is not a rate"),
        (levels(0.5), "fast", "sample_rate=fast is not a rate"),
        (levels(0.5), 8000.5, "sample_rate=8000.5 is not a rate"),
        (levels(0.5, float("nan")), 8000, "not finite"),
        (np.full(8000, 1e300), 8000, "not finite"),
        (np.zeros(0), 8000, r"shape \(0,\) is not a sound"),
        (np.zeros((2, 3, 4)), 8000, r"shape \(2, 3, 4\) is not a sound"),
        (np.zeros((8000, 2)), 8000, "the transpose of what soundfile reads"),
        (levels(0.5) * 2**15, 8000, "divide them by their full scale"),
        (np.zeros(8000, np.int64), 8000, "int64 have no full scale"),
        (3.0, 8000, "not a float"),
        (None, 8000, "not a NoneType"),
    ],
)  # fmt: skip
def test_what_is_not_a_sound_is_one_sentence(run, sound, sample_rate, says):
    with pytest.raises(UserError, match=rf"^[^\n]*{says}[^\n]*\.$"):
        run.predict(sound, sample_rate)


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44100])
def test_an_empty_file_is_one_sentence(run, tmp_path, rate):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), rate)
    with pytest.raises(UserError, match=r"^[^\n]*empty\.wav [^\n]*; give another file\.$"):
        run.predict(path)


@pytest.mark.parametrize("content", [b"", b"this is no sound at all", None])
def test_a_broken_or_missing_file_is_one_sentence(run, tmp_path, content):
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        UserError,
        match=r"^[^\n]*broken\.wav cannot be read as audio \([^\n]+\); "
        r"give one of flac, wav, ogg, mp3, opus, m4a, mp4\.$",
    ):
        run.predict(path)


def test_a_folder_is_one_sentence(run, tmp_path):
    with pytest.raises(UserError, match=rf"^{tmp_path} is a folder; give the files in it.*\.$"):
        run.predict(tmp_path)


def test_a_file_that_breaks_off_is_one_sentence(run, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "half.flac"
    soundfile.write(path, rng.uniform(-0.5, 0.5, 3 * SAMPLE_RATE), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        UserError, match=r"^[^\n]*half\.flac cannot be read as audio \([^\n]+\); give [^\n]*\.$"
    ):
        run.predict(path)


# ---- what it takes ----

LOADED = """
import random, sys
import numpy as np, torch
import audiotok

torch.manual_seed(0); before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
run = audiotok.load(sys.argv[1])
scores = run.predict(np.zeros(8000, np.float32), sample_rate=8000)
assert before[1:] == (random.getstate(), str(np.random.get_state()))
assert torch.equal(before[0], torch.get_rng_state())
assert audiotok.load(sys.argv[1] + "/checkpoints/best.ckpt").key() == run.key()
assert scores.scores.shape == (1, len(run.classes))
print(*[name for name in ("pytorch_lightning", "lightning", "wandb", "torchmetrics") if name in sys.modules])
"""


def test_loading_and_predicting_takes_neither_lightning_nor_wandb(trained):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, trained], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
