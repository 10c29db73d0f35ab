import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler, normalize

from audiotok.clustering.random import Random, additive_table
from audiotok.errors import UserError

DEFAULTS = {
    "n_clusters": 8,
    "n_codebooks": 3,
    "code_dimensions": 5,
    "seed": 0,
}


def random(**changes) -> Random:
    return Random(**(DEFAULTS | changes))


def frames(n: int = 1000, dimensions: int = 8, seed: int = 0) -> np.ndarray:
    """Frames whose dimensions differ in mean and deviation."""
    noise = np.random.default_rng(seed).standard_normal((n, dimensions))
    return (noise * np.arange(1, 1 + dimensions) - 10 * np.arange(dimensions)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Random:
    codebooks = random()
    codebooks.fit(frames())
    return codebooks


# ---- encode, as in the paper ----


def test_tokens_are_the_nearest_normalised_codes_of_the_normalised_projections(fitted):
    points = frames(seed=1)
    standardised = StandardScaler().fit(frames()).transform(points.astype(np.float64))
    tokens = fitted.encode(torch.from_numpy(points)).numpy()
    for q in range(3):
        projected = normalize(standardised @ fitted.projections[q].numpy().astype(np.float64))
        codes = normalize(fitted.codes[q].numpy().astype(np.float64))
        distances = np.linalg.norm(projected[:, None] - codes[None], axis=-1)
        np.testing.assert_allclose(distances[np.arange(1000), tokens[:, q]], distances.min(1), atol=1e-5)


def test_projections_are_xaviers_and_codes_point_all_around():
    codebooks = random(n_clusters=2000, n_codebooks=20, code_dimensions=16)
    codebooks.fit(frames(2000))
    projections, codes = codebooks.projections, codebooks.codes
    assert (projections.shape, codes.shape) == ((20, 8, 16), (20, 2000, 16))
    assert projections.abs().max() <= (6 / (8 + 16)) ** 0.5
    assert projections.var().item() == pytest.approx(2 / (8 + 16), rel=0.05)
    assert projections.mean().item() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(codes.norm(dim=-1), 1, atol=1e-5)
    np.testing.assert_allclose(codes.mean((0, 1)), 0, atol=0.01)


def test_scale_and_level_of_a_dimension_change_no_token(fitted):
    other = random()
    other.fit(4 * frames() + 32)
    points = torch.from_numpy(frames(seed=1))
    assert (other.encode(4 * points + 32) == fitted.encode(points)).float().mean() > 0.999


def test_dimension_that_does_not_vary_changes_no_token():
    """Its deviation is rounding, by which nothing is to be divided."""
    points = frames()
    points[:, 3] = -100 + 1e-5 * frames()[:, 3]
    codebooks = random()
    codebooks.fit(points)
    moved = points.copy()
    moved[:, 3] = 7
    assert torch.equal(codebooks.encode(torch.from_numpy(moved)), codebooks.encode(torch.from_numpy(points)))


# ---- nothing is learnt ----


def test_projections_and_codes_are_those_of_the_seed_whatever_the_frames(fitted):
    other, another = random(), random(seed=1)
    other.fit(frames(seed=5) ** 2)
    another.fit(frames())
    assert torch.equal(other.projections, fitted.projections)
    assert torch.equal(other.codes, fitted.codes)
    assert not torch.equal(another.projections, fitted.projections)
    assert not torch.equal(another.codes, fitted.codes)


def test_frames_of_equal_mean_and_deviation_give_the_same_tokens(fitted):
    """Mirrored at their mean, the frames have other clusters and the same mean and deviation."""
    mirrored = 2 * frames().mean(0, dtype=np.float64) - frames()
    other = random()
    other.fit(mirrored.astype(np.float32))
    points = torch.from_numpy(frames(seed=1))
    assert (other.encode(points) == fitted.encode(points)).float().mean() > 0.999


def test_further_codebooks_leave_the_first_ones_as_they_are(fitted):
    codebooks = random(n_codebooks=5)
    codebooks.fit(frames())
    for name in ("projections", "codes", "centroids"):
        assert torch.equal(getattr(codebooks, name)[:3], getattr(fitted, name))


def test_codebooks_are_different_readings_of_a_frame(fitted):
    tokens = fitted.encode(torch.from_numpy(frames()))
    assert not torch.equal(tokens[:, 0], tokens[:, 1])
    assert not torch.equal(fitted.projections[0], fitted.projections[1])


# ---- decode ----


def test_every_table_is_the_mean_of_what_the_former_ones_leave_over(fitted):
    left = frames().astype(np.float64)
    tokens = fitted.encode(torch.from_numpy(frames())).numpy()
    for q in range(3):
        table = np.stack([left[tokens[:, q] == k].mean(0) for k in range(8)])
        np.testing.assert_allclose(fitted.centroids[q].numpy(), table, atol=1e-3)
        left -= table[tokens[:, q]]


def test_codes_of_no_frame_add_nothing():
    points = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    table = additive_table(points, torch.tensor([[2, 0], [2, 1]]), 4)
    expected = torch.zeros(2, 4, 2)
    expected[0, 2] = torch.tensor([2.0, 3.0])
    expected[1, 0], expected[1, 1] = torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0])
    assert torch.equal(table, expected)


def test_means_of_very_many_frames_are_exact():
    """A running sum in float32 would be off by more than a percent."""
    points = torch.full((3_000_000, 1), 0.1)
    [[[mean]]] = additive_table(points, torch.zeros(3_000_000, 1, dtype=torch.int64), 1)
    assert mean.item() == pytest.approx(0.1, rel=1e-6)


def test_no_further_codebook_makes_the_error_of_the_sample_larger():
    points = torch.from_numpy(frames())
    errors = []
    for n_codebooks in (1, 2, 4, 8, 16):
        codebooks = random(n_codebooks=n_codebooks)
        codebooks.fit(points.numpy())
        errors.append((points - codebooks.decode(codebooks.encode(points))).square().sum().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.6 * errors[0]


def test_a_word_decodes_to_the_sum_of_its_entries(fitted):
    tokens = torch.randint(8, (50, 3), generator=torch.Generator().manual_seed(0))
    for row, word in zip(fitted.decode(tokens), tokens, strict=True):
        torch.testing.assert_close(row, sum(fitted.centroids[q, code] for q, code in enumerate(word)))


@pytest.mark.parametrize("value", [1, 0, -3])
def test_codes_of_less_than_two_dimensions_are_refused(value):
    with pytest.raises(UserError, match=rf"^clustering\.code_dimensions={value} .*; choose 2 or more\.$"):
        random(code_dimensions=value)


def test_projections_beyond_memory_are_refused():
    with pytest.raises(UserError, match=r"^clustering\.code_dimensions=1000000000 .* memory"):
        random(code_dimensions=1_000_000_000).check_dimensions(8)
