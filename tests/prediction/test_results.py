"""Scores, detections and tables of a sound."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.prediction.results import Detection, Embeddings, Scores, Tokens

CLASSES = [SoundClass("/m/a", "Dog"), SoundClass("/m/b", "Cat"), SoundClass("/m/c", "Bird")]


def scores_of(rows, step=1.0, length=1.0, activation="sigmoid") -> Scores:
    starts = step * np.arange(len(rows))
    return Scores("a.wav", starts, starts + length, CLASSES, np.array(rows, np.float32), activation)


def test_tags_are_the_highest_probabilities_in_order():
    scores = scores_of([[0.2, 0.9, 0.1], [0.7, 0.1, 0.1]])
    found = [(tag.sound_class.name, round(tag.probability, 2)) for tag in scores.tags()]
    assert found == [("Cat", 0.9), ("Dog", 0.7), ("Bird", 0.1)]
    assert len(scores.tags(1)) == 1


def test_neighbouring_windows_become_one_detection_with_the_highest_score():
    scores = scores_of([[0.6, 0.9, 0.1], [0.75, 0.1, 0.1], [0.1, 0.1, 0.1], [0.6, 0.1, 0.1]])
    assert scores.detections(0.5) == [
        Detection("a.wav", 0.0, 1.0, CLASSES[1], pytest.approx(0.9)),
        Detection("a.wav", 0.0, 2.0, CLASSES[0], pytest.approx(0.75)),
        Detection("a.wav", 3.0, 4.0, CLASSES[0], pytest.approx(0.6)),
    ]
    assert scores.detections([0.7, 1.0, 0.0])[-1] == Detection("a.wav", 1, 2, CLASSES[0], pytest.approx(0.75))


def test_with_softmax_only_the_most_probable_class_is_heard():
    scores = scores_of([[0.4, 0.5, 0.1]], activation="softmax")
    assert [found.sound_class.name for found in scores.detections(0.3)] == ["Cat"]
    assert scores.detections(0.6) == []


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=12),
    st.sampled_from([(1.0, 1.0), (0.5, 1.0), (1.0, 0.75)]),
)
def test_detections_cover_exactly_the_windows_in_which_a_class_is_heard(heard, cut):
    scores = scores_of(np.array(heard, float), *cut)
    found = scores.detections(0.5)
    for i, sound_class in enumerate(CLASSES):
        stretches = [(d.start, d.end) for d in found if d.sound_class == sound_class]
        for start, end, is_heard in zip(scores.starts, scores.ends, np.array(heard)[:, i], strict=True):
            inside = [a <= start and end <= b for a, b in stretches]
            assert sum(inside) == 1 if is_heard else cut[0] < cut[1] or not any(inside)
        assert all(before[1] < after[0] for before, after in pairwise(stretches))


def test_tables_have_a_row_for_each_window_or_position():
    frame = scores_of([[0.2, 0.9, 0.1], [0.7, 0.1, 0.1]]).to_frame()
    assert list(frame.columns) == ["source", "start", "end", "Dog", "Cat", "Bird"]
    assert frame["Dog"].tolist() == pytest.approx([0.2, 0.7])
    where = ("a.wav", np.array([0.0, 1.0]), np.array([1.0, 1.5]))
    tokens = Tokens(*where, np.arange(12).reshape(2, 3, 2), np.array([3, 1])).to_frame()
    assert tokens["codebook_1"].tolist() == [1, 3, 5, 7]
    assert tokens["position"].tolist() == [0, 1, 2, 0]
    assert Embeddings(*where, np.ones((2, 5), np.float32)).to_frame().shape == (2, 8)


def test_a_table_without_pandas_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r'^[^\n]*pip install "audiotok\[predict\]"\.$'):
        scores_of([[0.2, 0.9, 0.1]]).to_frame()
