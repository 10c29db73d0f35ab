"""Tokens that are hidden or misheard: always words of their codebook, and nothing at 0."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from audiotok.augment.words import MASKED, Words, nearest_neighbors
from audiotok.errors import UserError

OFF: dict[str, Any] = {"mask_time": 0.0, "mask_codebooks": 0.0, "noise": 0.0, "n_neighbors": 4}
STEPS = [{"mask_time": 0.4}, {"mask_codebooks": 0.4}, {"noise": 0.4}]
ALL: dict[str, Any] = {key: value for step in STEPS for key, value in step.items()}
every_step = pytest.mark.parametrize(
    "changes", [*STEPS, ALL], ids=["mask_time", "mask_codebooks", "noise", "all"]
)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def batch(
    n_clips: int = 4, n_positions: int = 10, n_codebooks: int = 3, n_clusters: int = 12, seed: int = 1
) -> tuple[Tensor, Tensor]:
    """Draw tokens (B, T, Q) and centroids (Q, K, 5) in dB."""
    generator = seeded(seed)
    tokens = torch.randint(n_clusters, (n_clips, n_positions, n_codebooks), generator=generator)
    return tokens, 30 * torch.randn(n_codebooks, n_clusters, 5, generator=generator) - 50


def apply(tokens: Tensor, centroids: Tensor, seed: int = 0, **changes: Any) -> Tensor:
    words = Words(**{**OFF, **changes})
    return words(tokens, words.neighbors(centroids), seeded(seed))


def neighbors_by_hand(book: Tensor, code: int, n_neighbors: int) -> set[int]:
    """Sort the other centroids (K, d) of a codebook by their distance."""
    distances = (book.double() - book[code].double()).square().sum(1)
    others = sorted((float(distances[other]), other) for other in range(len(book)) if other != code)
    return {other for _, other in others[:n_neighbors]} or {code}


batches = st.builds(
    batch,
    n_clips=st.integers(1, 4),
    n_positions=st.integers(1, 9),
    n_codebooks=st.integers(1, 4),
    n_clusters=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
seeds = st.integers(0, 10**6)
shares = st.sampled_from([0.0, 0.1, 0.5, 1.0])

# ---- all steps ----


@given(drawn=batches, seed=seeds, n_neighbors=st.integers(1, 12))
def test_a_recipe_of_zeros_changes_nothing(drawn, seed, n_neighbors):
    assert torch.equal(apply(*drawn, seed, n_neighbors=n_neighbors), drawn[0])


def test_a_step_at_zero_draws_nothing():
    generator = seeded()
    before = generator.get_state()
    tokens, centroids = batch()
    words = Words(**OFF)
    assert words.neighbors(centroids) is None
    words(tokens, None, generator)
    assert torch.equal(generator.get_state(), before)


@given(
    drawn=batches,
    seed=seeds,
    mask_time=shares,
    mask_codebooks=shares,
    noise=shares,
    n_neighbors=st.integers(1, 12),
)
def test_tokens_stay_words_of_their_codebook_or_are_masked(drawn, seed, n_neighbors, **changes: float):
    tokens, centroids = drawn
    before = tokens.clone(), centroids.clone()
    changed = apply(tokens, centroids, seed, n_neighbors=n_neighbors, **changes)
    assert changed.shape == tokens.shape
    assert changed.dtype == torch.int64
    assert changed.min() >= MASKED
    assert changed.max() < centroids.shape[1]
    assert torch.equal(tokens, before[0])  # not in place
    assert torch.equal(centroids, before[1])


@every_step
def test_the_same_generator_gives_the_same_and_another_gives_another(changes):
    first, again, other = (apply(*batch(), seed, **changes) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, batch()[0])


@every_step
def test_torchs_global_generator_is_left_alone(changes):
    state = torch.get_rng_state()
    apply(*batch(), **changes)
    assert torch.equal(torch.get_rng_state(), state)


# ---- masks ----


@given(drawn=batches, seed=seeds, share=shares)
def test_a_mask_in_time_hides_all_codebooks_of_a_position_and_nothing_else(drawn, seed, share):
    changed = apply(*drawn, seed, mask_time=share)
    is_masked = changed == MASKED
    assert torch.equal(is_masked.any(2), is_masked.all(2))
    assert torch.equal(changed[~is_masked], drawn[0][~is_masked])


@given(drawn=batches, seed=seeds, share=shares)
def test_a_mask_of_a_codebook_hides_it_throughout_a_clip_and_nothing_else(drawn, seed, share):
    changed = apply(*drawn, seed, mask_codebooks=share)
    is_masked = changed == MASKED
    assert torch.equal(is_masked.any(1), is_masked.all(1))
    assert torch.equal(changed[~is_masked], drawn[0][~is_masked])


@pytest.mark.parametrize("key", ["mask_time", "mask_codebooks"])
def test_a_share_of_the_tokens_is_masked(key):
    tokens, centroids = batch(300, 30, 20)
    for share in (0.1, 0.6):
        changes: dict[str, Any] = {key: share}
        is_masked = apply(tokens, centroids, **changes) == MASKED
        assert is_masked.float().mean().item() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("key", ["mask_time", "mask_codebooks"])
def test_a_share_of_one_masks_all(key):
    changes: dict[str, Any] = {key: 1.0}
    assert (apply(*batch(), **changes) == MASKED).all()


def test_masks_hide_noisy_tokens_too():
    assert (apply(*batch(), mask_time=1.0, noise=1.0) == MASKED).all()


# ---- noise ----


@given(drawn=batches, seed=seeds, share=st.sampled_from([0.3, 1.0]), n_neighbors=st.integers(1, 12))
def test_noise_moves_only_to_the_nearest_others_of_the_codebook(drawn, seed, share, n_neighbors):
    tokens, centroids = drawn
    changed = apply(tokens, centroids, seed, noise=share, n_neighbors=n_neighbors)
    for q, book in enumerate(centroids):
        moves = torch.stack([tokens[..., q].flatten(), changed[..., q].flatten()], 1).unique(dim=0)
        for before, after in moves.tolist():
            may_stay = share < 1 and before == after
            assert may_stay or after in neighbors_by_hand(book, before, n_neighbors)


def test_noise_chooses_all_neighbours_alike():
    _, centroids = batch(n_codebooks=1)
    changed = apply(torch.full((100, 50, 1), 7), centroids, noise=1.0, n_neighbors=4)
    codes, counts = changed.unique(return_counts=True)
    assert set(codes.tolist()) == neighbors_by_hand(centroids[0], 7, 4)
    assert counts.min() > 1100  # of 1250


def test_a_share_of_the_tokens_is_noisy():
    tokens, centroids = batch(200, 30)
    for share in (0.1, 0.6):
        is_moved = apply(tokens, centroids, noise=share) != tokens
        assert is_moved.float().mean().item() == pytest.approx(share, abs=0.02)


def test_a_codebook_of_one_word_has_no_noise():
    tokens, centroids = batch(n_clusters=1)
    assert torch.equal(apply(tokens, centroids, noise=1.0), tokens)


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 12, 60])
@pytest.mark.parametrize("n_neighbors", [1, 4, 100])
def test_neighbours_are_those_that_sorting_finds_nearest_first(n_clusters, n_neighbors):
    _, centroids = batch(n_clusters=n_clusters)
    neighbors = nearest_neighbors(centroids, n_neighbors)
    assert neighbors.shape == (3, n_clusters, min(n_neighbors, max(1, n_clusters - 1)))
    for book, rows in zip(centroids, neighbors.tolist(), strict=True):
        for code, row in enumerate(rows):
            assert set(row) == neighbors_by_hand(book, code, n_neighbors)
            distances = (book[row] - book[code]).norm(dim=1)
            assert (distances.diff() > -1e-3).all()


def test_equal_centroids_are_neighbours_of_each_other_and_not_of_themselves():
    neighbors = nearest_neighbors(torch.ones(1, 5, 3), 4)[0]
    assert all(sorted(row) == sorted({0, 1, 2, 3, 4} - {code}) for code, row in enumerate(neighbors.tolist()))


# ---- refusals ----


@pytest.mark.parametrize("value", [-0.1, 1.1])
@pytest.mark.parametrize("key", ["mask_time", "mask_codebooks", "noise"])
def test_what_is_no_share_is_refused(key, value):
    with pytest.raises(UserError, match=rf"^augment\.words\.{key}={value} .*share; choose"):
        Words(**{**OFF, key: value})


@pytest.mark.parametrize("value", [0, -3])
def test_no_neighbours_are_refused(value):
    sentence = rf"^augment\.words\.n_neighbors={value} is too small; choose 1 or more\.$"
    with pytest.raises(UserError, match=sentence):
        Words(**{**OFF, "n_neighbors": value})


# ---- on a GPU ----


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_generator_gives_the_same_on_the_gpu():
    tokens, centroids = batch()
    on_gpu = Words(**{**OFF, **ALL})(tokens.cuda(), centroids.cuda(), seeded())
    assert torch.equal(on_gpu.cpu(), apply(tokens, centroids, **ALL))
