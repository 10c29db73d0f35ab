import numpy as np
import pytest
import torch

from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.lloyd import lloyd
from audiotok.clustering.product import Product
from audiotok.errors import UserError

DEFAULTS = {
    "n_clusters": 6,
    "n_codebooks": 4,
    "n_iter": 10,
    "seed": 0,
}


def product(**changes) -> Product:
    return Product(**(DEFAULTS | changes))


def frames(n: int = 1000, dimensions: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Product:
    codebooks = product()
    codebooks.fit(frames())
    return codebooks


def test_tokens_are_the_nearest_centroids_of_every_sub_space(fitted):
    points = frames(seed=1)
    tokens = fitted.encode(torch.from_numpy(points)).numpy()
    assert tokens.shape == (1000, 4)
    assert tokens.dtype == np.int64
    for q in range(4):
        part = points[:, 2 * q : 2 * q + 2].astype(np.float64)
        distances = ((part[:, None] - fitted.centroids[q].numpy()[None]) ** 2).sum(-1)
        np.testing.assert_allclose(distances[np.arange(1000), tokens[:, q]], distances.min(1), atol=1e-5)


def test_product_is_k_means_in_every_sub_space(fitted):
    points = frames()
    for q in range(4):
        part = np.ascontiguousarray(points[:, 2 * q : 2 * q + 2])
        np.testing.assert_array_equal(fitted.centroids[q].numpy(), lloyd(part, 6, 10, q))
        codebook = KMeans(n_clusters=6, n_iter=10, seed=q)
        codebook.fit(part)
        alone = codebook.encode(torch.from_numpy(part))[:, 0]
        assert torch.equal(fitted.encode(torch.from_numpy(points))[:, q], alone)


def test_one_codebook_is_k_means():
    codebooks = product(n_codebooks=1)
    codebook = KMeans(n_clusters=6, n_iter=10, seed=0)
    codebooks.fit(frames())
    codebook.fit(frames())
    assert torch.equal(codebooks.centroids, codebook.centroids)


def test_codebooks_of_the_same_data_start_from_different_points():
    half = frames(500, 2)
    codebooks = product(n_codebooks=2)
    codebooks.fit(np.concatenate([half, half], axis=1))
    assert not torch.equal(codebooks.centroids[0], codebooks.centroids[1])


def test_words_decode_to_centroids_side_by_side_and_encode_to_themselves(fitted):
    tokens = torch.randint(6, (50, 4), generator=torch.Generator().manual_seed(0))
    decoded = fitted.decode(tokens)
    assert decoded.shape == (50, 8)
    for row, word in zip(decoded, tokens, strict=True):
        expected = torch.cat([fitted.centroids[q, code] for q, code in enumerate(word)])
        assert torch.equal(row, expected)
    assert torch.equal(fitted.encode(decoded), tokens)


def test_any_leading_dimensions_are_kept(fitted):
    points = torch.from_numpy(frames(60))
    tokens = fitted.encode(points.view(3, 20, 8))
    assert tokens.shape == (3, 20, 4)
    assert torch.equal(tokens.view(60, 4), fitted.encode(points))
    assert torch.equal(fitted.decode(tokens).view(60, 8), fitted.decode(fitted.encode(points)))


def test_more_codebooks_distort_less():
    points = torch.from_numpy(frames())
    distortions = []
    for n_codebooks in (1, 2, 4, 8):
        codebooks = product(n_codebooks=n_codebooks)
        codebooks.fit(points.numpy())
        distortions.append((points - codebooks.decode(codebooks.encode(points))).square().mean().item())
    assert distortions == sorted(distortions, reverse=True)
    assert distortions[-1] < 0.2 * distortions[0]


def test_same_seed_gives_the_same_centroids(fitted):
    codebooks = product()
    codebooks.fit(frames())
    assert torch.equal(codebooks.centroids, fitted.centroids)


def test_few_frames_a_centroid_are_warned_of_once_for_all_codebooks(caplog):
    product().fit(frames(39 * 6 - 1))
    [warning] = caplog.messages
    assert warning.startswith("clustering.n_clusters=6 ")


@pytest.mark.parametrize("n_codebooks", [3, 5, 16])
def test_codebooks_that_do_not_divide_the_dimensions_are_refused(n_codebooks):
    words = f"clustering.n_codebooks={n_codebooks} does not divide the 8 dimensions"
    with pytest.raises(UserError, match=words):
        product(n_codebooks=n_codebooks).check_dimensions(8)
    with pytest.raises(UserError, match=words):
        product(n_codebooks=n_codebooks).fit(frames())


def test_fewer_frames_than_clusters_are_refused_in_a_sentence():
    with pytest.raises(UserError, match=r"clustering\.n_clusters=6 exceeds the 5 frames "):
        product().fit(frames(5))


@pytest.mark.parametrize("key", ["n_clusters", "n_codebooks", "n_iter"])
def test_count_below_one_is_refused(key):
    with pytest.raises(UserError, match=rf"clustering\.{key}=0 "):
        product(**{key: 0})


def test_settings_are_all_that_was_given():
    given_ = {
        "n_clusters": 7,
        "n_codebooks": 2,
        "n_iter": 3,
        "seed": 4,
    }
    assert product(**given_).settings == given_ | {"kind": "product"}
