"""A bag of words against NumPy's histograms and a linear classifier's algebra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tiny_models import LENGTHS, build, build_awake, random_inputs
from torch import Tensor

from audiotok.errors import UserError
from audiotok.model.model import Sizes


def histograms(tokens: Tensor, lengths: Tensor, n_clusters: int) -> np.ndarray:
    """Return the square roots of each codebook's shares, side by side: (B, Q * K)."""
    rows = []
    for clip, n in zip(tokens.numpy(), lengths.tolist(), strict=True):
        roots = []
        for codes in clip[:n].T:
            heard = codes[codes >= 0]
            counts, _ = np.histogram(heard, np.arange(n_clusters + 1))
            roots.append(np.sqrt(counts / max(1, len(heard))))
        rows.append(np.concatenate(roots))
    return np.stack(rows)


@settings(max_examples=30)
@given(
    n_clips=st.integers(1, 4),
    n_positions=st.integers(1, 12),
    n_codebooks=st.integers(1, 4),
    n_clusters=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_a_clip_is_the_square_roots_of_how_often_each_token_occurs(
    n_clips, n_positions, n_codebooks, n_clusters, seed
):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(-1, n_clusters, (n_clips, n_positions, n_codebooks), generator=generator)
    lengths = torch.randint(1, n_positions + 1, (n_clips,), generator=generator)
    model = build("bag", sizes=Sizes(10, 6, n_codebooks, n_clusters, n_positions, 5))
    vectors = model.embed(tokens, lengths).numpy()
    np.testing.assert_allclose(vectors, histograms(tokens, lengths, n_clusters), atol=1e-6)
    squares = np.square(vectors).reshape(n_clips, n_codebooks, n_clusters).sum(2)
    assert np.all(np.isclose(squares, 1) | np.isclose(squares, 0))  # 0 where all is masked


@torch.no_grad()
def test_without_hidden_layers_logits_are_linear_in_the_histogram():
    model = build_awake("bag", hidden_sizes=[])
    tokens = random_inputs("tokens")
    linear = LogisticRegression()  # an oracle of the algebra, not of the training
    linear.classes_ = np.arange(5)
    linear.coef_ = model.classifier.weight.numpy() * np.sqrt(20)
    linear.intercept_ = model.classifier.bias.numpy()
    expected = linear.decision_function(histograms(tokens, LENGTHS, 20))
    np.testing.assert_allclose(model(tokens, LENGTHS).numpy(), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_hidden_layers_are_as_wide_as_was_asked_for():
    model = build("bag", hidden_sizes=[7, 3])
    shapes = [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
    assert shapes == [(7, 40), (3, 7), (5, 3)]


@torch.no_grad()
def test_inputs_of_the_classifier_have_a_mean_square_of_one():
    model = build("bag", hidden_sizes=[])
    vectors = model.embed(random_inputs("tokens"), LENGTHS) * model.scale
    torch.testing.assert_close(vectors.square().mean(1), torch.ones(3))


@torch.no_grad()
def test_all_logits_begin_at_the_prior_for_whatever_clip():
    model = build("bag")
    logits = model(random_inputs("tokens"), LENGTHS)
    assert not logits.any()


@torch.no_grad()
def test_a_codebook_that_is_masked_throughout_counts_nothing():
    model = build("bag")
    tokens = random_inputs("tokens")
    tokens[..., 1] = -1
    vectors = model.embed(tokens, LENGTHS)
    assert not vectors[:, 20:].any()
    assert vectors[:, :20].any(1).all()


@torch.no_grad()
def test_how_long_a_clip_is_matters_only_by_its_shares():
    model = build_awake("bag")
    tokens = random_inputs("tokens")
    twice = torch.cat([tokens, tokens], 1)
    torch.testing.assert_close(
        model(twice, torch.tensor([18, 18, 18])), model(tokens, torch.tensor([9, 9, 9]))
    )


@pytest.mark.parametrize("sizes", [[0], [8, -1]])
def test_a_hidden_layer_without_width_is_refused(sizes):
    place, value = len(sizes) - 1, sizes[-1]
    with pytest.raises(
        UserError, match=rf"^model\.hidden_sizes\[{place}\]={value} is too small; choose .*\.$"
    ):
        build("bag", hidden_sizes=sizes)
