"""Clips of two splits that have the same bytes, or share a part of a recording."""

from itertools import product

import numpy as np

from audiotok.data.clip import SPLITS, Clip, Location
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.duplicates import find_duplicates


def catalogue(**digests: int) -> Catalogue:
    return Catalogue.of(
        Clip(name, None, (), name.partition("_")[0], digest=digest) for name, digest in digests.items()
    )


def test_each_pair_of_splits_is_compared_and_a_split_is_not_with_itself():
    found = find_duplicates(catalogue(train_a=1, train_b=1, val_a=2, val_b=1, test_a=2, test_b=2**64 - 1))
    assert [(pair.split, pair.of, pair.n, pair.examples) for pair in found] == [
        ("val", "train", 1, [["val_b", "train_a"]]),
        ("test", "val", 1, [["test_a", "val_a"]]),
    ]
    assert str(found[1]) == (
        "1 test clips have the same bytes as a validation clip, for example test_a and val_a"
    )


def test_all_are_counted_and_three_named():
    digests = {f"{split}_{number}": number for split in ("train", "test") for number in range(1, 6)}
    [duplicates] = find_duplicates(catalogue(**digests))
    assert duplicates.n == 5
    assert duplicates.examples == [[f"test_{number}", f"train_{number}"] for number in (1, 2, 3)]


def test_where_no_digests_are_equal_or_no_clips_there_is_none():
    assert find_duplicates(catalogue(train_a=1, test_a=2)) == find_duplicates(catalogue()) == []


def test_stretches_of_two_splits_that_overlap_are_found_as_by_comparing_all_pairs():
    rng = np.random.default_rng(0)
    for n_clips in (2, 5, 40):
        clips = []
        for number in range(n_clips):
            start, seconds = rng.integers(0, 30), rng.integers(1, 4)
            place = Location("folders", f"{rng.integers(2)}.wav", "", float(start), float(start + seconds))
            split = SPLITS[rng.integers(3)]
            clips.append(Clip(f"{number:02}", place, (), split, float(seconds), 100 + number))
        expected: dict[tuple[str, str], set[str]] = {}
        for one, other in product(clips, clips):
            (a, b), (c, d) = ((clip.location.start, clip.location.end) for clip in (one, other))
            is_shared = one.location.path == other.location.path and max(a, c) < min(b, d)
            if is_shared and SPLITS.index(other.split) < SPLITS.index(one.split):
                expected.setdefault((one.split, other.split), set()).add(one.id)
        found = find_duplicates(Catalogue.of(clips))
        assert all(pair.overlap for pair in found)
        assert {(pair.split, pair.of): pair.n for pair in found} == {
            pair: len(ids) for pair, ids in expected.items()
        }


def test_stretches_side_by_side_do_not_overlap():
    places = {"train": (0.0, 2.0), "val": (2.0, 4.0), "test": (4.0, None)}
    clips = [
        Clip(split, Location("folders", "a.wav", "", *place), (), split, 2.0, number)
        for number, (split, place) in enumerate(places.items())
    ]
    assert find_duplicates(Catalogue.of(clips)) == []
    clips.append(Clip("whole", Location("folders", "a.wav"), (), "train", 6.0, 7))
    assert [str(pair) for pair in find_duplicates(Catalogue.of(clips))] == [
        "1 validation clips overlap in their recording with a training clip, for example val and whole",
        "1 test clips overlap in their recording with a training clip, for example test and whole",
    ]
