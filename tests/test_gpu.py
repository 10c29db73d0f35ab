"""On a GPU: whole runs, compiled models, and the code that takes another way there than on a CPU.

Tests of single stages have theirs beside them, with the same marker. `benchmarks/gpu.py` runs all of them on
a machine that has little installed, so this file imports nothing that its kit lacks.
"""

import copy
import json

import numpy as np
import pytest
import torch
from doctor.sounds import examine, states, write_sounds
from runs import pretrain, run
from tiny import CLUSTERINGS, SAMPLE_RATE, build_tiny_tokenizer, tones
from torch.nn import functional as F

from audiotok.augment.mixup import Mixup
from audiotok.model.embedding import TokenEmbedding
from audiotok.model.model import Sizes
from audiotok.prediction.tagger import load

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
GPU = ("trainer=gpu", "trainer.accelerator=gpu")  # the second one because `TINY` chooses the CPU


# ---- whole runs ----


def test_a_run_trains_in_bf16_and_tags_sounds_on_the_cpu(tmp_path):
    metrics = run(tmp_path / "run", *GPU, "model.stochastic_depth=0.2")
    assert np.isfinite(metrics["test/loss"])
    origin = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert origin["device"] == torch.cuda.get_device_name()
    scores = np.load(tmp_path / "run" / "predictions.npz")["scores"]
    assert scores.dtype == np.float32
    logits = torch.from_numpy(scores).double().logit().float()
    as_bf16 = logits.bfloat16().float()
    assert (logits - as_bf16).abs().max() > 1e-3 * logits.abs().max()  # in bf16 they would tie
    sounds = [tones([hertz], np.random.default_rng(0), seconds=40) for hertz in (250.0, 800.0)]
    on_gpu, on_cpu = (load(tmp_path / "run", device) for device in ("auto", "cpu"))
    devices = [{weight.device.type for weight in run.model.parameters()} for run in (on_gpu, on_cpu)]
    assert devices == [{"cuda"}, {"cpu"}]
    for one, other in zip(
        on_gpu.predict(sounds, SAMPLE_RATE), on_cpu.predict(sounds, SAMPLE_RATE), strict=True
    ):
        assert one.scores.shape == (40, metrics["n_classes"])
        assert np.abs(one.scores - other.scores).max() < 0.01


@pytest.fixture(scope="module")
def on_the_cpu(tmp_path_factory):
    """Overrides of a run without chance in training, and its results on the CPU."""
    folder = tmp_path_factory.mktemp("on_the_cpu")
    same = ("augment=none", "trainer.precision=32-true", "model.dropout=0.0", f"cache_dir={folder}")
    return same, run(folder / "run", *same)


@pytest.mark.parametrize("cache", ["tokens", "frames", "none"])
def test_a_run_ends_as_it_does_on_the_cpu_whatever_is_cached(on_the_cpu, tmp_path, cache):
    same, expected = on_the_cpu
    found = run(tmp_path / "run", *GPU, *same, f"data.cache={cache}")
    assert found["test/loss"] == pytest.approx(expected["test/loss"], rel=0.02)


def test_a_run_starts_from_one_that_was_pretrained(tmp_path):
    metrics = pretrain(tmp_path / "pretrained", *GPU)
    assert np.isfinite(metrics["val/loss"])
    tuned = run(tmp_path / "tuned", *GPU, f"model.init_from={tmp_path}/pretrained")
    assert np.isfinite(tuned["test/loss"])


def test_a_compiled_model_ends_as_it_does_on_the_cpu(on_the_cpu, tmp_path):
    same, expected = on_the_cpu
    found = run(tmp_path / "run", *GPU, *same, "compile=true")
    assert found["test/loss"] == pytest.approx(expected["test/loss"], rel=0.02)


def test_the_doctor_finds_nothing_bad_in_a_healthy_corpus(tmp_path):
    report, status = examine(tmp_path / "run", write_sounds(tmp_path / "sounds"), *GPU)
    assert "bad" not in states(report).values(), report
    assert status == 0


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_two_devices_train_in_one_process_group(tmp_path):
    metrics = run(tmp_path / "run", "trainer=ddp", "trainer.accelerator=gpu", "trainer.devices=2")
    assert np.isfinite(metrics["test/loss"])
    assert len(np.load(tmp_path / "run" / "predictions.npz")["ids"]) == metrics["n_test_clips"]


# ---- single stages ----


@pytest.mark.parametrize("kind", CLUSTERINGS)
@torch.no_grad()
def test_waveforms_become_the_tokens_that_the_cpu_makes(kind):
    tokenizer = build_tiny_tokenizer(kind)
    rng = np.random.default_rng(0)
    drawn = [tones(list(rng.uniform(100, 3500, 3)), rng) for _ in range(16)]
    waveforms, n_samples = torch.from_numpy(np.stack(drawn)), torch.full((16,), len(drawn[0]))
    features = tokenizer.features
    frames = features.stack(*features.analyze(waveforms, n_samples))[0].flatten(0, 1)
    features.fit(frames)
    tokenizer.codebooks.fit(features.project(frames).numpy())
    expected, lengths = tokenizer(waveforms, n_samples)
    tokens, found = copy.deepcopy(tokenizer).to(DEVICE)(waveforms.to(DEVICE), n_samples.to(DEVICE))
    assert tokens.device.type == DEVICE
    assert torch.equal(found.cpu(), lengths)
    assert (tokens.cpu() == expected).float().mean() > 0.98  # a frame midway may fall to either centroid


def test_the_gradient_of_summed_rows_is_that_of_the_cpu():
    torch.manual_seed(0)
    embedding = TokenEmbedding(Sizes(10, 6, 3, 20, 9, 5), 16, 0.02)
    tokens, weights = torch.randint(-1, 20, (4, 9, 3)), torch.randn(4, 9, 16)
    gradients = []
    for device in ("cpu", DEVICE):
        moved = copy.deepcopy(embedding).to(device)
        (moved(tokens.to(device)) * weights.to(device)).sum().backward()
        gradients.append(moved.table.weight.grad.cpu())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


def test_the_same_seed_mixes_the_same_clips():
    vectors, lengths = torch.randn(8, 5, 4), torch.full((8,), 5)
    targets = F.one_hot(torch.arange(8) % 3, 3).float()
    mixed = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(0)
        mixed.append(Mixup(share=1.0, alpha=0.5)(vectors.to(device), lengths.to(device), targets.to(device)))
    for expected, found in zip(*mixed, strict=True):
        torch.testing.assert_close(found.cpu(), expected)
