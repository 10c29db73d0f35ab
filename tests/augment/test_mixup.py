"""Two clips in one: everything that mixup returns lies between what it was given."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from audiotok.augment.mixup import Mixup
from audiotok.errors import UserError


def batch(*shape: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Draw vectors of a shape (B, T, ...), lengths and labels."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(shape, generator=generator)
    lengths = torch.randint(1, shape[1] + 1, shape[:1], generator=generator)
    return vectors, lengths, (torch.rand(shape[0], 3, generator=generator) < 0.5).float()


def apply(
    drawn: tuple[Tensor, Tensor, Tensor], seed: int = 0, share: float = 1.0, alpha: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    return Mixup(share, alpha)(*drawn)


batches = st.one_of(
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4)),
).flatmap(lambda shape: st.builds(lambda seed: batch(*shape, seed=seed), st.integers(0, 10**6)))
seeds = st.integers(0, 10**6)


@given(drawn=batches, seed=seeds, alpha=st.sampled_from([1e-3, 0.5, 1.0, 10.0]))
def test_a_mixture_is_the_same_weighted_mean_of_two_clips_in_vectors_and_targets(drawn, seed, alpha):
    vectors, lengths, targets = drawn
    mixed_vectors, mixed_lengths, mixed_targets = apply(drawn, seed, alpha=alpha)
    for i in range(len(vectors)):
        is_explained = False
        for j in range(len(vectors)):
            step, mixed_step = (vectors[i] - vectors[j]).flatten(), (mixed_vectors[i] - vectors[j]).flatten()
            weight = (step @ mixed_step / (step @ step).clamp(min=1e-12)) if i != j else torch.tensor(1.0)
            is_explained |= bool(
                -1e-4 <= weight <= 1 + 1e-4
                and torch.allclose(mixed_step, weight * step, atol=1e-4)
                and torch.allclose(
                    mixed_targets[i], weight * targets[i] + (1 - weight) * targets[j], atol=1e-3
                )
                and mixed_lengths[i] == max(lengths[i], lengths[j])
            )
        assert is_explained


@given(drawn=batches, seed=seeds)
def test_targets_stay_between_zero_and_one_and_shapes_and_types_stay(drawn, seed):
    copies = [part.clone() for part in drawn]
    mixed = apply(drawn, seed)
    for before, after, copy in zip(drawn, mixed, copies, strict=True):
        assert after.shape == before.shape
        assert after.dtype == before.dtype
        assert torch.equal(before, copy)  # not in place
    assert mixed[2].min() >= 0
    assert mixed[2].max() <= 1


def test_lengths_are_those_of_the_longer_of_two_clips():
    _, lengths, _ = drawn = batch(64, 9, 2)
    torch.manual_seed(0)
    torch.rand(())  # whether this batch is mixed
    others = torch.randperm(64)
    assert torch.equal(apply(drawn)[1], lengths.maximum(lengths[others]))


@given(drawn=batches, seed=seeds)
def test_a_share_of_zero_changes_nothing(drawn, seed):
    assert all(after is before for before, after in zip(drawn, apply(drawn, seed, share=0.0), strict=True))


def test_a_share_of_the_batches_is_mixed():
    drawn = batch(4, 3, 2)
    torch.manual_seed(0)
    mixup = Mixup(0.3, 1.0)
    n_mixed = sum(mixup(*drawn)[0] is not drawn[0] for _ in range(2000))
    assert n_mixed == pytest.approx(600, abs=80)


def test_a_share_of_one_mixes_every_batch():
    drawn = batch(4, 3, 2)
    assert all(apply(drawn, seed)[0] is not drawn[0] for seed in range(200))


@pytest.mark.parametrize(("alpha", "deviation"), [(0.5, 8**-0.5), (1.0, 12**-0.5), (10.0, 84**-0.5)])
def test_weights_are_of_the_beta_distribution(alpha, deviation):
    """Var Beta(a, a) = 1 / (4 (2 a + 1)); the weight is what is left of a clip's own, one-hot target."""
    n_clips = 4000
    drawn = (torch.zeros(n_clips, 1), torch.ones(n_clips, dtype=torch.int64), torch.eye(n_clips))
    weights = apply(drawn, alpha=alpha)[2].diagonal()
    assert weights.mean().item() == pytest.approx(0.5, abs=0.03)
    assert weights.std().item() == pytest.approx(deviation, rel=0.05)


def test_the_same_seed_gives_the_same_and_another_gives_another():
    first, again, other = (apply(batch(4, 3, 2), seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_batch_of_one_clip_stays_as_it_is():
    drawn = batch(1, 3, 2)
    for before, after in zip(drawn, apply(drawn), strict=True):
        torch.testing.assert_close(after, before)


def test_vectors_in_half_precision_stay_so_and_targets_do_not_lose_theirs():
    vectors, lengths, targets = batch(4, 3, 2)
    mixed = apply((vectors.bfloat16(), lengths, targets))
    assert mixed[0].dtype == torch.bfloat16
    assert mixed[2].dtype == torch.float32


def test_gradients_reach_both_clips():
    vectors, lengths, targets = batch(8, 3, 2)
    vectors.requires_grad_()
    torch.manual_seed(0)
    mixed = Mixup(1.0, 1.0)(vectors, lengths, targets)[0]
    mixed[0].sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad.abs().sum((1, 2)) > 0).sum() == 2


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_share_of_batches_that_is_no_share_is_refused(value):
    with pytest.raises(UserError, match=rf"^augment\.mixup\.share={value} .*share; choose"):
        Mixup(value, 0.5)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_beta_distribution_that_is_none_is_refused(value):
    with pytest.raises(UserError, match=rf"^augment\.mixup\.alpha={value} .*; choose more than 0"):
        Mixup(0.5, value)
