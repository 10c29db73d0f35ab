"""Offsets, patterns and units have inverses, whatever the tokens are."""

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audiotok.tokens import patterns

K = 7
SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 5))
TOKENS = arrays(np.uint8, SHAPES, elements=st.integers(0, K - 1))
FEW = arrays(np.uint8, SHAPES, elements=st.integers(0, 1))


@given(TOKENS)
def test_offsets_give_each_codebook_its_own_numbers(tokens):
    found = patterns.with_offsets(tokens, K)
    np.testing.assert_array_equal(patterns.without_offsets(found, K), tokens)
    np.testing.assert_array_equal(found // K, np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape))


@given(TOKENS)
def test_flattened_tokens_are_in_the_order_of_time_then_codebook(tokens):
    found = patterns.flatten(tokens)
    assert found.tolist() == [token for position in tokens for token in position]
    np.testing.assert_array_equal(patterns.unflatten(found, tokens.shape[1]), tokens)


@given(TOKENS)
def test_a_delayed_codebook_begins_later_and_nothing_is_lost(tokens):
    found = patterns.delay(tokens, pad=K)
    n_positions, n_codebooks = tokens.shape
    assert found.shape == (n_positions + n_codebooks - 1, n_codebooks)
    assert (found == K).sum() == n_codebooks * (n_codebooks - 1)
    for q in range(n_codebooks):
        assert found[:, q].tolist() == [K] * q + tokens[:, q].tolist() + [K] * (n_codebooks - 1 - q)
    np.testing.assert_array_equal(patterns.undelay(found), tokens)


@given(FEW)
def test_units_are_what_groupby_finds(tokens):
    found, runs = patterns.units(tokens)
    expected = [(list(unit), len(list(group))) for unit, group in groupby(map(tuple, tokens))]
    assert [(unit.tolist(), int(run)) for unit, run in zip(found, runs, strict=True)] == expected
    np.testing.assert_array_equal(patterns.ununit(found, runs), tokens)
