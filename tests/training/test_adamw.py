import copy

import pytest
import torch
from torch import nn

from audiotok.errors import UserError
from audiotok.training.optimizer import AdamW


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(10, 4), nn.LayerNorm(4), nn.Linear(4, 3))


def build(model: nn.Module, **changes: object) -> torch.optim.Optimizer:
    settings = {
        "lr": 0.01,
        "weight_decay": 0.1,
        "betas": [0.8, 0.95],
        "decay_norms_and_biases": False,
        "fused": True,
    }
    return AdamW(**{**settings, **changes}).build(model)


def decay_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}


def take_steps(model: nn.Module, optimizer: torch.optim.Optimizer, n_steps: int = 3) -> None:
    for step in range(n_steps):
        optimizer.zero_grad()
        model(torch.tensor([step, step + 1])).square().sum().backward()
        optimizer.step()


def test_norms_and_biases_are_spared_from_decay():
    model = small_model()
    assert decay_of(model, build(model)) == {
        "0.weight": 0.1,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.1,
        "2.bias": 0.0,
    }


def test_every_parameter_decays_if_asked_for():
    model = small_model()
    decay = decay_of(model, build(model, decay_norms_and_biases=True))
    assert decay == dict.fromkeys(dict(model.named_parameters()), 0.1)


def test_every_parameter_is_optimised_once():
    model = small_model()
    chosen = [id(p) for group in build(model).param_groups for p in group["params"]]
    assert sorted(chosen) == sorted(id(p) for p in model.parameters())


def test_frozen_parameters_are_left_out():
    model = small_model()
    model[0].weight.requires_grad_(False)
    assert "0.weight" not in decay_of(model, build(model))


def test_steps_equal_those_of_torchs_adamw():
    ours, theirs = small_model(), small_model()
    take_steps(ours, build(ours, decay_norms_and_biases=True))
    take_steps(theirs, torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, betas=(0.8, 0.95)))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)


def test_sparing_changes_norms_and_biases_alone_in_the_first_step():
    spared = small_model()
    nn.init.ones_(spared[2].bias)
    decayed = copy.deepcopy(spared)
    take_steps(spared, build(spared), n_steps=1)
    take_steps(decayed, build(decayed, decay_norms_and_biases=True), n_steps=1)
    assert torch.equal(spared[0].weight, decayed[0].weight)
    assert torch.equal(spared[2].weight, decayed[2].weight)
    torch.testing.assert_close(decayed[1].weight, spared[1].weight - 0.01 * 0.1)
    torch.testing.assert_close(decayed[2].bias, spared[2].bias - 0.01 * 0.1)


@pytest.mark.parametrize(
    ("key", "value"),
    [("lr", 0.0), ("lr", -0.1), ("weight_decay", -0.1), ("betas", [0.9]), ("betas", [0.9, 1.5])],
)
def test_numbers_that_do_not_train_are_refused(key, value):
    with pytest.raises(UserError, match=rf"^optimizer\.{key}=.+; \w+.*\.$"):
        build(small_model(), **{key: value})
