import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from audiotok.errors import UserError
from audiotok.features.projection import Projection


def correlated(n: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Return points whose components have clearly different variances, away from the origin."""
    rng = np.random.default_rng(seed)
    scales = 2.0 ** -np.arange(dimensions)
    turn = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    return ((rng.standard_normal((n, dimensions)) * scales) @ turn - 60).astype(np.float32)


def fitted(frames: np.ndarray, n_components: int | None, whiten: bool = False) -> Projection:
    projection = Projection(frames.shape[1], n_components, whiten)
    projection.fit(frames)
    return projection


@pytest.mark.parametrize("n_components", [1, 3, 6])
@pytest.mark.parametrize("whiten", [False, True])
def test_components_are_scikit_learns_up_to_sign(n_components, whiten):
    frames = correlated(500, 6)
    found = fitted(frames, n_components, whiten)(torch.from_numpy(frames)).numpy()
    expected = PCA(n_components, whiten=whiten, svd_solver="full").fit_transform(frames.astype(np.float64))
    if whiten:
        expected *= np.sqrt(500 / 499)  # scikit-learn divides by N - 1
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-3 if whiten else 1e-4)


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


@pytest.mark.parametrize("n_components", [0, -1, 7])
def test_impossible_number_of_components_is_refused(n_components):
    with pytest.raises(UserError, match=f"features.n_components={n_components} is not between 1 and the 6"):
        Projection(6, n_components, False)


def test_whitening_without_components_is_refused():
    with pytest.raises(UserError, match=r"features\.whiten=true .*features\.n_components=null"):
        Projection(6, None, True)
