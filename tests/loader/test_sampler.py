import torch

from audiotok.loader.clips import Draw
from audiotok.loader.sampler import EpochSampler


def draws(n_clips: int = 30, seed: int = 0, epoch: int = 0) -> list[Draw]:
    sampler = EpochSampler(n_clips, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def order(**arguments: int) -> list[int]:
    return [draw.clip for draw in draws(**arguments)]


def test_every_epoch_visits_every_clip_once() -> None:
    for epoch in range(5):
        assert sorted(order(epoch=epoch)) == list(range(30))


def test_the_length_is_the_number_of_clips() -> None:
    assert len(EpochSampler(30, 0)) == len(draws()) == 30


def test_clips_are_shuffled() -> None:
    assert order() != list(range(30))


def test_the_same_seed_and_epoch_give_the_same_draws() -> None:
    assert draws(seed=3, epoch=4) == draws(seed=3, epoch=4)


def test_every_epoch_has_an_order_of_its_own() -> None:
    assert len({tuple(order(epoch=epoch)) for epoch in range(10)}) == 10


def test_every_seed_has_an_order_of_its_own() -> None:
    assert len({tuple(order(seed=seed)) for seed in range(10)}) == 10


def test_epochs_of_one_seed_are_not_those_of_another() -> None:
    assert order(seed=1, epoch=2) != order(seed=2, epoch=1)


def test_a_visits_seed_changes_from_clip_to_clip_and_from_epoch_to_epoch() -> None:
    seeds = {draw.seed for epoch in range(3) for draw in draws(epoch=epoch)}
    assert len(seeds) == 90


def test_the_order_does_not_depend_on_global_randomness() -> None:
    torch.manual_seed(1)
    first = draws()
    torch.manual_seed(2)
    assert draws() == first


def test_iterating_twice_without_a_new_epoch_repeats_the_order() -> None:
    sampler = EpochSampler(30, 0)
    assert list(sampler) == list(sampler)


def test_epochs_need_not_come_in_order() -> None:
    sampler = EpochSampler(30, 0)
    sampler.set_epoch(2)
    list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) == draws(epoch=1)
