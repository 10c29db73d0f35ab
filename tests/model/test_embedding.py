import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiotok.model.embedding import MASK, N_SPECIAL, TokenEmbedding
from audiotok.model.model import Sizes


def build(n_codebooks: int = 2, n_clusters: int = 20, width: int = 16, std: float = 0.02) -> TokenEmbedding:
    torch.manual_seed(0)
    return TokenEmbedding(Sizes(10, 6, n_codebooks, n_clusters, 9, 5), width, std)


def centroids(n_codebooks: int = 2, n_clusters: int = 20, n_dimensions: int = 6) -> Tensor:
    drawn = torch.randn(n_codebooks, n_clusters, n_dimensions, generator=torch.Generator().manual_seed(3))
    return 30 * drawn - 50  # dB


def word_vectors(embedding: TokenEmbedding) -> Tensor:
    """Return the vectors of the tokens (Q, K, width)."""
    return embedding.table.weight.detach()[N_SPECIAL:].unflatten(0, (2, 20))


@settings(max_examples=30)
@given(
    n_codebooks=st.integers(1, 5),
    n_clusters=st.integers(1, 7),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
@torch.no_grad()
def test_a_position_is_the_sum_of_the_rows_of_its_tokens(n_codebooks, n_clusters, shape, seed):
    embedding = build(n_codebooks, n_clusters)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(-1, n_clusters, (*shape, n_codebooks), generator=generator)
    table, expected = embedding.table.weight, torch.zeros(*shape, 16)
    for b, t in torch.cartesian_prod(*map(torch.arange, shape)).reshape(-1, 2).tolist():
        for q, token in enumerate(tokens[b, t].tolist()):
            expected[b, t] += table[MASK] if token < 0 else table[N_SPECIAL + q * n_clusters + token]
    torch.testing.assert_close(embedding(tokens), expected)


@torch.no_grad()
def test_a_masked_token_is_the_mask_row_whatever_its_codebook():
    embedding = build()
    tokens = torch.tensor([[[-1, 3], [3, -1], [-1, -1]]])
    mask, words = embedding.table.weight[MASK], word_vectors(embedding)
    expected = torch.stack([mask + words[1, 3], words[0, 3] + mask, mask + mask])
    torch.testing.assert_close(embedding(tokens)[0], expected)


def test_every_codebook_has_rows_of_its_own_and_all_share_one_mask():
    assert len(build(4, 7).table.weight) == 1 + 4 * 7


@torch.no_grad()
def test_the_same_code_of_another_codebook_is_another_word():
    tokens = torch.tensor([[[3, 5]]])
    embedding = build()
    assert not torch.allclose(embedding(tokens), embedding(tokens.flip(-1)))


def test_only_the_words_that_occur_learn():
    embedding = build()
    embedding(torch.tensor([[[3, 5], [3, -1]]])).square().sum().backward()
    assert embedding.table.weight.grad is not None
    learning = embedding.table.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert learning == [MASK, N_SPECIAL + 3, N_SPECIAL + 20 + 5]


def test_vectors_begin_with_the_deviation_that_is_asked_for():
    assert build(8, 100, 64, std=0.3).table.weight.std().item() == pytest.approx(0.3, rel=0.02)


def test_random_vectors_stay_as_they_are_and_draw_nothing():
    embedding, before = build(), build().table.weight
    state = torch.get_rng_state()
    embedding.start_from("random", centroids())
    assert torch.equal(embedding.table.weight, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_tokens_begin_as_far_apart_as_their_centroids():
    embedding = build(width=1024)
    embedding.start_from("centroids", centroids())
    all_ratios = []
    for vectors, book in zip(word_vectors(embedding), centroids(), strict=True):
        ratios = torch.pdist(vectors) / torch.pdist(book)
        assert ratios.std() < 0.05 * ratios.mean()
        all_ratios.append(ratios.mean().item())
    assert all_ratios[0] == pytest.approx(all_ratios[1], rel=0.05)  # one scale for all codebooks


def test_neighbours_among_centroids_begin_as_neighbours_among_words():
    embedding = build(width=256)
    embedding.start_from("centroids", centroids())
    for vectors, book in zip(word_vectors(embedding), centroids(), strict=True):
        far, near = torch.cdist(book, book), torch.cdist(vectors, vectors)
        nearest_words = near.fill_diagonal_(torch.inf).argmin(1)
        rank = (far.fill_diagonal_(torch.inf) < far.gather(1, nearest_words[:, None])).sum(1)
        assert rank.float().mean() < 1  # of 19 others


def test_tokens_that_begin_at_centroids_are_as_large_as_random_ones():
    embedding = build()
    embedding.start_from("centroids", centroids())
    words = word_vectors(embedding)
    assert words.std().item() == pytest.approx(0.02, rel=1e-3)
    assert words.mean(1).abs().max() < 1e-6  # each codebook around 0


def test_the_mask_begins_at_random_also_with_centroids():
    embedding = build()
    embedding.start_from("centroids", centroids())
    assert torch.equal(embedding.table.weight[MASK], build().table.weight[MASK])


def test_codebooks_are_projected_each_in_a_way_of_its_own():
    embedding = build()
    same = centroids()[:1].expand(2, -1, -1)
    embedding.start_from("centroids", same)
    words = word_vectors(embedding)
    assert not torch.allclose(words[0], words[1])


@pytest.mark.parametrize("shape", [(2, 20, 6), (2, 20, 1)])
def test_equal_centroids_begin_alike_and_stay_finite(shape):
    embedding = build()
    embedding.start_from("centroids", torch.ones(shape))
    assert not word_vectors(embedding).any()


def test_one_centroid_alone_begins_finite():
    embedding = build(1, 1)
    embedding.start_from("centroids", centroids(1, 1))
    assert embedding.table.weight.isfinite().all()


def test_centroids_stay_as_they_are():
    given_centroids = centroids()
    build().start_from("centroids", given_centroids)
    assert torch.equal(given_centroids, centroids())


def test_where_tokens_begin_in_the_table_is_derived_and_not_kept():
    assert list(build().state_dict()) == ["table.weight"]
