import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import clips_with

from audiotok.loader.clips import Draw
from audiotok.loader.sampler import EpochSampler, balancing_weights


def draws(n_clips: int = 30, seed: int = 0, epoch: int = 0) -> list[Draw]:
    sampler = EpochSampler(n_clips, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def order(**arguments: int) -> list[int]:
    return [draw.clip for draw in draws(**arguments)]


def test_every_epoch_visits_every_clip_once():
    for epoch in range(5):
        assert sorted(order(epoch=epoch)) == list(range(30))


def test_the_length_is_the_number_of_clips():
    assert len(EpochSampler(30, 0)) == len(draws()) == 30


def test_clips_are_shuffled():
    assert order() != list(range(30))


def test_the_same_seed_and_epoch_give_the_same_draws():
    assert draws(seed=3, epoch=4) == draws(seed=3, epoch=4)


def test_every_epoch_has_an_order_of_its_own():
    assert len({tuple(order(epoch=epoch)) for epoch in range(10)}) == 10


def test_every_seed_has_an_order_of_its_own():
    assert len({tuple(order(seed=seed)) for seed in range(10)}) == 10


def test_epochs_of_one_seed_are_not_those_of_another():
    assert order(seed=1, epoch=2) != order(seed=2, epoch=1)


def test_a_visits_seed_changes_from_clip_to_clip_and_from_epoch_to_epoch():
    seeds = {draw.seed for epoch in range(3) for draw in draws(epoch=epoch)}
    assert len(seeds) == 90


def test_the_order_does_not_depend_on_global_randomness():
    torch.manual_seed(1)
    first = draws()
    torch.manual_seed(2)
    assert draws() == first


def test_iterating_twice_without_a_new_epoch_repeats_the_order():
    sampler = EpochSampler(30, 0)
    assert list(sampler) == list(sampler)


def test_epochs_need_not_come_in_order():
    sampler = EpochSampler(30, 0)
    sampler.set_epoch(2)
    list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) == draws(epoch=1)


# ---- several processes ----


def shares(n_clips: int, n_ranks: int, epoch: int = 0) -> list[list[Draw]]:
    samplers = [EpochSampler(n_clips, 0, rank=rank, n_ranks=n_ranks) for rank in range(n_ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    assert [len(sampler) for sampler in samplers] == [n_clips // n_ranks] * n_ranks
    return [list(sampler) for sampler in samplers]


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 6), st.integers(0, 3))
@settings(max_examples=60)
def test_processes_together_have_the_batches_of_one_with_as_many_times_the_clips(
    n_clips, n_ranks, batch_size, epoch
):
    parts = shares(n_clips, n_ranks, epoch)
    whole = draws(n_clips=n_clips, epoch=epoch)[: n_clips // n_ranks * n_ranks]
    for first in range(0, len(parts[0]), batch_size):
        together = {draw for part in parts for draw in part[first : first + batch_size]}
        assert together == set(whole[first * n_ranks : (first + batch_size) * n_ranks])


def test_all_processes_have_as_many_visits_and_no_visit_is_had_twice():
    parts = shares(31, 4)
    assert [len(part) for part in parts] == [7, 7, 7, 7]
    assert len({draw for part in parts for draw in part}) == 28


def test_what_is_left_out_of_one_epoch_is_in_another():
    left_out = [
        set(range(31)) - {d.clip for part in shares(31, 4, epoch) for d in part} for epoch in range(30)
    ]
    assert len(set.union(*left_out)) > 20


# ---- weights ----


def weighted(weights: np.ndarray, n_epochs: int, seed: int = 0) -> np.ndarray:
    """Return how often each clip is visited in some epochs."""
    sampler = EpochSampler(len(weights), seed, weights)
    visits = np.zeros(len(weights))
    for epoch in range(n_epochs):
        sampler.set_epoch(epoch)
        visits += np.bincount([draw.clip for draw in sampler], minlength=len(weights))
    return visits


def test_clips_are_visited_as_often_as_their_weights_say():
    weights = np.array([1.0, 2.0, 4.0, 8.0, 0.0])
    visits = weighted(weights, n_epochs=2000)
    assert visits.sum() == 10_000
    np.testing.assert_allclose(visits / 10_000, weights / 15, atol=0.015)
    assert visits[4] == 0


def test_a_weighted_epoch_has_as_many_visits_as_there_are_clips():
    sampler = EpochSampler(30, 0, np.linspace(1, 5, 30))
    assert len(sampler) == len(list(sampler)) == 30


def test_only_the_ratios_of_weights_matter():
    weights = np.linspace(1, 5, 30)
    assert list(EpochSampler(30, 3, weights)) == list(EpochSampler(30, 3, 1024 * weights))


def test_weighted_draws_follow_from_seed_and_epoch_alone():
    def weighted_draws(seed: int, epoch: int) -> list[Draw]:
        sampler = EpochSampler(30, seed, np.linspace(1, 5, 30))
        sampler.set_epoch(epoch)
        return list(sampler)

    torch.manual_seed(1)
    np.random.seed(1)
    first = weighted_draws(3, 4)
    torch.manual_seed(2)
    np.random.seed(2)
    assert weighted_draws(3, 4) == first
    assert len({tuple(weighted_draws(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


def test_every_visit_to_a_clip_has_a_seed_of_its_own():
    visits = list(EpochSampler(30, 0, np.array([1.0] + 29 * [0.0])))
    assert {draw.clip for draw in visits} == {0}
    assert len({draw.seed for draw in visits}) == 30


# ---- balancing ----


@given(
    st.integers(1, 5).flatmap(
        lambda n_classes: st.lists(
            st.lists(st.booleans(), min_size=n_classes, max_size=n_classes), min_size=1, max_size=8
        )
    )
)
@settings(max_examples=80)
def test_a_clip_weighs_the_sum_over_its_labels_of_one_by_the_clips_with_them(rows):
    found = balancing_weights(clips_with(np.array(rows)))
    expected = [
        sum(1 / sum(other[c] for other in rows) for c, is_heard in enumerate(row) if is_heard) for row in rows
    ]
    least = min((weight for weight in expected if weight), default=1.0)
    np.testing.assert_allclose(found, [weight or least for weight in expected])


def test_a_clip_without_labels_weighs_as_little_as_the_least_of_the_others():
    targets = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]], bool)
    assert balancing_weights(clips_with(targets)).tolist() == [2, 0.5, 0.5, 0.5]
    assert balancing_weights(clips_with(np.array([[1, 1], [0, 0]], bool))).tolist() == [2, 2]
    assert balancing_weights(clips_with(np.zeros((3, 2), bool))).tolist() == [1, 1, 1]


@pytest.mark.parametrize("n_rare", [1, 5, 20])
def test_balancing_makes_single_labels_equally_frequent(n_rare):
    is_rare = np.arange(100) < n_rare
    visits = weighted(balancing_weights(clips_with(np.stack([is_rare, ~is_rare], 1))), n_epochs=100)
    assert visits[is_rare].sum() / visits.sum() == pytest.approx(0.5, abs=0.02)
    assert visits[is_rare].min() > visits[~is_rare].max()


def test_balancing_visits_rare_classes_of_many_labels_more():
    rng = np.random.default_rng(0)
    targets = rng.random((200, 4)) < np.array([0.02, 0.1, 0.4, 0.9])
    targets[0, 0] = True
    shares = targets.mean(0)
    visits = weighted(balancing_weights(clips_with(targets)), n_epochs=50)
    balanced = visits @ targets / visits.sum()
    assert balanced[0] > 3 * shares[0]
    assert balanced.min() / balanced.max() > 3 * shares.min() / shares.max()


# ---- going on inside an epoch ----


@pytest.mark.parametrize("n_ranks", [1, 3])
def test_an_epoch_that_starts_at_a_visit_has_those_that_are_left(n_ranks):
    for rank, whole in enumerate(shares(31, n_ranks)):
        sampler = EpochSampler(31, 0, rank=rank, n_ranks=n_ranks)
        sampler.start_at(4)
        assert list(sampler) == whole[4:]
        assert len(sampler) == len(whole)  # of the epoch, which the rest of training is counted by
        sampler.start_at(0)
        assert list(sampler) == whole
