import json
import pickle
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import dataset_of, fit_vocabulary, path_of
from torch import Tensor

from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.store import Store
from audiotok.tokens.audio_files import audio_files, labelled_files
from audiotok.tokens.tokenizer import Tokenizer

RATE = 8000


@pytest.fixture(scope="module", params=["kmeans", "product"])
def fitted(request, tiny_tokenizer, tiny_corpus, tmp_path_factory) -> Tokenizer:
    """A tokenizer whose centroids are those of the tiny corpus."""
    tokenizer = tiny_tokenizer(request.param)
    return fit_vocabulary(tokenizer, tiny_corpus, Store(tmp_path_factory.mktemp("cache"))).tokenizer


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_tokens_are_indices_of_centroids(fitted):
    tokens, n_tokens = fitted(noise(3, RATE), torch.tensor([RATE] * 3))
    assert tokens.shape == (3, 32, fitted.codebooks.n_codebooks)
    assert tokens.dtype == torch.int64
    assert 0 <= tokens.min() <= tokens.max() < fitted.codebooks.n_clusters
    assert n_tokens.tolist() == [32, 32, 32]


def test_tokens_are_the_nearest_centroids_of_the_frames(fitted):
    waves, n_samples = noise(2, RATE), torch.tensor([RATE, RATE])
    frames, _ = fitted.features(*fitted.features.analyze(waves, n_samples))
    tokens, _ = fitted(waves, n_samples)
    decoded = fitted.codebooks.decode(tokens)
    distance = (frames - decoded).square().sum(-1)
    for k in range(fitted.codebooks.n_clusters):
        other = fitted.codebooks.decode(torch.full_like(tokens, k))
        assert (distance <= (frames - other).square().sum(-1) + 1e-2).all()


@settings(max_examples=30)
@given(st.floats(0.05, 2.0))
def test_n_tokens_of_a_duration_is_the_shape_of_its_tokens(tiny_tokenizer, seconds):
    tokenizer = tiny_tokenizer()
    wave = torch.zeros(1, round(seconds * RATE))
    frames, _ = tokenizer.features(*tokenizer.features.analyze(wave, torch.tensor([wave.shape[1]])))
    assert tokenizer.n_tokens(seconds) == frames.shape[1]


def test_batch_equals_its_clips_one_by_one(fitted):
    waves = noise(3, RATE)
    n_samples = torch.tensor([RATE, 5000, 700])
    for row, n in enumerate(n_samples.tolist()):
        waves[row, n:] = 0
    tokens, n_tokens = fitted(waves, n_samples)
    for row in range(3):
        alone, n_alone = fitted(waves[row : row + 1], n_samples[row : row + 1])
        assert torch.equal(alone[0], tokens[row])
        assert n_alone[0] == n_tokens[row]


def test_padding_does_not_change_tokens_that_do_not_see_it(fitted):
    wave = noise(1, 5000)
    padded = torch.nn.functional.pad(wave, (0, 3000))
    tokens, [n_tokens] = fitted(padded, torch.tensor([5000]))
    alone, [n_alone] = fitted(wave, torch.tensor([5000]))
    assert n_tokens == n_alone == 20 == alone.shape[1]
    assert torch.equal(tokens[0, :18], alone[0, :18])


def test_different_tones_are_different_words(fitted, tiny_corpus):
    words = {}
    for index, clip in enumerate(tiny_corpus.clips["train"]):
        if len(clip.labels) == 1:
            batch = dataset_of(tiny_corpus, "train", fitted.features).__getitems__([index])
            tokens, _ = fitted.read(batch["analysis"], batch["n_slices"], "tokens")
            # A steady tone says the same word over and over.
            [middle] = {tuple(word) for word in tokens[0, 14:15].tolist()}
            words.setdefault(clip.labels, set()).add(middle)
    assert len(words) == 3
    assert not set.intersection(*words.values())
    assert len(set.union(*words.values())) >= 3


def test_each_stage_is_read_from_the_one_before(fitted):
    mel, n_mel = fitted.features.analyze(noise(2, RATE), torch.tensor([RATE, 5000]))
    normalized, n_normalized = fitted.read(mel, n_mel, "analysis")
    frames, n_frames = fitted.read(mel, n_mel, "frames")
    tokens, n_tokens = fitted.read(mel, n_mel, "tokens")
    assert normalized.shape == (2, 63, 16)
    assert torch.equal(normalized, mel.float())
    assert n_normalized.tolist() == n_mel.tolist() == [63, 40]
    assert frames.shape == (2, 32, 8)
    assert torch.equal(frames, fitted.features(mel, n_mel)[0])
    assert torch.equal(tokens, fitted.codebooks.encode(frames))
    assert n_frames.tolist() == n_tokens.tolist() == [32, 20]
    assert (normalized.dtype, frames.dtype, tokens.dtype) == (torch.float32, torch.float32, torch.int64)
    assert torch.equal(tokens, fitted(noise(2, RATE), torch.tensor([RATE, 5000]))[0])


def test_mel_frames_are_read_normalized(tiny_tokenizer):
    tokenizer = tiny_tokenizer(features={"normalization": "clip_max", "range_db": 15.0})
    mel, n_mel = tokenizer.features.analyze(noise(2, RATE), torch.tensor([RATE, 5000]))
    found, n_found = tokenizer.read(mel, n_mel, "analysis")
    assert torch.equal(found, tokenizer.features.normalize(mel.float(), n_mel))
    assert found.amin((1, 2)).tolist() == [-15, -15]
    assert found[:, :40].amax((1, 2)).tolist() == [0, 0]
    assert n_found.tolist() == [63, 40]


def test_silence_has_tokens(fitted):
    tokens, _ = fitted(torch.zeros(1, RATE), torch.tensor([RATE]))
    assert (tokens == tokens[:, :1]).all()


def test_tokenizing_tracks_no_gradients(fitted):
    wave = noise(1, RATE).requires_grad_()
    assert not fitted(wave, torch.tensor([RATE]))[0].requires_grad
    assert not list(fitted.parameters())


def test_pickled_tokenizer_says_the_same(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    waves, n_samples = noise(2, RATE), torch.tensor([RATE, RATE])
    assert torch.equal(copy(waves, n_samples)[0], fitted(waves, n_samples)[0])


def test_settings_are_flat_plain_and_name_both_parts(tiny_tokenizer):
    found = tiny_tokenizer("product", n_iter=7, features={"f_max": 3000.0}).settings
    assert json.loads(json.dumps(found)) == found
    assert found["features.kind"] == "logmel"
    assert found["features.f_max"] == 3000.0
    assert found["features.range_db"] is None
    assert found["features.deltas"] == 0
    assert found["clustering.kind"] == "product"
    assert found["clustering.n_iter"] == 7
    assert {key.partition(".")[0] for key in found} == {"features", "clustering"}


# ---- without a corpus ----


def training_files(corpus: Corpus) -> list[Path]:
    return [path_of(clip) for clip in corpus.clips["train"]]


def test_fitted_to_files_it_is_what_it_is_fitted_to_their_corpus(tiny_tokenizer, tiny_corpus, tmp_path):
    expected = fit_vocabulary(tiny_tokenizer("product"), tiny_corpus, Store(tmp_path)).tokenizer
    found = tiny_tokenizer("product").fit(training_files(tiny_corpus), clip_seconds=1.0)
    assert found.checksum() == expected.checksum()


def test_files_are_encoded_as_the_clips_of_a_corpus(fitted, tiny_corpus):
    tokens, lengths = fitted.encode_clips(training_files(tiny_corpus), clip_seconds=1.0)
    dataset = dataset_of(tiny_corpus, "train", fitted.features)
    batch = dataset.__getitems__(range(len(dataset)))
    expected, n_expected = fitted.tokens(batch["analysis"], batch["n_slices"])
    assert torch.equal(tokens, expected)
    assert torch.equal(lengths, n_expected)


def test_files_are_cropped_to_their_middle_or_padded(fitted, tmp_path):
    wave = noise(3 * RATE).numpy()
    soundfile.write(tmp_path / "long.wav", wave, RATE)
    soundfile.write(tmp_path / "middle.wav", wave[RATE : 2 * RATE], RATE)
    soundfile.write(tmp_path / "short.wav", wave[: RATE // 2], RATE)
    tokens, lengths = fitted.encode_clips(tmp_path, clip_seconds=1.0)
    assert torch.equal(tokens[0], tokens[1])
    assert (tokens.shape[1], lengths.tolist()) == (32, [32, 32, 16])


def test_a_folder_stands_for_its_audio_files_in_order(tmp_path):
    for name in ("b/2.wav", "b/1.FLAC", "a/3.ogg", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files, labels, classes = labelled_files(tmp_path)
    assert [file.name for file in files] == ["3.ogg", "1.FLAC", "2.wav"]
    assert (labels.tolist(), classes) == ([0, 1, 1], ["a", "b"])
    assert audio_files(tmp_path) == files
    assert audio_files(str(files[0])) == audio_files([files[0]]) == files[:1]


def test_what_cannot_be_read_is_refused_in_a_sentence(fitted, tiny_tokenizer, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"broken\.wav cannot be read as audio .*; leave it out"):
        fitted.encode_clips(tmp_path)
    (tmp_path / "broken.wav").unlink()
    with pytest.raises(UserError, match="has no audio file"):
        tiny_tokenizer().fit(tmp_path)
    with pytest.raises(UserError, match="call fit"):
        tiny_tokenizer().encode("any.wav")


def test_codebooks_that_do_not_divide_the_frame_are_refused_before_any_clip_is_read(tiny_tokenizer):
    with pytest.raises(UserError, match=r"clustering\.n_codebooks=3 .* 8 dimensions"):
        tiny_tokenizer("product", n_codebooks=3)
