import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as OracleKMeans
from sklearn.preprocessing import normalize

from audiotok.clustering.spherical import Spherical


def spherical(**changes) -> Spherical:
    defaults = {
        "n_clusters": 6,
        "n_iter": 10,
        "seed": 0,
    }
    return Spherical(**(defaults | changes))


def frames(n: int = 1000, dimensions: int = 8, seed: int = 0) -> np.ndarray:
    """Directions around six, of lengths from 1 to 100."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).standard_normal((6, dimensions))
    directions = normalize(centers[rng.integers(6, size=n)] + 0.4 * rng.standard_normal((n, dimensions)))
    return (directions * 10 ** rng.uniform(0, 2, (n, 1))).astype(np.float32)


def cosines(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    return normalize(points.astype(np.float64)) @ normalize(centroids.astype(np.float64)).T


@pytest.fixture(scope="module")
def fitted() -> Spherical:
    codebook = spherical()
    codebook.fit(frames())
    return codebook


def test_token_is_the_largest_of_the_brute_force_cosines(fitted):
    points = frames(seed=1)
    tokens = fitted.encode(torch.from_numpy(points))[:, 0].numpy()
    found = cosines(points, fitted.centroids[0].numpy())
    np.testing.assert_allclose(found[np.arange(1000), tokens], found.max(1), atol=1e-6)


@settings(max_examples=50)
@given(st.floats(1e-6, 1e6), st.integers(0, 2**31))
def test_a_louder_frame_is_the_same_word(fitted, factor, seed):
    points = torch.from_numpy(frames(100, seed=seed))
    scaled = fitted.encode(factor * points)[:, 0].numpy()
    found = cosines(points.numpy(), fitted.centroids[0].numpy())
    np.testing.assert_allclose(found[np.arange(100), scaled], found.max(1), atol=1e-6)


def test_flat_spectra_of_any_level_are_one_word(fitted):
    levels = -torch.arange(1.0, 100.0)[:, None].expand(-1, 8)  # dB
    assert len(fitted.encode(levels).unique()) == 1


def test_centroids_are_of_length_one(fitted):
    np.testing.assert_allclose(fitted.centroids.norm(dim=-1), 1, atol=1e-5)


def test_centroids_are_the_mean_directions_of_their_frames():
    codebook = spherical(n_iter=50)
    codebook.fit(frames())
    directions = normalize(frames())
    tokens = cosines(frames(), codebook.centroids[0].numpy()).argmax(1)
    means = normalize(np.stack([directions[tokens == k].mean(0) for k in range(6)]))
    np.testing.assert_allclose(codebook.centroids[0].numpy(), means, atol=1e-3)


def test_directions_are_clustered_about_as_scikit_learn_clusters_normalised_frames():
    points = frames(3000)

    def mean_cosine(centroids: np.ndarray) -> float:
        return float(cosines(points, centroids).max(1).mean())

    oracle = OracleKMeans(6, n_init=3, random_state=0).fit(normalize(points))
    found = []
    for seed in range(3):
        codebook = spherical(n_iter=30, seed=seed)
        codebook.fit(points)
        found.append(mean_cosine(codebook.centroids[0].numpy()))
    assert max(found) == pytest.approx(mean_cosine(oracle.cluster_centers_), rel=0.01)


def test_lengths_of_the_sample_do_not_move_centroids():
    one, other = spherical(), spherical()
    one.fit(frames())
    other.fit(normalize(frames()).astype(np.float32))
    np.testing.assert_allclose(one.centroids, other.centroids, atol=1e-4)


def test_a_token_decodes_to_the_length_that_leaves_the_least_error(fitted):
    points = frames()
    tokens = fitted.encode(torch.from_numpy(points))[:, 0].numpy()
    for k, direction in enumerate(fitted.centroids[0].numpy().astype(np.float64)):
        mine = points[tokens == k].astype(np.float64)
        [best], *_ = np.linalg.lstsq(np.tile(direction, len(mine))[:, None], mine.ravel(), rcond=None)
        assert fitted.lengths[k].item() == pytest.approx(best, rel=1e-4)
        np.testing.assert_allclose(
            fitted.decode(torch.tensor([[k]]))[0], best * direction, rtol=1e-3, atol=1e-4
        )


def test_decoded_frames_encode_to_themselves(fitted):
    tokens = torch.arange(6)[:, None]
    assert torch.equal(fitted.encode(fitted.decode(tokens)), tokens)


def test_centroid_that_no_frame_of_the_sample_has_decodes_to_zero():
    codebook = spherical(n_clusters=3)
    codebook.fit(np.tile(np.eye(2, dtype=np.float32), (100, 1)))  # two directions for three centroids
    tokens = codebook.encode(torch.eye(2))[:, 0].tolist()
    [unused] = {0, 1, 2} - set(tokens)
    assert not codebook.decode(torch.tensor([[unused]])).any()


def test_frames_of_zeros_among_others_do_no_harm():
    points = frames()
    points[::10] = 0
    codebook = spherical()
    codebook.fit(points)
    assert codebook.centroids.isfinite().all()
    assert codebook.lengths.isfinite().all()
