"""What holds for all models, whatever they read: padding, batches, starts, gradients, precision."""

from typing import Any

import pytest
import torch
from tiny_models import (
    KINDS,
    LENGTHS,
    SIZES,
    build,
    build_awake,
    random_inputs,
    random_start,
    with_other_padding,
)
from torch import Tensor, nn

from audiotok.augment.mixup import Mixup
from audiotok.errors import UserError
from audiotok.model.model import Model, Sizes
from audiotok.padding import is_position

every_model = pytest.mark.parametrize("kind", KINDS)
poolings = ["cls", "mean", "attention", "mean_max"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in KINDS] + [
    (kind, {"pooling": pooling}) for kind in ("bert", "frames") for pooling in poolings
]
every_variant = pytest.mark.parametrize(
    ("kind", "changes"), VARIANTS, ids=[" ".join([kind, *changes.values()]) for kind, changes in VARIANTS]
)


@every_variant
@torch.no_grad()
def test_what_lies_behind_the_lengths_changes_no_logit(kind, changes):
    model = build_awake(kind, **changes)
    inputs = random_inputs(model.reads)
    other = with_other_padding(inputs, LENGTHS)
    assert not torch.equal(other, inputs)
    assert torch.equal(model(other, LENGTHS), model(inputs, LENGTHS))


@every_model
def test_what_lies_behind_the_lengths_changes_no_logit_in_training_either(kind):
    model = build_awake(kind).train()
    inputs = random_inputs(model.reads)
    expected = model(inputs, LENGTHS)
    assert torch.equal(model(with_other_padding(inputs, LENGTHS), LENGTHS), expected)


@every_variant
@torch.no_grad()
def test_what_lies_before_the_lengths_changes_logits(kind, changes):
    model = build_awake(kind, **changes)
    inputs = random_inputs(model.reads)
    changed = inputs.clone()
    for row, n in enumerate(LENGTHS.tolist()):
        last = inputs[row, n - 1]
        changed[row, n - 1] = last.flip(0) if last.is_floating_point() else (last + 1) % 20
    difference = (model(changed, LENGTHS) - model(inputs, LENGTHS)).abs().amax(1)
    assert (difference > 1e-3).all()


@every_variant
@pytest.mark.parametrize("length", [1, 4, 9])
@torch.no_grad()
def test_a_clip_in_a_batch_has_the_logits_of_the_clip_alone_and_unpadded(kind, changes, length):
    model = build_awake(kind, **changes)
    inputs = random_inputs(model.reads)
    together = model(inputs, torch.tensor([9, length, 4]))
    alone = model(inputs[1:2, :length], torch.tensor([length]))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)


@every_model
@torch.no_grad()
def test_the_other_clips_of_a_batch_change_nothing(kind):
    model = build_awake(kind)
    inputs = random_inputs(model.reads)
    expected = model(inputs, LENGTHS)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(inputs[order], LENGTHS[order]), expected[order])
    for i in range(3):
        alone = model(inputs[i : i + 1], LENGTHS[i : i + 1])
        torch.testing.assert_close(alone, expected[i : i + 1], rtol=1e-4, atol=1e-4)


@every_model
@torch.no_grad()
def test_padding_adds_nothing_to_a_mixture(kind):
    model = build_awake(kind)
    inputs = random_inputs(model.reads)
    targets = torch.eye(3, 5)
    mixtures = []
    for version in (inputs, with_other_padding(inputs, LENGTHS)):
        torch.manual_seed(3)
        mixtures.append(Mixup(1.0, 1.0)(model.embed(version, LENGTHS), LENGTHS, targets)[0])
    assert torch.equal(*mixtures)


@every_model
@torch.no_grad()
def test_vectors_of_positions_are_zero_behind_the_lengths(kind):
    model = build_awake(kind)
    vectors = model.embed(random_inputs(model.reads), LENGTHS)
    if kind == "bag":
        assert vectors.shape == (3, 40)
        return
    assert vectors.shape[:2] == (3, 9)
    inside = is_position(LENGTHS, 9)
    assert not vectors[~inside].any()
    assert vectors[inside].any(1).all()


@every_model
@torch.no_grad()
def test_order_of_positions_matters_to_all_but_the_bag(kind):
    model = build_awake(kind)
    inputs, full = random_inputs(model.reads), torch.tensor([9, 9, 9])
    shuffled = inputs[:, torch.randperm(9, generator=torch.Generator().manual_seed(5))]
    is_alike = torch.allclose(model(shuffled, full), model(inputs, full), atol=1e-3)
    assert is_alike == (kind == "bag")


@every_variant
@torch.no_grad()
def test_a_clip_of_one_position_has_finite_logits(kind, changes):
    model = build_awake(kind, **changes)
    logits = model(random_inputs(model.reads)[:1, :1], torch.tensor([1]))
    assert logits.shape == (1, 5)
    assert logits.isfinite().all()


@every_model
@torch.no_grad()
def test_logits_are_float32_of_clips_by_classes(kind):
    model = build(kind)
    logits = model(random_inputs(model.reads), LENGTHS)
    assert logits.shape == (3, 5)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@every_model
@torch.no_grad()
def test_reading_leaves_inputs_and_lengths_as_they_are(kind):
    model = build_awake(kind)
    inputs, lengths = random_inputs(model.reads), LENGTHS.clone()
    before = inputs.clone()
    model(inputs, lengths)
    assert torch.equal(inputs, before)
    assert torch.equal(lengths, LENGTHS)


# ---- what the weights begin at ----


@every_model
@torch.no_grad()
def test_probabilities_begin_at_how_often_each_class_is_heard(kind):
    model = build(kind, start_at_prior=True)
    model.start_from(random_start())
    nn.init.zeros_(model.classifier.weight)
    expected = torch.tensor([0.5, 0.1, 0.02, 0.001, 0.999])  # nothing is impossible, nothing certain
    logits = model(random_inputs(model.reads), LENGTHS)
    torch.testing.assert_close(logits.sigmoid(), expected.expand(3, 5))


@every_model
@torch.no_grad()
def test_probabilities_begin_at_one_half_without_the_prior(kind):
    model = build(kind, start_at_prior=False)
    model.start_from(random_start())
    nn.init.zeros_(model.classifier.weight)
    logits = model(random_inputs(model.reads), LENGTHS)
    torch.testing.assert_close(logits.sigmoid(), torch.full((3, 5), 0.5))


@every_model
def test_a_model_that_begins_at_random_takes_nothing_from_the_clips(kind):
    before, model = build(kind).state_dict(), build(kind)
    model.start_from(random_start())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


# ---- training ----


@every_variant
def test_gradient_reaches_every_parameter(kind, changes):
    model = build_awake(kind, **changes).double().train()
    inputs = random_inputs(model.reads)
    if model.reads == "tokens":
        inputs[0, 0] = -1  # so that [MASK] learns
    else:
        inputs = inputs.double()
    lengths = torch.tensor([9, 6, 9])
    logits = model.classify(model.embed(inputs, lengths).double(), lengths)  # a bag's counts are float32
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # Softmax takes no notice of what all keys have in common, so their bias cannot learn.
        is_reached = not name.endswith("key.bias")
        assert (parameter.grad.abs().max() > 1e-12) == is_reached, name


@every_model
def test_a_model_learns_to_tell_two_batches_of_clips_apart(kind):
    model = build(kind).train()
    inputs, lengths = random_inputs(model.reads, n_clips=8), torch.full((8,), 9)
    targets = torch.eye(2, 5).repeat(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss = nn.functional.binary_cross_entropy_with_logits(model(inputs, lengths), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@every_model
@torch.no_grad()
def test_dropout_acts_in_training_alone(kind):
    model = build_awake(kind, dropout=0.5)
    inputs, full = random_inputs(model.reads), torch.tensor([9, 9, 9])
    assert torch.equal(model(inputs, full), model(inputs, full))
    model.train()
    assert not torch.equal(model(inputs, full), model(inputs, full))


@every_model
def test_with_dropout_disabled_training_is_deterministic(kind):
    all_of_it = {"stochastic_depth": 0.5, "attention_dropout": 0.5} if kind in ("bert", "frames") else {}
    model = build_awake(kind, dropout=0.5, **all_of_it).train()
    model.disable_dropout()
    inputs, full = random_inputs(model.reads), torch.tensor([9, 9, 9])
    assert torch.equal(model(inputs, full), model(inputs, full))


@every_variant
def test_training_in_bfloat16_gives_logits_near_those_of_float32(kind, changes):
    model = build(kind, **changes).train()
    inputs = random_inputs(model.reads)
    expected = model(inputs, LENGTHS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(inputs, LENGTHS)
    assert logits.dtype == torch.float32  # the last layer's are not rounded: they would tie
    torch.testing.assert_close(logits, expected, rtol=0.05, atol=0.05)
    logits.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


# ---- masked tokens ----


@pytest.mark.parametrize("kind", ["bert", "bag", "lstm"])
@torch.no_grad()
def test_a_clip_of_masked_tokens_has_finite_logits_whatever_was_masked(kind):
    model = build_awake(kind)
    logits = model(torch.full((3, 9, 2), -1), torch.tensor([9, 9, 9]))
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[0], logits[1])  # a matrix product may sum its rows in different orders


# ---- refusals ----


@pytest.mark.parametrize("value", [-0.1, 1.0])
@every_model
def test_dropout_that_is_no_share_is_refused(kind, value):
    with pytest.raises(UserError, match=rf"^model\.dropout={value} is not a share; choose .* less than 1\.$"):
        build(kind, dropout=value)


def test_a_model_that_lacks_a_step_cannot_be_built():
    class HalfAModel(Model):
        reads = "tokens"

        def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
            return inputs

    with pytest.raises(TypeError, match="abstract"):
        HalfAModel()  # type: ignore[abstract]


def test_sizes_stay_as_they_are_derived():
    with pytest.raises(AttributeError):
        SIZES.n_classes = 6  # type: ignore[misc]
    assert Sizes(1, 2, 3, 4, 5, 6).n_classes == 6


# ---- on a GPU ----


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_model
@torch.no_grad()
def test_logits_on_the_gpu_equal_those_on_the_cpu(kind):
    model = build_awake(kind)
    inputs = random_inputs(model.reads)
    expected = model(inputs, LENGTHS)
    logits = model.cuda()(inputs.cuda(), LENGTHS.cuda())
    torch.testing.assert_close(logits.cpu(), expected, rtol=1e-2, atol=1e-2)  # convolutions in TF32


@every_model
@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_every_model_trains_in_every_true_precision(kind, precision):
    """Lightning's 64-true, bf16-true and 16-true convert weights and inputs, and change torch's default."""
    model = build_awake(kind)
    inputs = random_inputs(model.reads)
    expected = model(inputs, LENGTHS)
    model.to(precision)
    torch.set_default_dtype(precision)
    try:
        logits = model(inputs.to(precision) if inputs.is_floating_point() else inputs, LENGTHS)
        logits.float().sum().backward()
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(
        logits.float(), expected, rtol=0.1, atol=0.1 * float(expected.detach().abs().max())
    )
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
