import logging

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as OracleKMeans
from sklearn.datasets import make_blobs

from audiotok.clustering.codebooks import nearest
from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.lloyd import lloyd
from audiotok.errors import UserError


def kmeans(**changes) -> KMeans:
    return KMeans(
        **(
            {
                "n_clusters": 5,
                "n_iter": 10,
                "seed": 0,
            }
            | changes
        )
    )


def blobs(n: int = 3000, n_centers: int = 5, dimensions: int = 4, seed: int = 0) -> np.ndarray:
    return make_blobs(n, dimensions, centers=n_centers, random_state=seed)[0].astype(np.float32)


def brute_force(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return all squared distances (N, K), in double precision."""
    return ((points[:, None].astype(np.float64) - centroids[None].astype(np.float64)) ** 2).sum(-1)


def objective(points: np.ndarray, centroids: np.ndarray) -> float:
    return float(brute_force(points, centroids).min(1).sum())


# ---- the nearest centroid ----


@settings(max_examples=50)
@given(
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 12),
    st.integers(0, 2**31),
    st.sampled_from([0.0, -60.0]),
)
def test_nearest_is_the_smallest_of_the_brute_force_distances(n, dimensions, n_clusters, seed, offset):
    rng = np.random.default_rng(seed)
    points = (10 * rng.standard_normal((n, dimensions)) + offset).astype(np.float32)
    centroids = (10 * rng.standard_normal((n_clusters, dimensions)) + offset).astype(np.float32)
    distances = brute_force(points, centroids)
    chosen = nearest(torch.from_numpy(points), torch.from_numpy(centroids)).numpy()
    assert chosen.dtype == np.int64
    np.testing.assert_allclose(distances[np.arange(n), chosen], distances.min(1), atol=0.05)


def test_encode_is_the_index_of_the_nearest_centroid():
    points = blobs()
    codebook = kmeans()
    codebook.fit(points)
    tokens = codebook.encode(torch.from_numpy(points))
    assert tokens.shape == (3000, 1)
    assert tokens.dtype == torch.int64
    expected = brute_force(points, codebook.centroids[0].numpy()).argmin(1)
    np.testing.assert_array_equal(tokens[:, 0].numpy(), expected)


def test_any_leading_dimensions_are_kept():
    points = torch.from_numpy(blobs(60))
    codebook = kmeans()
    codebook.fit(points.numpy())
    tokens = codebook.encode(points.view(3, 20, 4))
    assert tokens.shape == (3, 20, 1)
    assert torch.equal(tokens.view(60, 1), codebook.encode(points))
    assert codebook.decode(tokens).shape == (3, 20, 4)


def test_centroid_decodes_to_itself():
    codebook = kmeans()
    codebook.fit(blobs())
    tokens = codebook.encode(codebook.centroids[0])
    assert tokens[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(codebook.decode(tokens), codebook.centroids[0])


# ---- fitting ----


@pytest.mark.parametrize("seed", range(3))
def test_centroids_are_scikit_learns_from_the_same_start(seed):
    points = blobs(2000, 30, seed=seed)
    start = lloyd(points, 8, 0, seed)
    assert all((points == centroid).all(1).any() for centroid in start)
    oracle = OracleKMeans(8, init=start, n_init=1, max_iter=12, tol=0, algorithm="lloyd").fit(points)
    np.testing.assert_allclose(lloyd(points, 8, 12, seed), oracle.cluster_centers_, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_objective_is_within_3_percent_of_scikit_learns(seed):
    points = blobs(2000, 30, seed=seed)
    found = min(objective(points, lloyd(points, 5, 50, s)) for s in range(3))
    assert found <= 1.03 * OracleKMeans(5, n_init=3, random_state=0).fit(points).inertia_


def test_centroids_are_the_means_of_their_points():
    points = blobs()
    centroids = lloyd(points, 5, 50, 0)
    tokens = brute_force(points, centroids).argmin(1)
    means = np.stack([points[tokens == k].mean(0) for k in range(5)])
    np.testing.assert_allclose(centroids, means, atol=1e-3)


def test_more_iterations_do_not_fit_worse():
    points = blobs(2000, 30)
    objectives = [objective(points, lloyd(points, 8, n_iter, 0)) for n_iter in (1, 5, 25)]
    assert objectives[0] > objectives[1] >= objectives[2] * 0.999


def test_all_points_are_used():
    """Left to itself, FAISS takes 256 points a centroid: it would miss most of these."""
    points = np.random.default_rng(0).standard_normal((5000, 2)).astype(np.float32)
    [centroid] = lloyd(points, 1, 2, 0)
    np.testing.assert_allclose(centroid, points.mean(0, dtype=np.float64), atol=1e-5)


@pytest.mark.parametrize("n", [2 * 256 + 1, 1999, 2003])
def test_all_points_are_used_where_clusters_do_not_divide_them(n):
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(-50, 1, n // 2), rng.normal(50, 1, n - n // 2)])
    points = rng.permutation(points)[:, None].astype(np.float32)
    found = np.sort(lloyd(points, 2, 5, 0)[:, 0])
    expected = [points[points < 0].mean(dtype=np.float64), points[points > 0].mean(dtype=np.float64)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_same_seed_gives_the_same_centroids():
    points = blobs(2000, 30)
    np.testing.assert_array_equal(lloyd(points, 8, 10, 3), lloyd(points, 8, 10, 3))


def test_seeds_start_from_different_points():
    points = blobs(2000, 30)
    assert not np.array_equal(lloyd(points, 8, 10, 3), lloyd(points, 8, 10, 4))


def test_frames_are_not_changed_by_fitting():
    points = blobs()
    before = points.copy()
    kmeans().fit(points)
    np.testing.assert_array_equal(points, before)


def test_as_many_frames_as_clusters_are_their_own_centroids():
    points = blobs(5)
    codebook = kmeans()
    codebook.fit(points)
    assert objective(points, codebook.centroids[0].numpy()) == pytest.approx(0, abs=1e-6)


def test_frames_that_are_all_alike_can_be_fitted():
    codebook = kmeans()
    codebook.fit(np.full((500, 4), -60.0, dtype=np.float32))
    assert codebook.centroids.shape == (1, 5, 4)
    np.testing.assert_allclose(codebook.centroids.numpy(), -60.0, rtol=1e-2)


def test_few_frames_a_centroid_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        kmeans().fit(blobs(39 * 5))
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        kmeans().fit(blobs(39 * 5 - 1))
    [message] = caplog.messages
    assert "194 frames" in message
    assert "clustering.n_clusters=5" in message


@pytest.mark.skipif(faiss.get_num_gpus() == 0, reason="needs a GPU that FAISS sees")
@pytest.mark.gpu
def test_gpu_fits_as_well_as_the_oracle():
    points = blobs(20_000)
    oracle = OracleKMeans(5, n_init=3, random_state=0).fit(points)
    assert min(objective(points, lloyd(points, 5, 50, s)) for s in range(3)) <= 1.03 * oracle.inertia_


# ---- what is refused ----


def test_fewer_frames_than_clusters_are_refused_in_a_sentence():
    with pytest.raises(UserError) as raised:
        kmeans().fit(blobs(5)[:4])
    message = str(raised.value)
    assert message.startswith("clustering.n_clusters=5 exceeds the 4 frames ")
    assert "\n" not in message


@pytest.mark.parametrize("key", ["n_clusters", "n_iter"])
@pytest.mark.parametrize("value", [0, -1])
def test_count_below_one_is_refused(key, value):
    with pytest.raises(UserError, match=rf"clustering\.{key}={value} "):
        kmeans(**{key: value})


def test_negative_seed_is_refused():
    with pytest.raises(UserError, match=r"clustering\.seed=-1 "):
        kmeans(seed=-1)


# ---- state ----


def test_settings_are_all_that_was_given():
    given_ = {
        "n_clusters": 7,
        "n_iter": 3,
        "seed": 4,
    }
    assert kmeans(**given_).settings == given_ | {"kind": "kmeans", "n_codebooks": 1}


def test_loaded_centroids_encode_as_the_fitted_ones():
    points = torch.from_numpy(blobs())
    codebook, other = kmeans(), kmeans()
    codebook.fit(points.numpy())
    other.load_arrays(codebook.arrays())
    assert torch.equal(other.encode(points), codebook.encode(points))


def test_loading_copies_the_array():
    centroids = np.zeros((1, 5, 4), dtype=np.float32)
    codebook = kmeans()
    codebook.load_arrays({"centroids": centroids})
    centroids += 1
    assert not codebook.centroids.any()
