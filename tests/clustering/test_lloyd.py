import numpy as np
import pytest
from sklearn.cluster import KMeans

from audiotok.clustering.lloyd import lloyd, spread_out


def blobs(n_blobs: int, n_each: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 100 * rng.standard_normal((n_blobs, 3))
    return (centres[:, None] + rng.standard_normal((n_blobs, n_each, 3))).reshape(-1, 3).astype(np.float32)


def objective(points: np.ndarray, centroids: np.ndarray) -> float:
    return float(np.square(points[:, None] - centroids).sum(2).min(1).mean())


def test_starting_points_are_different_ones_of_those_given():
    points = blobs(10, 30)
    chosen = spread_out(points, 40, seed=0)
    assert chosen.shape == (40, 3)
    assert len(np.unique(chosen, axis=0)) == 40
    assert {tuple(point) for point in chosen.tolist()} <= {tuple(point) for point in points.tolist()}


@pytest.mark.parametrize("seed", range(5))
def test_every_blob_gets_a_start(seed):
    points = blobs(12, 25, seed)
    chosen = spread_out(points, 12, seed)
    nearest = np.square(points.reshape(12, 25, 3).mean(1)[:, None] - chosen).sum(2).argmin(1)
    assert len(set(nearest.tolist())) == 12


def test_a_seed_gives_one_choice():
    points = blobs(10, 30)
    np.testing.assert_array_equal(spread_out(points, 20, 3), spread_out(points, 20, 3))
    assert not np.array_equal(spread_out(points, 20, 3), spread_out(points, 20, 4))


@pytest.mark.parametrize("n_chosen", [1, 2, 5])
def test_points_that_are_all_the_same_and_no_more_than_are_wanted_can_be_chosen(n_chosen):
    points = np.ones((n_chosen, 3), np.float32)
    np.testing.assert_array_equal(spread_out(points, n_chosen, 0), points)


def test_fifteen_iterations_come_as_near_as_scikit_learn_till_the_end():
    points = np.random.default_rng(0).standard_normal((4000, 4)).astype(np.float32)
    found = objective(points, lloyd(points, 40, n_iter=15, seed=0))
    assert found < 1.02 * KMeans(40, n_init=1, random_state=0).fit(points).inertia_ / len(points)
