"""Clips in columns: what goes in comes out, in the order of ids, and is counted without objects."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import clips_with, targets_of

from audiotok.data.clip import Clip, Location
from audiotok.data.corpus.catalogue import SCHEMA, Catalogue

ids = st.text(min_size=1, max_size=12)
locations = st.none() | st.builds(
    Location,
    st.sampled_from(["folders", "tar"]),
    ids,
    st.sampled_from(["", "7", "12+40"]),
    st.sampled_from([0.0, 1.5]),
    st.sampled_from([None, 2.0]),
)
clips = st.builds(
    Clip,
    ids,
    locations,
    st.lists(st.integers(0, 526), max_size=4, unique=True).map(tuple),
    st.sampled_from(["train", "val", "test"]),
    st.floats(0, 100),
    st.integers(0, 2**64 - 1),
)


@given(st.lists(clips, max_size=6, unique_by=lambda clip: clip.id))
def test_clips_come_out_as_they_went_in_by_the_order_of_their_ids(listed):
    catalogue = Catalogue.of(listed)
    ordered = sorted(listed, key=lambda clip: clip.id.encode())
    assert len(catalogue) == len(listed)
    assert list(catalogue) == ordered
    assert catalogue.ids(range(len(listed))) == [clip.id for clip in ordered]
    assert catalogue.digests.tolist() == [clip.digest for clip in ordered]
    assert catalogue.seconds.tolist() == [clip.seconds for clip in ordered]
    assert list(pickle.loads(pickle.dumps(catalogue))) == ordered
    assert catalogue.table().schema == SCHEMA


@given(st.lists(clips, min_size=2, max_size=6, unique_by=lambda clip: clip.id), st.data())
def test_a_selection_is_the_catalogue_of_what_was_selected(listed, data):
    catalogue = Catalogue.of(listed)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(listed), max_size=len(listed))))
    selected = catalogue.select(chosen)
    alone = Catalogue.of(clip for clip, is_chosen in zip(catalogue, chosen, strict=True) if is_chosen)
    assert list(selected) == list(alone)
    assert selected.fingerprint() == alone.fingerprint()
    assert selected.class_counts(527).tolist() == alone.class_counts(527).tolist()
    assert selected.table().to_pylist() == alone.table().to_pylist()
    for name, value in (("split", "train"), ("split", "test"), ("split", "none")):
        expected = [clip.split == value for clip in alone]
        assert selected.where(name, value).tolist() == expected


@given(st.lists(clips, min_size=1, max_size=6, unique_by=lambda clip: clip.id))
def test_one_set_of_clips_has_one_name_and_another_has_another(listed):
    catalogue = Catalogue.of(listed)
    name = catalogue.fingerprint()
    assert Catalogue.of(reversed(listed)).fingerprint() == name
    assert catalogue[1:].fingerprint() != name
    moved = [Clip(c.id, None, (), "val", 1.0, c.digest) for c in listed]
    assert Catalogue.of(moved).fingerprint() == name
    first = listed[0]
    for other in (
        Clip(first.id + "x", None, (), "val", 1.0, first.digest),
        Clip(first.id, None, (), "val", 1.0, first.digest ^ 1),
    ):
        assert Catalogue.of([other, *listed[1:]]).fingerprint() != name


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 200), st.sampled_from(["", ":x"])), max_size=8)
)
def test_clips_lie_by_file_and_by_the_number_of_their_entry(places):
    clips = [
        Clip(f"{n}", Location("tar", path, f"{number}{rest}"), (), "train")
        for n, (path, number, rest) in enumerate(places)
    ]
    order = Catalogue.of(clips).storage_order().tolist()
    assert sorted(order) == list(range(len(clips)))
    assert [places[i][:2] for i in order] == sorted(place[:2] for place in places)


def test_files_that_are_one_clip_lie_by_name():
    paths = ["b/1", "a/2", "a/1"]
    clips = [Clip(f"{n}", Location("folders", path), (), "train") for n, path in enumerate(paths)]
    assert Catalogue.of(clips).storage_order().tolist() == [2, 1, 0]


def test_slices_and_single_clips_are_those_of_a_list():
    catalogue = clips_with(np.eye(5, dtype=bool))
    every = list(catalogue)
    assert catalogue[-1] == every[-1]
    assert list(catalogue[1:4]) == every[1:4]
    assert list(catalogue[1:][::2]) == every[1::2]
    with pytest.raises(IndexError):
        catalogue[5]


@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_label_rows_make_targets(seed, n_indices):
    rng = np.random.default_rng(seed)
    targets = rng.random((9, 4)) < 0.4
    catalogue = clips_with(targets)
    assert (targets_of(catalogue, 4) == targets).all()
    assert catalogue.class_counts(4).tolist() == targets.sum(0).tolist()
    indices = rng.integers(0, 9, n_indices)
    found = np.zeros((n_indices, 4), bool)
    found[catalogue.label_rows(indices)] = True
    assert (found == targets[indices]).all()


def test_nothing_is_a_catalogue_too():
    nothing = Catalogue.of(())
    assert len(nothing) == 0
    assert list(nothing) == []
    assert nothing.class_counts(3).tolist() == [0, 0, 0]
    assert nothing.digests.tolist() == []
    assert len(nothing.fingerprint()) == 16


def test_clips_of_each_split_are_counted_the_most_frequent_first():
    clips = [
        Clip(str(n), None, (), split, 0.0, 0) for n, split in enumerate(["val", "test", "train", "test"])
    ]
    assert list(Catalogue.of(clips).counts("split").items()) == [("test", 2), ("train", 1), ("val", 1)]
    assert Catalogue.of(clips)[:1].counts("split") == {"val": 1}
    assert Catalogue.of(()).counts("split") == {}
