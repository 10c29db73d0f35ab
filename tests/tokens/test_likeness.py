"""Similar tokens have neighbouring ranks, near places and similar colours, in every picture."""

import numpy as np
from sklearn.decomposition import PCA

from audiotok.tokens.likeness import colours, places, ranks, token_colours


def centroids_of(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape).astype(np.float32) * np.arange(1, shape[-1] + 1, dtype=np.float32)


def test_places_are_the_first_two_principal_components_of_each_codebook():
    centroids = centroids_of(3, 20, 5)
    for found, book in zip(places(centroids), centroids, strict=True):
        expected = PCA(2).fit_transform(book.astype(np.float64))
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_ranks_follow_a_line_whatever_the_numbers_of_its_centroids():
    order = np.random.default_rng(1).permutation(16)
    line = order[None, :, None] * np.array([1.0, 2.0, -1.0])
    found = ranks(line)[0]
    assert found.tolist() in (order.tolist(), (15 - order).tolist())


def test_one_dimension_and_one_centroid_have_a_place():
    assert places(centroids_of(2, 8, 1)).shape == (2, 8, 2)
    assert ranks(centroids_of(2, 1, 4)).tolist() == [[0], [0]]


def test_a_token_has_one_colour_wherever_it_stands():
    centroids = centroids_of(2, 8, 3)
    tokens = np.array([[0, 3], [5, 3], [0, 7]])
    found = token_colours(tokens, centroids)
    assert (found.shape, found.dtype) == ((2, 3, 3), np.uint8)
    assert (found[0, 0] == found[0, 2]).all()
    assert (found[0, 0] != found[0, 1]).any()
    np.testing.assert_array_equal(found[1, 2], colours(np.array(ranks(centroids)[1, 7] / 7)))
