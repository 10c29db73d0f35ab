from itertools import pairwise

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.residual import Residual

DEFAULTS = {
    "n_clusters": 8,
    "n_codebooks": 4,
    "n_iter": 10,
    "seed": 0,
}


def residual(**changes) -> Residual:
    return Residual(**(DEFAULTS | changes))


def frames(n: int = 1000, dimensions: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32)


def faiss_quantizer(dimensions: int, n_codebooks: int, n_bits: int) -> faiss.ResidualQuantizer:
    quantizer = faiss.ResidualQuantizer(dimensions, n_codebooks, n_bits)
    quantizer.max_beam_size = 1  # greedy, as ours
    return quantizer


def distortion(points: np.ndarray, decoded: np.ndarray) -> float:
    return float(((points - decoded) ** 2).sum() / (points**2).sum())


def decoded(codebooks: Residual, points: np.ndarray) -> np.ndarray:
    return codebooks.decode(codebooks.encode(torch.from_numpy(points))).numpy()


@pytest.fixture(scope="module")
def fitted() -> Residual:
    codebooks = residual()
    codebooks.fit(frames())
    return codebooks


# ---- encode and decode ----


def test_tokens_are_the_nearest_centroids_of_what_is_left_over(fitted):
    left = frames(seed=1).astype(np.float64)
    tokens = fitted.encode(torch.from_numpy(frames(seed=1))).numpy()
    for q, book in enumerate(fitted.centroids.numpy().astype(np.float64)):
        distances = ((left[:, None] - book[None]) ** 2).sum(-1)
        np.testing.assert_allclose(distances[np.arange(1000), tokens[:, q]], distances.min(1), atol=1e-5)
        left -= book[tokens[:, q]]


def test_tokens_and_frames_are_those_of_faiss_with_the_same_centroids(fitted):
    points = frames(seed=1)
    quantizer = faiss_quantizer(8, 4, 3)
    faiss.copy_array_to_vector(fitted.centroids.numpy().ravel(), quantizer.codebooks)
    quantizer.is_trained = True
    packed = quantizer.compute_codes(points)
    bits = np.unpackbits(packed, axis=1, bitorder="little")[:, :12].reshape(-1, 4, 3)
    tokens = fitted.encode(torch.from_numpy(points)).numpy()
    np.testing.assert_array_equal(tokens, bits @ [1, 2, 4])
    np.testing.assert_allclose(decoded(fitted, points), quantizer.decode(packed), atol=1e-5)


def test_a_word_decodes_to_the_sum_of_its_centroids(fitted):
    tokens = torch.randint(8, (50, 4), generator=torch.Generator().manual_seed(0))
    for row, word in zip(fitted.decode(tokens), tokens, strict=True):
        expected = sum(fitted.centroids[q, code] for q, code in enumerate(word))
        torch.testing.assert_close(row, expected)


# ---- fitting ----


@pytest.mark.parametrize("seed", range(3))
def test_error_is_about_that_of_faiss(seed):
    points = frames(4000, 16, seed)
    codebooks = residual(n_clusters=16, n_codebooks=6, n_iter=25)
    codebooks.fit(points)
    oracle = faiss_quantizer(16, 6, 4)
    oracle.train(points)
    expected = distortion(points, oracle.decode(oracle.compute_codes(points)))
    assert distortion(points, decoded(codebooks, points)) == pytest.approx(expected, rel=0.03)


def test_one_codebook_is_k_means():
    codebooks = residual(n_codebooks=1)
    codebook = KMeans(n_clusters=8, n_iter=10, seed=0)
    codebooks.fit(frames())
    codebook.fit(frames())
    assert torch.equal(codebooks.centroids, codebook.centroids)


def test_further_codebooks_leave_the_first_ones_as_they_are(fitted):
    codebooks = residual(n_codebooks=2)
    codebooks.fit(frames())
    assert torch.equal(codebooks.centroids, fitted.centroids[:2])


@settings(max_examples=30)
@given(
    st.integers(20, 200), st.integers(1, 8), st.integers(1, 20), st.sampled_from([0, -60]), st.integers(0, 99)
)
def test_no_further_codebook_makes_the_error_of_the_sample_larger(n, dimensions, n_clusters, level, seed):
    points = frames(n, dimensions, seed) + np.float32(level)
    codebooks = residual(n_clusters=n_clusters, n_codebooks=5, n_iter=5, seed=seed)
    codebooks.fit(points)
    tokens = codebooks.encode(torch.from_numpy(points))
    left = torch.from_numpy(points)
    errors = [left.square().sum().item()]
    for q, book in enumerate(codebooks.centroids):
        left = left - book[tokens[:, q]]
        errors.append(left.square().sum().item())
    for before, after in pairwise(errors):
        assert after <= before * (1 + 1e-4) + 1e-6 * errors[0]


def test_more_codebooks_distort_less():
    distortions = []
    for n_codebooks in (1, 2, 4, 8):
        codebooks = residual(n_codebooks=n_codebooks)
        codebooks.fit(frames())
        distortions.append(distortion(frames(), decoded(codebooks, frames())))
    assert distortions == sorted(distortions, reverse=True)
    assert distortions[-1] < 0.2 * distortions[0]


def test_codebooks_need_not_divide_the_dimensions():
    codebooks = residual(n_codebooks=3)
    codebooks.fit(frames(dimensions=7))
    assert codebooks.centroids.shape[::2] == (3, 7)
