import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import build, build_awake
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.model.cnn import CNN
from audiotok.model.model import Sizes


def random_mel(n_clips: int = 3, n_frames: int = 16, n_bins: int = 8, seed: int = 1) -> Tensor:
    drawn = torch.randn(n_clips, n_frames, n_bins, generator=torch.Generator().manual_seed(seed))
    return 20 * drawn - 50  # dB


def sized(n_bins: int) -> Sizes:
    return Sizes(n_bins, 6, 2, 20, 9, 5)


def textbook(model: CNN, mel: Tensor) -> Tensor:
    """Return the logits of unpadded mel frames (B, T, M), T and M multiples of 4: no lengths anywhere."""
    maps = model.normalize(mel.transpose(1, 2)).transpose(1, 2)[:, None]
    for block in model.blocks:
        layers = block.get_submodule("layers")
        maps = nn.functional.avg_pool2d(layers(maps), 2)
    means = maps.mean(3)
    return model.classifier(means.mean(2) + means.amax(2))


@torch.no_grad()
def test_clips_that_fill_the_batch_are_read_by_a_plain_network():
    model, mel = build_awake("cnn", sizes=sized(8)), random_mel()
    expected = textbook(model, mel)
    logits = model(mel, torch.tensor([16, 16, 16]))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_clip_whose_length_is_a_multiple_of_the_halvings_is_read_as_if_it_were_alone():
    model, mel = build_awake("cnn", sizes=sized(8)), random_mel()
    together = model(mel, torch.tensor([16, 12, 4]))
    for i, n in enumerate((16, 12, 4)):
        expected = textbook(model, mel[i : i + 1, :n])
        torch.testing.assert_close(together[i : i + 1], expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=30)
@given(
    n_bins=st.integers(1, 12), length=st.integers(1, 17), padding=st.integers(0, 9), seed=st.integers(0, 99)
)
@torch.no_grad()
def test_any_clip_is_read_as_if_it_were_alone(n_bins, length, padding, seed):
    model = build_awake("cnn", sizes=sized(n_bins), channels=[2, 3, 4])
    mel = random_mel(1, length + padding, n_bins, seed)
    lengths = torch.tensor([length])
    torch.testing.assert_close(model(mel, lengths), model(mel[:, :length], lengths), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_last_frame_and_the_highest_bin_tell_also_where_halves_are_not_whole():
    model, mel = build_awake("cnn", sizes=sized(9)), random_mel(1, 13, 9)
    expected = model(mel, torch.tensor([13]))
    for frame, mel_bin in ((12, 0), (0, 8)):
        changed = mel.clone()
        changed[0, frame, mel_bin] += 50
        assert (model(changed, torch.tensor([13])) - expected).abs().max() > 1e-3


def test_every_bin_is_normalised_by_the_frames_that_count():
    model, mel, lengths = build("cnn", sizes=sized(8)).train(), random_mel(), torch.tensor([16, 9, 2])
    heard = torch.cat([clip[:n] for clip, n in zip(mel, lengths, strict=True)])
    vectors = model.embed(mel, lengths)
    normal = torch.cat([clip[:n] for clip, n in zip(vectors, lengths, strict=True)])
    expected = (heard - heard.mean(0)) / (heard.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(normal, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.normalize.running_mean, 0.1 * heard.mean(0))
    assert not vectors[1, 9:].any()


def test_a_quiet_corpus_is_read_as_a_loud_one_is():
    model, mel, full = build_awake("cnn", sizes=sized(8)).train(), random_mel(), torch.tensor([16, 16, 16])
    torch.testing.assert_close(model(mel - 30, full), model(mel, full), rtol=1e-3, atol=1e-3)


def test_there_is_a_block_for_every_number_of_channels():
    model = build("cnn", channels=[3, 5, 7])
    widths = [(b.layers[0].in_channels, b.layers[3].out_channels) for b in model.blocks]
    assert widths == [(1, 3), (3, 5), (5, 7)]
    assert model.classifier.in_features == 7


@torch.no_grad()
def test_a_clip_shorter_than_the_halvings_has_finite_logits():
    model = build_awake("cnn", sizes=sized(1), channels=[2, 2, 2, 2])
    for length in (1, 2, 3):
        assert model(random_mel(1, length, 1), torch.tensor([length])).isfinite().all()


@pytest.mark.parametrize(("channels", "key"), [([0], "channels[0]=0"), ([4, -2], "channels[1]=-2")])
def test_a_block_without_channels_is_refused(channels, key):
    with pytest.raises(UserError) as refused:
        build("cnn", channels=channels)
    assert str(refused.value) == f"model.{key} is too small; choose 1 or more."


def test_a_network_without_blocks_is_refused():
    with pytest.raises(UserError, match=r"^model\.channels=\[\] .*; give "):
        build("cnn", channels=[])
