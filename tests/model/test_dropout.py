"""Dropout, beside torch's own."""

import pytest
import torch
from tiny_models import build
from torch import nn

from audiotok.model.dropout import ClipDropout, Dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_rest_scaled_up(share):
    torch.manual_seed(0)
    states = torch.ones(101, 103)  # no multiple of 4
    dropped = Dropout(share)(states)
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / (1 - share)).item()}
    for part in (dropped, dropped[:, 0::4], dropped[:, 3::4]):
        assert (part == 0).float().mean().item() == pytest.approx(share, abs=0.03)


def test_entries_are_dropped_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(20_000, 8)) > 0).float()
    correlation = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlation.abs().max() < 0.04


def test_the_gradient_is_of_what_was_kept():
    states = torch.ones(50, 7, requires_grad=True)
    dropped = Dropout(0.3)(states)
    dropped.sum().backward()
    assert torch.equal(states.grad, dropped.detach())


def test_a_seed_repeats_it():
    layer, states = Dropout(0.3), torch.ones(50, 7)
    torch.manual_seed(3)
    first = layer(states)
    torch.manual_seed(3)
    assert torch.equal(layer(states), first)
    assert not torch.equal(layer(states), first)


def test_nothing_is_dropped_in_use_or_for_a_share_of_zero():
    states = torch.randn(5, 7)
    assert torch.equal(Dropout(0.3).eval()(states), states)
    assert torch.equal(Dropout(0.0)(states), states)


def test_half_precision_stays_what_it_is():
    assert Dropout(0.3)(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_every_layer_of_bert_drops_by_it():
    kinds = [type(part) for part in build("bert", dropout=0.3).modules() if isinstance(part, nn.Dropout)]
    assert kinds.count(Dropout) == 1 + 2 * 3 + 1  # embeddings, three in each of two layers, logits
    assert nn.Dropout not in kinds


def test_clips_are_dropped_as_a_whole_and_the_others_scaled_up():
    torch.manual_seed(0)
    dropped = ClipDropout(0.75)(torch.ones(1000, 3, 4))
    assert set(dropped.unique().tolist()) == {0.0, 4.0}
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.75, abs=0.05)
    assert torch.equal(ClipDropout(0.75).eval()(dropped), dropped)
