from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from audiotok.errors import UserError
from audiotok.features.projection import Projection


def correlated(n: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Return points whose components have clearly different variances, away from the origin."""
    rng = np.random.default_rng(seed)
    scales = 2.0 ** -np.arange(dimensions)
    turn = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    return ((rng.standard_normal((n, dimensions)) * scales) @ turn - 60).astype(np.float32)


def build(n_mels: int, n_components: list[int] | None, **changes: Any) -> Projection:
    contexts = changes.get("contexts", [1])
    plain = {
        "n_channels": 1,
        "contexts": contexts,
        "bands": [1] * len(contexts),
        "whiten": False,
        "standardize": False,
    }
    return Projection(n_bins=n_mels, n_components=n_components, **(plain | changes))


def fitted(
    frames: np.ndarray, n_components: int | None, whiten: bool = False, standardize: bool = False
) -> Projection:
    numbers = None if n_components is None else [n_components]
    projection = build(frames.shape[1], numbers, whiten=whiten, standardize=standardize)
    projection.fit(torch.from_numpy(frames))
    return projection


def like(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Give the expected components the signs of those that were found."""
    return expected * np.sign((found * expected).sum(0))


@pytest.mark.parametrize("n_components", [1, 3, 6])
@pytest.mark.parametrize("whiten", [False, True])
def test_components_are_scikit_learns_up_to_sign(n_components, whiten):
    frames = correlated(500, 6)
    found = fitted(frames, n_components, whiten)(torch.from_numpy(frames)).numpy()
    expected = PCA(n_components, whiten=whiten, svd_solver="full").fit_transform(frames.astype(np.float64))
    if whiten:
        expected *= np.sqrt(500 / 499)  # scikit-learn divides by N - 1
    np.testing.assert_allclose(found, like(found, expected), atol=1e-3 if whiten else 1e-4)


@pytest.mark.parametrize("n_components", [1, 3, 6])
@pytest.mark.parametrize("whiten", [False, True])
def test_standardized_components_are_those_of_scikit_learns_scaled_frames(n_components, whiten):
    frames = correlated(500, 6) * np.array([10, 0.1, 3, 0.5, 1, 40], dtype=np.float32)
    found = fitted(frames, n_components, whiten, standardize=True)(torch.from_numpy(frames)).numpy()
    scaled = StandardScaler().fit_transform(frames.astype(np.float64))
    expected = PCA(n_components, whiten=whiten, svd_solver="full").fit_transform(scaled)
    if whiten:
        expected *= np.sqrt(500 / 499)  # scikit-learn divides by N - 1
    np.testing.assert_allclose(found, like(found, expected), atol=2e-3)
    assert not np.allclose(found, fitted(frames, n_components, whiten)(torch.from_numpy(frames)), atol=0.1)


def test_standardized_frames_without_components_are_scikit_learns():
    frames, others = correlated(500, 6), correlated(40, 6, seed=1)
    projection = fitted(frames, None, standardize=True)
    assert projection.n_outputs == 6
    scaler = StandardScaler().fit(frames.astype(np.float64))
    for some in (frames, others):
        np.testing.assert_allclose(projection(torch.from_numpy(some)), scaler.transform(some), atol=2e-3)


@pytest.mark.parametrize("n_components", [None, 6])
def test_a_dimension_that_is_constant_in_training_does_not_explode_elsewhere(n_components):
    """A mel bin above a file's own band is at the floor, until a clip that goes higher is read."""
    frames, others = correlated(500, 6), correlated(40, 6, seed=1)
    frames[:, 2], others[:, 2] = -100, -94
    found = fitted(frames, n_components, standardize=True)(torch.from_numpy(others)).numpy()
    scaler = StandardScaler().fit(frames.astype(np.float64))
    expected = scaler.transform(others)
    np.testing.assert_allclose(expected[:, 2], 6)  # it is left as it is
    distances = [np.linalg.norm(points[:, None] - points, axis=2) for points in (found, expected)]
    np.testing.assert_allclose(*distances, atol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), atol=5e-3)


def test_frames_that_are_all_the_same_become_zero():
    frames = np.full((50, 6), -100, dtype=np.float32)
    for n_components in (None, 4):
        assert not fitted(frames, n_components, standardize=True)(torch.from_numpy(frames)).any()


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("whiten", [False, True])
def test_components_of_several_contexts_are_scikit_learns_of_the_middle(whiten, standardize):
    """Frames of five mel frames with two channels; contexts of one, four and five of these."""
    frames = correlated(800, 10) * np.linspace(1, 3, 10, dtype=np.float32)
    projection = build(2, [2, 3, 4], contexts=[1, 4, 5], whiten=whiten, standardize=standardize)
    projection.fit(torch.from_numpy(frames))
    assert projection.n_outputs == 9
    found = projection(torch.from_numpy(frames)).numpy()
    scaled = frames.astype(np.float64)
    if standardize:
        scaled = StandardScaler().fit_transform(scaled)
    first = 0
    for middle, n_components in ((slice(4, 6), 2), (slice(2, 10), 3), (slice(0, 10), 4)):
        expected = PCA(n_components, whiten=whiten, svd_solver="full").fit_transform(scaled[:, middle])
        if whiten:
            expected *= np.sqrt(800 / 799)
        part = found[:, first : first + n_components]
        np.testing.assert_allclose(part, like(part, expected), atol=2e-3)
        first += n_components


def test_whitening_gives_unit_variance_and_no_correlation():
    frames = correlated(2000, 6)
    found = fitted(frames, 5, whiten=True)(torch.from_numpy(frames)).double().numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(found.T @ found / len(found), np.eye(5), atol=1e-3)


def test_all_components_keep_every_distance():
    frames = correlated(50, 6)
    found = fitted(frames, 6)(torch.from_numpy(frames)).double()
    points = torch.from_numpy(frames).double()
    np.testing.assert_allclose(torch.cdist(found, found), torch.cdist(points, points), atol=1e-4)


def test_without_components_frames_stay_as_they_are():
    frames = torch.from_numpy(correlated(20, 6))
    projection = fitted(frames.numpy(), None)
    assert torch.equal(projection(frames), frames)
    assert projection.mean.numel() == projection.components.numel() == 0
    assert not projection.is_fitted


def test_any_leading_dimensions_are_kept():
    frames = correlated(60, 6)
    projection = fitted(frames, 2)
    flat = projection(torch.from_numpy(frames))
    np.testing.assert_allclose(
        projection(torch.from_numpy(frames).view(3, 20, 6)).view(60, 2), flat, atol=1e-5
    )


def test_no_component_vanishes_where_its_weights_sum_to_zero():
    x = np.random.default_rng(0).standard_normal(1000)
    frames = np.stack([x, -x], axis=1).astype(np.float32)  # along (1, -1)
    [variance] = fitted(frames, 1)(torch.from_numpy(frames)).var(0, unbiased=False)
    assert variance == pytest.approx(frames.astype(np.float64).var(0).sum(), rel=1e-4)


def test_signs_do_not_hang_on_noise_where_weights_sum_to_nearly_zero():
    """As they do for every component that is a change over time."""
    direction = np.array([3.0, -1.0, -1.0, -1.0])

    def component(seed: int) -> torch.Tensor:
        rng = np.random.default_rng(seed)
        frames = rng.standard_normal((1000, 1)) * direction + 1e-3 * rng.standard_normal((1000, 4))
        return fitted(frames.astype(np.float32), 1).components[:, 0]

    first = component(0)
    for seed in range(1, 6):
        assert torch.dot(first, component(seed)).item() == pytest.approx(1, abs=1e-3)


def test_same_frames_give_the_same_components():
    frames = correlated(300, 6)
    assert torch.equal(fitted(frames, 4).components, fitted(frames, 4).components)


def test_fewer_frames_than_components_are_refused_in_a_sentence():
    with pytest.raises(UserError) as raised:
        fitted(correlated(3, 6), 4)
    assert str(raised.value).startswith("features.n_components=4 exceeds the 3 frames")


def test_fewer_frames_than_the_components_of_any_context_are_refused_in_a_sentence():
    projection = build(2, [2, 5], contexts=[1, 3])
    with pytest.raises(
        UserError, match=r"^features\.n_components=5 exceeds the 4 frames .*; lower it, or .*\.$"
    ):
        projection.fit(torch.from_numpy(correlated(4, 6)))


@pytest.mark.parametrize("n_components", [0, -1, 7])
def test_impossible_number_of_components_is_refused(n_components):
    with pytest.raises(UserError, match=f"features.n_components={n_components} is not between 1 and the 6"):
        build(6, [n_components])


def test_whitening_without_components_is_refused():
    with pytest.raises(UserError, match=r"features\.whiten=true .*features\.n_components=null"):
        build(6, None, whiten=True)


def test_components_of_bands_are_scikit_learns_of_their_bins():
    """Three mel frames of four bins and their slopes: a band sees its bins and their slopes in all."""
    frames = correlated(800, 24) * np.linspace(1, 3, 24, dtype=np.float32) + 60
    projection = build(4, [4, 6], n_channels=2, contexts=[1, 3], bands=[1, 2])
    projection.fit(torch.from_numpy(frames))
    found = projection(torch.from_numpy(frames)).numpy()
    stacked = frames.astype(np.float64).reshape(-1, 3, 2, 4)
    parts = [(stacked[:, 1:2], 4), (stacked[..., :2], 3), (stacked[..., 2:], 3)]
    first = 0
    for part, n_components in parts:
        expected = PCA(n_components, svd_solver="full").fit_transform(part.reshape(len(frames), -1))
        got = found[:, first : first + n_components]
        np.testing.assert_allclose(got, like(got, expected), atol=2e-3)
        first += n_components


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contexts": [1, 3]}, r"features\.n_components=2 and features\.context=\[1, 3\] do not match"),
        ({"bands": [1, 2]}, r"features\.bands=\[1, 2\] and features\.context=1 do not match"),
        (
            {"bands": [4]},
            r"features\.bands=4 does not divide features\.n_mels=6 and features\.n_components=2",
        ),
        ({"bands": [3]}, r"features\.bands=3 does not divide .*; choose a common divisor"),
        ({"bands": [0]}, r"features\.bands=0 does not divide"),
    ],
)
def test_scales_and_bands_that_do_not_fit_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        build(6, [2], **changes)


@pytest.mark.parametrize("changes", [{"contexts": [1, 3]}, {"bands": [2]}])
def test_scales_and_bands_without_components_are_refused(changes):
    with pytest.raises(UserError, match=r"features\.n_components=null keeps none; set numbers of components"):
        build(6, None, **changes)
