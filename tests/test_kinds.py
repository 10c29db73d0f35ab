"""Every kind of token, from training to the tags of a sound; what a kind cannot do is told at the start."""

import json

import numpy as np
import pytest
import soundfile
import torch
from pretrained_models import write_encoder
from runs import SYNTHETIC, TINY, command
from tiny import tones

import audiotok
from audiotok.errors import UserError
from audiotok.export.program import export
from audiotok.tokens.tokenizer import Tokenizer

SMALL = tuple(item for item in (*TINY, *SYNTHETIC) if not item.startswith(("features", "clustering")))
KMEANS = ("clustering=kmeans", "clustering.n_clusters=8")
ENCODER = ("features=encoder", "features.layer=1", "features.pool=2", *KMEANS)


def train(folder, *overrides):
    """Train a tiny run of some kind of tokens, and return its metrics.json."""
    command(f"hydra.run.dir={folder}", *SMALL, "logger=none", "augment=none", *overrides)
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder("hubert", tmp_path_factory.mktemp("models") / "encoder")


@pytest.fixture(scope="module")
def of_encoder(encoder, tmp_path_factory):
    """A finished run on units of an encoder. Do not change it."""
    folder = tmp_path_factory.mktemp("of_encoder")
    train(folder, *ENCODER, f"features.name={encoder}")
    return folder


def sound(folder):
    path = folder / "tone.wav"
    soundfile.write(path, tones([800.0], np.random.default_rng(0)), 8000)
    return path


def check_tags_and_tokens(run, path):
    """Tag a sound with a run, and compare its tokens with those of the run's tokenizer alone."""
    tagger = audiotok.load(run)
    assert np.isfinite(tagger.predict(path).scores).all()
    tokens = Tokenizer.load(run).encode(path)
    assert torch.equal(torch.as_tensor(tagger.tokens(path).tokens[0]), tokens)
    return tokens


def test_a_run_on_units_of_an_encoder_tags_sounds(of_encoder, tmp_path):
    tokens = check_tags_and_tokens(of_encoder, sound(tmp_path))
    assert tokens.shape == (25, 1)  # 1 s, a hidden state every 20 ms, two averaged


def test_another_checkpoint_under_the_same_name_is_told(of_encoder, encoder, tmp_path):
    moved = tmp_path / "moved"
    encoder.rename(moved)
    try:
        with pytest.raises(UserError, match=r"features\.name=.* is not a folder"):
            audiotok.load(of_encoder)
        write_encoder("hubert", encoder, seed=1)
        with pytest.raises(UserError, match=r"features\.weights is"):
            audiotok.load(of_encoder)
    finally:
        for file in encoder.glob("*"):
            file.unlink()
        encoder.rmdir()
        moved.rename(encoder)


def test_mixing_without_decibels_is_refused_at_the_start(encoder, tmp_path):
    with pytest.raises(SystemExit) as told:
        train(tmp_path, *ENCODER, f"features.name={encoder}", "augment=mixing")
    assert "augment.sound.mix=" in str(told.value) + (tmp_path / "error.txt").read_text()


def test_what_an_export_cannot_hold_is_told(of_encoder, tmp_path):
    for given, to in ((of_encoder, "hf"), (of_encoder, "onnx"), (of_encoder / "vocabulary", "hf")):
        with pytest.raises(UserError, match=r"hidden states of a pretrained model \(features=encoder\)"):
            export(given, tmp_path / to, to)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(SystemExit):
        train(tmp_path, *ENCODER, "features.name=./nowhere")
    assert "features.name=./nowhere is not a folder" in (tmp_path / "error.txt").read_text()
