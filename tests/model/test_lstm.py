"""The LSTM, which reads packed batches, against torch's own reading each clip alone."""

import pytest
import torch
from tiny_models import LENGTHS, build, build_awake, random_inputs, random_start
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.model.lstm import LSTM


@torch.no_grad()
def one_by_one(model: LSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return the logits that torch's LSTM gives to each clip alone, unpadded and unpacked."""
    theirs = nn.LSTM(16, 8, model.lstm.num_layers, bidirectional=True).eval()
    theirs.load_state_dict(model.lstm.state_dict())
    rows = []
    for clip, n in zip(tokens, lengths.tolist(), strict=True):
        vectors = model.words(clip[None, :n])[0]  # (T, width)
        rows.append(model.classifier(theirs(vectors)[0].mean(0)))
    return torch.stack(rows)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[9, 9, 9], [9, 6, 1], [1, 4, 9], [3, 3, 2]], ids=str)
@torch.no_grad()
def test_a_batch_is_read_as_torchs_own_lstm_reads_its_clips(num_layers, lengths):
    model, tokens = build_awake("lstm", num_layers=num_layers), random_inputs("tokens")
    expected = one_by_one(model, tokens, torch.tensor(lengths))
    torch.testing.assert_close(model(tokens, torch.tensor(lengths)), expected)


@torch.no_grad()
def test_both_directions_are_read():
    """What changes last reaches the first state, and what changes first reaches the last."""
    model, tokens = build_awake("lstm", num_layers=1), random_inputs("tokens")[:1]
    states = model.lstm(model.words(tokens))[0]
    for place, other, half in ((-1, 0, slice(8, 16)), (0, -1, slice(0, 8))):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 20
        difference = model.lstm(model.words(changed))[0] - states
        assert difference[0, other, half].any()


@pytest.mark.parametrize("hidden_size", [2, 7, 16])
@torch.no_grad()
def test_an_odd_width_is_halved_downwards(hidden_size):
    model = build("lstm", hidden_size=hidden_size)
    assert model.lstm.hidden_size == hidden_size // 2
    assert model(random_inputs("tokens"), LENGTHS).shape == (3, 5)


@pytest.mark.filterwarnings("error")
def test_one_layer_with_dropout_builds_without_a_warning():
    assert build("lstm", num_layers=1, dropout=0.3).lstm.dropout == 0
    assert build("lstm", num_layers=2, dropout=0.3).lstm.dropout == 0.3


def test_tokens_begin_at_centroids_where_asked_for():
    at_random, at_centroids = build("lstm"), build("lstm", embedding="centroids")
    at_centroids.start_from(random_start())
    different = {
        name
        for name, weight in at_random.state_dict().items()
        if not torch.equal(weight, at_centroids.state_dict()[name])
    }
    assert different == {"words.table.weight"}
    assert at_centroids.words.table.weight[1:].std().item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("hidden_size", [1, 0, -4])
def test_a_width_without_two_halves_is_refused(hidden_size):
    with pytest.raises(
        UserError, match=rf"^model\.hidden_size={hidden_size} is too small .*; choose 2 or more\.$"
    ):
        build("lstm", hidden_size=hidden_size)


def test_no_layers_are_refused():
    with pytest.raises(UserError, match=r"^model\.num_layers=0 is too small; choose 1 or more\.$"):
        build("lstm", num_layers=0)
