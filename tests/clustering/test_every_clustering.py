"""What holds of every option of the group `clustering`."""

import inspect
import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CLUSTERINGS

from audiotok.clustering.codebooks import PART, Codebooks
from audiotok.errors import UserError
from audiotok.programs import config_folder

every_kind = pytest.mark.parametrize("kind", CLUSTERINGS)


def build(kind: str, **changes) -> Codebooks:
    target, arguments = CLUSTERINGS[kind]
    common = {"n_clusters": 6, "seed": 0}
    return target(**(common | arguments | changes))


def fit(kind: str, points: np.ndarray, **changes) -> Codebooks:
    codebooks = build(kind, **changes)
    codebooks.fit(points)
    return codebooks


def noise(n: int = 1000, dimensions: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32)


def error(points: np.ndarray, codebooks: Codebooks) -> float:
    frames = torch.from_numpy(points)
    return (frames - codebooks.decode(codebooks.encode(frames))).square().sum().item()


def test_these_are_all_that_are_shipped():
    shipped = {path.stem for path in (config_folder() / "clustering").glob("[!_]*.yaml")}
    assert shipped == CLUSTERINGS.keys()


# ---- frames to tokens and back ----


@every_kind
def test_frames_become_tokens_and_tokens_become_frames(kind):
    points = torch.from_numpy(noise(60))
    codebooks = fit(kind, points.numpy())
    tokens = codebooks.encode(points.view(3, 20, 8))
    assert tokens.shape == (3, 20, codebooks.n_codebooks)
    assert tokens.dtype == torch.int64
    assert 0 <= tokens.min() <= tokens.max() < 6
    assert torch.equal(tokens.view(60, -1), codebooks.encode(points))
    decoded = codebooks.decode(tokens)
    assert (decoded.shape, decoded.dtype) == ((3, 20, 8), torch.float32)
    assert torch.equal(decoded.view(60, 8), codebooks.decode(tokens.view(60, -1)))


@every_kind
def test_a_frame_alone_has_the_token_that_it_has_among_others(kind):
    points = torch.from_numpy(noise(50))
    codebooks = fit(kind, points.numpy())
    alone = torch.cat([codebooks.encode(point[None]) for point in points])
    assert torch.equal(alone, codebooks.encode(points))


@every_kind
def test_a_large_sample_is_encoded_in_parts_as_a_whole(kind):
    points = torch.from_numpy(noise(PART + 100))
    codebooks = fit(kind, points.numpy()[:500])
    assert torch.equal(codebooks.encode_sample(points), codebooks.encode(points))


@every_kind
def test_tokens_say_more_of_a_frame_than_the_mean_frame_does(kind):
    points = noise()
    assert error(points, fit(kind, points)) < 0.95 * ((points - points.mean(0)) ** 2).sum()


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_more_clusters_distort_less(kind, seed):
    points = noise(2000, seed=seed)
    errors = [error(points, fit(kind, points, n_clusters=k, seed=seed)) for k in (2, 8, 32)]
    assert errors[0] > errors[1] > errors[2]


# ---- fitting ----


@every_kind
def test_same_seed_gives_the_same_arrays_and_another_gives_others(kind):
    one, again, other = (fit(kind, noise(), seed=seed).arrays() for seed in (3, 3, 4))
    for name, array in one.items():
        np.testing.assert_array_equal(array, again[name])
    assert not np.array_equal(one["centroids"], other["centroids"])


@every_kind
def test_seeds_that_a_c_int_does_not_hold_are_seeds_too(kind):
    assert fit(kind, noise(), seed=2**32).centroids.isfinite().all()


@every_kind
def test_centroids_are_one_vector_for_each_token(kind):
    codebooks = fit(kind, noise())
    assert codebooks.centroids.shape[:2] == (codebooks.n_codebooks, 6)
    assert codebooks.centroids.shape[2] in {8, 8 // codebooks.n_codebooks}


@every_kind
def test_frames_are_not_changed_by_fitting_or_encoding(kind):
    points = noise()
    before = points.copy()
    codebooks = fit(kind, points)
    codebooks.encode(torch.from_numpy(points))
    np.testing.assert_array_equal(points, before)


@every_kind
@pytest.mark.parametrize("value", [0.0, -60.0])
def test_frames_that_are_all_alike_can_be_fitted(kind, value):
    points = np.full((500, 8), value, dtype=np.float32)
    codebooks = fit(kind, points)
    assert all(np.isfinite(array).all() for array in codebooks.arrays().values())
    np.testing.assert_allclose(
        codebooks.decode(codebooks.encode(torch.from_numpy(points))), points, rtol=1e-2
    )


@every_kind
def test_as_many_frames_as_clusters_can_be_fitted(kind):
    codebooks = fit(kind, noise(6))
    assert all(np.isfinite(array).all() for array in codebooks.arrays().values())


@every_kind
def test_the_global_generators_are_left_alone(kind):
    torch.manual_seed(0)
    np.random.seed(0)
    fit(kind, noise())
    assert torch.rand(1).item() == pytest.approx(0.49625659)
    assert np.random.rand() == pytest.approx(0.54881350)


@every_kind
def test_few_frames_a_centroid_are_warned_of_once(kind, caplog):
    with caplog.at_level(logging.WARNING):
        fit(kind, noise(39 * 6))
        assert caplog.messages == []
        fit(kind, noise(39 * 6 - 1))
    [warning] = caplog.messages
    assert warning.startswith("clustering.n_clusters=6 ")
    assert "233" in warning


# ---- what is refused ----


@every_kind
def test_fewer_frames_than_clusters_are_refused_in_a_sentence(kind):
    with pytest.raises(UserError, match=r"clustering\.n_clusters=6 exceeds the 5 frames ") as raised:
        fit(kind, noise(5))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (kind, key)
        for kind, (target, _) in CLUSTERINGS.items()
        for key in inspect.signature(target).parameters
        if key != "seed"
    ],
)
def test_count_below_one_is_refused(kind, key, value):
    with pytest.raises(UserError, match=rf"^clustering\.{key}={value} .*; choose \d or more\.$"):
        build(kind, **{key: value})


@every_kind
def test_negative_seed_is_refused(kind):
    with pytest.raises(UserError, match=r"clustering\.seed=-1 "):
        build(kind, seed=-1)


# ---- state ----


@every_kind
def test_settings_are_the_kind_and_all_that_was_given(kind):
    target, arguments = CLUSTERINGS[kind]
    chosen = {"n_clusters": 7, "seed": 4, **arguments}
    assert chosen.keys() == inspect.signature(target).parameters.keys()
    found = target(**chosen).settings
    assert found == {"n_codebooks": 1, **chosen, "kind": kind}
    assert json.loads(json.dumps(found)) == found


@every_kind
def test_loaded_arrays_encode_and_decode_as_the_fitted_ones(kind):
    points = torch.from_numpy(noise())
    codebooks, other = fit(kind, points.numpy()), build(kind)
    other.load_arrays(codebooks.arrays())
    assert codebooks.arrays().keys() == other.arrays().keys()
    assert all(array.dtype == np.float32 for array in codebooks.arrays().values())
    assert torch.equal(other.encode(points), codebooks.encode(points))
    assert torch.equal(other.decode(other.encode(points)), codebooks.decode(codebooks.encode(points)))


@every_kind
def test_loading_copies_the_arrays(kind):
    codebooks, other = fit(kind, noise()), build(kind)
    arrays = {name: array.copy() for name, array in codebooks.arrays().items()}
    other.load_arrays(arrays)
    for name, array in arrays.items():
        array += 1
        np.testing.assert_array_equal(other.arrays()[name], codebooks.arrays()[name])


@every_kind
def test_nothing_is_trained_by_gradients(kind):
    assert not list(fit(kind, noise()).parameters())


@every_kind
@settings(max_examples=10)
@given(
    st.integers(1, 8),
    st.integers(1, 3),
    st.sampled_from([0.0, -60.0]),
    st.sampled_from([1e-3, 1.0, 30.0]),
    st.integers(0, 2**31),
)
def test_any_frames_have_tokens_and_finite_frames_again(kind, n_clusters, factor, level, size, seed):
    points = size * noise(50, 4 * factor, seed) + np.float32(level)
    codebooks = fit(kind, points, n_clusters=n_clusters, seed=seed)
    tokens = codebooks.encode(torch.from_numpy(points))
    assert 0 <= tokens.min() <= tokens.max() < n_clusters
    assert codebooks.decode(tokens).isfinite().all()
