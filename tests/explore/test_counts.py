"""Counts of tokens, pairs, runs and transitions, against plain loops."""

from collections import Counter
from itertools import groupby

import numpy as np
import pytest

from audiotok.explore import counts

K = 5


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    return [rng.integers(0, K, (n, 2)) for n in (3, 8, 1, 20, 14, 14)]


def test_presence_and_recordings(tokens):
    found = counts.presence(tokens, K)
    for clip, row in zip(tokens, found, strict=True):
        expected = {int(token) for token in clip[:, 0]} | {K + int(token) for token in clip[:, 1]}
        assert set(np.flatnonzero(row).tolist()) == expected
    recordings = np.array([0, 0, 1, 2, 2, 3])
    expected = [len(set(recordings[found[:, token]].tolist())) for token in range(2 * K)]
    assert counts.n_recordings(found, recordings).tolist() == expected


def test_runs_are_those_of_itertools(tokens):
    for book, found in enumerate(counts.run_lengths(tokens)):
        lengths = [len(list(run)) for clip in tokens for _, run in groupby(clip[:, book].tolist())]
        expected = Counter(min(length, counts.LONGEST) for length in lengths)
        assert found.tolist() == [expected[length] for length in range(1, counts.LONGEST + 1)]


def test_transitions_are_counted_in_the_order_of_likeness(tokens):
    order = np.array([[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]])
    found = counts.transitions(tokens, order)
    for book in range(2):
        expected = np.zeros((K, K), int)
        for clip in tokens:
            for one, other in zip(clip[:-1, book], clip[1:, book], strict=True):
                expected[order[book, one], order[book, other]] += 1
        assert found[book].tolist() == expected.tolist()


def test_pairs_in_several_clips_are_counted_by_clips_and_classes(tokens):
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 0]], bool)
    of_clips = [
        {
            (book, int(one), int(other))
            for book in range(2)
            for one, other in zip(clip[:-1, book], clip[1:, book], strict=True)
        }
        for clip in tokens
    ]
    total = Counter(pair for pairs in of_clips for pair in pairs if pair[1] != pair[2])
    found, by_class, by_any = counts.pairs(tokens, targets, K)
    assert {tuple(pair): n for pair, n in zip(found.tolist(), by_any.tolist(), strict=True)} == {
        pair: n for pair, n in total.items() if n >= 3
    }
    for place, pair in enumerate(map(tuple, found.tolist())):
        for sound_class in range(2):
            has = [pair in pairs for pairs in of_clips]
            assert by_class[sound_class, place] == np.sum(has & targets[:, sound_class])


def test_what_only_one_class_has_stands_out_and_what_all_have_does_not():
    sizes, n_clips = np.array([10, 30]), 40
    with_class = np.array([[10.0, 10.0, 0.0], [0.0, 30.0, 1.0]])
    z = counts.z_scores(with_class, with_class.sum(0), sizes, n_clips)
    assert z[0, 0] > 5
    assert z[1, 0] < -5
    assert np.abs(z[:, 1]).max() < 1
    assert np.abs(z[:, 2]).max() < counts.SIGNIFICANT, "one clip says little"
