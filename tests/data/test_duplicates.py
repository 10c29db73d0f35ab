"""Clips of two splits that have the same bytes."""

from audiotok.data.clip import Clip
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
