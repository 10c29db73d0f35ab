"""What happens to mel frames in training: in linear power, within the clip, and not at all at 0."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from audiotok.augment.sound import Sound
from audiotok.errors import UserError

FLOOR_DB = -100.0
OFF: dict[str, Any] = {
    "mix": 0.0,
    "mix_db": 0.0,
    "rotate": False,
    "gain_db": 0.0,
    "equalizer_db": 0.0,
    "mask_time": 0.0,
    "mask_bins": 0,
}
STEPS: dict[str, dict[str, Any]] = {
    "mix": {"mix": 0.7, "mix_db": 10.0},
    "rotate": {"rotate": True},
    "gain": {"gain_db": 6.0},
    "equalizer": {"equalizer_db": 3.0},
    "mask_time": {"mask_time": 0.4},
    "mask_bins": {"mask_bins": 3},
}
ALL: dict[str, Any] = {key: value for step in STEPS.values() for key, value in step.items()}
every_step = pytest.mark.parametrize("step", STEPS)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def batch(
    n_clips: int = 4, n_frames: int = 12, n_mels: int = 8, seed: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw mel frames in dB of all different values, lengths, and labels."""
    generator = seeded(seed)
    mel = -60 + 20 * torch.rand(n_clips, n_frames, n_mels, generator=generator)
    n_mel = torch.randint(1, n_frames + 1, (n_clips,), generator=generator)
    targets = (torch.rand(n_clips, 3, generator=generator) < 0.5).float()
    return mel, n_mel, targets


def apply(
    mel: Tensor, n_mel: Tensor, targets: Tensor, seed: int = 0, **changes: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return Sound(**{**OFF, **changes})(mel, n_mel, targets, FLOOR_DB, seeded(seed))


batches = st.builds(
    batch,
    n_clips=st.integers(1, 5),
    n_frames=st.integers(1, 15),
    n_mels=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
seeds = st.integers(0, 10**6)

# ---- all steps ----


@given(drawn=batches, seed=seeds)
def test_a_recipe_of_zeros_changes_nothing(drawn, seed):
    for before, after in zip(drawn, apply(*drawn, seed, mix_db=10.0), strict=True):
        assert torch.equal(after, before)


def test_a_step_at_zero_draws_nothing():
    generator = seeded()
    before = generator.get_state()
    Sound(**OFF)(*batch(), FLOOR_DB, generator)
    assert torch.equal(generator.get_state(), before)


@every_step
def test_every_step_changes_something(step):
    mel, n_mel, targets = batch(8)
    assert not torch.equal(apply(mel, n_mel, targets, **STEPS[step])[0], mel)


@pytest.mark.parametrize("changes", [*STEPS.values(), ALL], ids=[*STEPS, "all"])
@given(drawn=batches, seed=seeds)
def test_nothing_is_changed_in_place(changes, drawn, seed):
    copies = [part.clone() for part in drawn]
    apply(*drawn, seed, **changes)
    assert all(torch.equal(part, copy) for part, copy in zip(drawn, copies, strict=True))


@pytest.mark.parametrize("changes", [*STEPS.values(), ALL], ids=[*STEPS, "all"])
@given(drawn=batches, seed=seeds)
def test_shapes_and_types_stay_and_no_power_is_below_the_floor(changes, drawn, seed):
    mel, n_mel, targets = drawn
    quiet = (mel - 45, n_mel, targets)  # about half of it below the floor
    for before, after in zip(quiet, apply(*quiet, seed, **changes), strict=True):
        assert after.shape == before.shape
        assert after.dtype == before.dtype
        assert after.isfinite().all()
    changed, n_changed, united = apply(*quiet, seed, **changes)
    assert changed.min() >= FLOOR_DB
    assert (n_changed >= n_mel).all()
    assert (n_changed <= mel.shape[1]).all()
    assert set(united.flatten().tolist()) <= {0.0, 1.0}


def test_power_below_the_floor_is_the_floor():
    mel = torch.tensor([[[-120.0, -100.0, -80.0]]])
    changed, *_ = apply(mel, torch.tensor([1]), torch.zeros(1, 2))
    assert changed.tolist() == [[[-100.0, -100.0, -80.0]]]


@pytest.mark.parametrize("changes", [*STEPS.values(), ALL], ids=[*STEPS, "all"])
def test_the_same_generator_gives_the_same_and_another_gives_another(changes):
    drawn = batch(8)
    first, again, other = (apply(*drawn, seed, **changes)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("changes", [*STEPS.values(), ALL], ids=[*STEPS, "all"])
def test_torchs_global_generator_is_left_alone(changes):
    state = torch.get_rng_state()
    apply(*batch(), **changes)
    assert torch.equal(torch.get_rng_state(), state)


# ---- mix ----


def mix_by_hand(
    mel: Tensor, n_mel: Tensor, targets: Tensor, share: float, mix_db: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Add up powers, frame by frame and bin by bin, with the draws that `mix` makes."""
    generator = seeded(seed)
    n_clips, n_frames, n_mels = mel.shape
    mixed = torch.rand(n_clips, generator=generator) < share
    others = torch.randperm(n_clips, generator=generator).tolist()
    gains = ((2 * torch.rand(n_clips, generator=generator) - 1) * mix_db).tolist()
    sum_db, lengths, labels = mel.clone(), n_mel.clone(), targets.clone()
    for i in mixed.nonzero().flatten().tolist():
        j = others[i]
        for t in range(n_frames):
            for m in range(n_mels):
                power = 0.0
                if t < n_mel[i]:
                    power += 10 ** (mel[i, t, m].item() / 10)
                if t < n_mel[j]:
                    power += 10 ** ((mel[j, t, m].item() + gains[i]) / 10)
                sum_db[i, t, m] = max(FLOOR_DB, 10 * math.log10(power)) if power else FLOOR_DB
        lengths[i] = max(n_mel[i], n_mel[j])
        labels[i] = torch.maximum(targets[i], targets[j])
    return sum_db, lengths, labels


@given(drawn=batches, share=st.sampled_from([0.3, 0.7, 1.0]), mix_db=st.sampled_from([0.0, 10.0]), seed=seeds)
def test_mixing_adds_powers_and_unites_labels(drawn, share, mix_db, seed):
    changed = apply(*drawn, seed, mix=share, mix_db=mix_db)
    expected = mix_by_hand(*drawn, share, mix_db, seed)
    torch.testing.assert_close(changed[0], expected[0], rtol=0, atol=1e-3)
    assert torch.equal(changed[1], expected[1])
    assert torch.equal(changed[2], expected[2])


def test_two_sounds_of_the_same_power_are_three_decibels_louder():
    mel = torch.full((2, 3, 4), -50.0)
    changed, *_ = apply(mel, torch.tensor([3, 3]), torch.zeros(2, 1), mix=1.0)
    torch.testing.assert_close(changed, torch.full((2, 3, 4), -50 + 10 * math.log10(2)))


def swapped_pair(n_mel: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return two clips that a seed mixes with each other."""
    seed = next(
        s
        for s in range(100)
        if (g := seeded(s), torch.rand(2, generator=g), torch.randperm(2, generator=g).tolist())[2] == [1, 0]
    )
    mel, _, _ = batch(2)
    return mel, torch.tensor(n_mel), torch.eye(2, 3), seed


def test_padding_of_the_other_clip_adds_nothing():
    mel, n_mel, targets, seed = swapped_pair((12, 5))
    changed, lengths, _ = apply(mel, n_mel, targets, seed, mix=1.0)
    assert torch.allclose(changed[0, 5:], mel[0, 5:], atol=1e-4)
    assert (changed[0, :5] > mel[0, :5]).all()
    assert lengths.tolist() == [12, 12]


def test_padding_of_the_clip_itself_adds_nothing_to_a_longer_one():
    mel, n_mel, targets, seed = swapped_pair((12, 5))
    changed, *_ = apply(mel, n_mel, targets, seed, mix=1.0)
    assert torch.allclose(changed[1, 5:], mel[0, 5:], atol=1e-4)


def test_what_is_behind_both_clips_is_silent():
    mel, n_mel, targets, seed = swapped_pair((4, 5))
    changed, *_ = apply(mel, n_mel, targets, seed, mix=1.0)
    assert (changed[:, 5:] == FLOOR_DB).all()


def test_labels_of_a_mixture_are_those_of_both_clips():
    mel, n_mel, targets, seed = swapped_pair((12, 5))
    _, _, united = apply(mel, n_mel, targets, seed, mix=1.0)
    assert united.tolist() == [[1, 1, 0], [1, 1, 0]]


def test_a_share_of_the_clips_is_mixed():
    mel = torch.full((4000, 1, 1), -50.0)
    changed, *_ = apply(mel, torch.ones(4000, dtype=torch.int64), torch.zeros(4000, 1), mix=0.3)
    assert (changed > -49).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_the_added_clip_is_at_most_so_much_louder_or_softer():
    mel = torch.full((4000, 1, 1), -50.0)
    changed, *_ = apply(mel, torch.ones(4000, dtype=torch.int64), torch.zeros(4000, 1), mix=1.0, mix_db=10.0)
    added_db = 10 * (10 ** (changed.double() / 10) - 1e-5).log10() + 50
    assert added_db.abs().max() <= 10 + 1e-2
    assert added_db.min() < -9.9
    assert added_db.max() > 9.9
    assert added_db.mean().abs() < 0.5


# ---- rotate ----


@given(drawn=batches, seed=seeds)
def test_rotating_permutes_the_frames_of_a_clip_in_a_circle_and_leaves_padding(drawn, seed):
    mel, n_mel, targets = drawn
    changed, lengths, labels = apply(*drawn, seed, rotate=True)
    for before, after, n in zip(mel, changed, n_mel.tolist(), strict=True):
        assert torch.equal(after[n:], before[n:])
        assert any(torch.equal(after[:n], before[:n].roll(-first, 0)) for first in range(n))
    assert torch.equal(lengths, n_mel)
    assert torch.equal(labels, targets)


def test_a_clip_begins_anywhere():
    mel = torch.arange(-50.0, -45.0)[None, :, None].expand(2000, -1, -1)
    changed, *_ = apply(mel, torch.full((2000,), 5), torch.zeros(2000, 1), rotate=True)
    counts = changed[:, 0, 0].unique(return_counts=True)[1]
    assert len(counts) == 5
    assert counts.min() > 300  # of 400


# ---- gain and equaliser ----


def test_a_gain_is_the_same_for_a_whole_clip_and_within_its_limits():
    mel = torch.full((4000, 3, 2), -50.0)
    n_mel = torch.full((4000,), 3)
    changed, *_ = apply(mel, n_mel, torch.zeros(4000, 1), gain_db=6.0)
    gains = changed + 50
    assert torch.equal(gains, gains[:, :1, :1].expand_as(gains))
    assert gains.abs().max() <= 6
    assert gains.mean().abs() < 0.3
    assert gains[:, 0, 0].std().item() == pytest.approx(6 / math.sqrt(3), rel=0.05)  # of a uniform draw


def test_an_equalizer_is_the_same_in_every_frame_and_has_its_deviation_in_every_bin():
    mel = torch.zeros(8000, 2, 16)
    n_mel = torch.full((8000,), 2)
    changed, *_ = apply(mel, n_mel, torch.zeros(8000, 1), equalizer_db=3.0)
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert changed[:, 0].mean(0).abs().max() < 0.2
    assert ((changed[:, 0].std(0) - 3).abs() < 0.15).all()


def test_an_equalizer_is_smooth_over_the_bins():
    changed, *_ = apply(
        torch.zeros(500, 1, 64), torch.ones(500, dtype=torch.int64), torch.zeros(500, 1), equalizer_db=3.0
    )
    steps = changed.diff(dim=2)
    assert steps.std() < 0.15 * changed.std()


# ---- masks ----


@given(drawn=batches, share=st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.0]), seed=seeds)
def test_time_masks_are_whole_frames_of_at_most_two_stretches_within_the_clip(drawn, share, seed):
    mel, n_mel, targets = drawn
    changed, lengths, labels = apply(*drawn, seed, mask_time=share)
    for before, after, n in zip(mel, changed, n_mel.tolist(), strict=True):
        is_masked = (before != after).any(1)
        assert torch.equal(is_masked, (before != after).all(1)) or before.shape[0] * before.shape[1] == 1
        assert not is_masked[n:].any()
        assert is_masked.sum() <= 2 * math.floor(share * n + 1e-6)
        n_stretches = int(is_masked[0]) + int((is_masked[1:] & ~is_masked[:-1]).sum())
        assert n_stretches <= 2
        torch.testing.assert_close(after[is_masked], before[:n].mean().expand_as(after[is_masked]))
    assert torch.equal(lengths, n_mel)
    assert torch.equal(labels, targets)


@given(drawn=batches, widest=st.integers(1, 20), seed=seeds)
def test_bin_masks_are_whole_bins_of_at_most_two_stretches_and_leave_padding(drawn, widest, seed):
    mel, n_mel, _ = drawn
    changed, *_ = apply(*drawn, seed, mask_bins=widest)
    for before, after, n in zip(mel, changed, n_mel.tolist(), strict=True):
        is_masked = (before[:n] != after[:n]).any(0)
        assert torch.equal(after[n:], before[n:])
        assert is_masked.sum() <= 2 * min(widest, mel.shape[2])
        n_stretches = int(is_masked[0]) + int((is_masked[1:] & ~is_masked[:-1]).sum())
        assert n_stretches <= 2
        masked = after[:n][:, is_masked]
        torch.testing.assert_close(masked, before[:n].mean().expand_as(masked))


def test_masks_are_as_wide_as_they_may_be_and_as_narrow_as_none():
    """One clip many times: 12 frames, of which each of two masks covers 0 to 3."""
    mel = batch(1)[0].expand(3000, -1, -1)
    changed, *_ = apply(mel, torch.full((3000,), 12), torch.zeros(3000, 1), mask_time=0.3)
    n_masked = (changed != mel).any(2).sum(1)
    assert sorted(n_masked.unique().tolist()) == [0, 1, 2, 3, 4, 5, 6]
    is_masked = (changed != mel).any(2).float().mean(0)
    assert is_masked.min() > 0.05  # the first and the last frame too


def test_the_level_of_a_mask_does_not_know_how_long_the_padding_is():
    mel, _, targets = batch(1)
    short = (mel[:, :5], torch.tensor([5]), targets)
    padded = (torch.cat([mel[:, :5], torch.full((1, 7, 8), FLOOR_DB)], 1), torch.tensor([5]), targets)
    for changes in ({"mask_time": 0.9}, {"mask_bins": 5}):
        alone, together = apply(*short, 3, **changes)[0], apply(*padded, 3, **changes)[0]
        assert not torch.equal(alone, short[0])
        torch.testing.assert_close(together[:, :5], alone)
        assert (together[:, 5:] == FLOOR_DB).all()


# ---- refusals ----


@pytest.mark.parametrize("value", [-0.1, 1.1])
@pytest.mark.parametrize("key", ["mix", "mask_time"])
def test_what_is_no_share_is_refused(key, value):
    with pytest.raises(UserError, match=rf"^augment\.sound\.{key}={value} .*share; choose"):
        Sound(**{**OFF, key: value})


@pytest.mark.parametrize("key", ["mix_db", "gain_db", "equalizer_db", "mask_bins"])
def test_what_is_negative_is_refused(key):
    with pytest.raises(UserError, match=rf"^augment\.sound\.{key}=-1 is negative; choose 0 or more\.$"):
        Sound(**{**OFF, key: -1})


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_ends_of_a_share_are_shares(value):
    assert Sound(**{**OFF, "mix": value, "mask_time": value}).mix == value


# ---- on a GPU ----


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_generator_gives_the_same_on_the_gpu():
    mel, n_mel, targets = batch(8)
    expected = apply(mel, n_mel, targets, **ALL)
    on_gpu = Sound(**ALL)(mel.cuda(), n_mel.cuda(), targets.cuda(), FLOOR_DB, seeded())
    for got, wanted in zip(on_gpu, expected, strict=True):
        torch.testing.assert_close(got.cpu(), wanted, rtol=0, atol=1e-3)
