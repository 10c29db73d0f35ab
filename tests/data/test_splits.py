from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiotok.data.clip import Clip, Listing, SoundClass
from audiotok.data.folder import Folder
from audiotok.data.splits import Member, draw, recordings_of
from audiotok.errors import UserError

fractions = st.floats(0.01, 0.6)
# Clips of one class each, by id: each a recording of its own, or one of a few.
labels = st.dictionaries(st.text(min_size=1, max_size=4), st.sampled_from("abc"), min_size=1, max_size=40)


def members(clips: dict[str, str], recordings: dict[str, str] | None = None) -> list[Member]:
    return [Member(id_, (recordings or {}).get(id_, id_), (name,)) for id_, name in clips.items()]


def source(**settings) -> Folder:
    return Folder(root="x", **settings)


@given(labels, fractions, st.integers(0, 99), st.randoms())
def test_the_order_of_rows_decides_nothing(clips, fraction, seed, random):
    listed = members(clips)
    shuffled = random.sample(listed, len(listed))
    assert draw(listed, fraction, seed) == draw(shuffled, fraction, seed)


@given(labels, fractions, st.integers(0, 99))
def test_of_each_class_the_fraction_is_taken_but_at_least_one_and_never_all(clips, fraction, seed):
    taken = draw(members(clips), fraction, seed)
    for name, n in Counter(clips.values()).items():
        n_taken = sum(clips[id_] == name for id_ in taken)
        assert abs(n_taken - fraction * n) <= 0.5 or n_taken in {1, n - 1}
        assert n_taken >= (n > 1)
        assert n_taken <= max(0, n - 1)


@given(labels, st.text(min_size=5, max_size=5), st.sampled_from("abc"), fractions, st.integers(0, 9))
def test_one_more_clip_moves_one_other_of_its_class_in_testing_and_two_in_validation(
    clips, added, name, fraction, seed
):
    def chosen(clips: dict[str, str]) -> tuple[set[str], set[str]]:
        test = draw(members(clips), fraction, seed)
        return test, draw(members({i: c for i, c in clips.items() if i not in test}), fraction, seed + 1)

    for before, after, most in zip(chosen(clips), chosen(clips | {added: name}), (1, 2), strict=True):
        moved = before ^ after - {added}
        assert len(moved) <= most
        assert all(clips[id_] == name for id_ in moved)


@given(labels, st.integers(1, 5), st.integers(0, 9))
def test_clips_of_one_recording_stay_together(clips, n_recordings, seed):
    recordings = {id_: f"{name}{hash(id_) % n_recordings}" for id_, name in clips.items()}
    listed = members(clips, recordings)
    by_recording: dict[str, set[str]] = {}
    splits = source(test_seed=seed).choose_splits(listed)
    for member, split in zip(listed, splits, strict=True):
        by_recording.setdefault(member.recording, set()).add(split)
    assert all(len(found) == 1 for found in by_recording.values())


def test_a_class_of_three_is_in_every_split():
    listed = members({f"{name}{n}": name for name in "abcdefgh" for n in range(3)})
    splits = source().choose_splits(listed)
    found = {(next(iter(m.classes)), split) for m, split in zip(listed, splits, strict=True)}
    assert len(found) == 24


def test_several_labels_count_by_the_rarest():
    listed = [Member(f"{n}", f"{n}", ("all", "rare") if n < 3 else ("all",)) for n in range(100)]
    splits = source().choose_splits(listed)
    assert Counter(splits[:3]) == {"train": 1, "val": 1, "test": 1}
    assert Counter(splits) == {"train": 71, "val": 9, "test": 20}


def test_a_large_recording_is_left_for_training():
    clips = {f"{n}": "a" for n in range(20)}
    recordings = {f"{n}": "long" if n < 15 else f"short{n}" for n in range(20)}
    for seed in range(20):
        assert "long" not in draw(members(clips, recordings), 0.2, seed)


def test_splits_that_are_given_stay_and_the_others_are_taken_from_training_clips():
    listed = [Member(f"{n}", f"{n}", ("a",), "test" if n < 10 else None) for n in range(50)]
    splits = source().choose_splits(listed)
    assert splits[:10] == ["test"] * 10
    assert Counter(splits[10:]) == {"train": 36, "val": 4}
    listed = [Member(f"{n}", f"{n}", ("a",), "val" if n < 10 else "train") for n in range(50)]
    assert Counter(source().choose_splits(listed)) == {"train": 32, "val": 10, "test": 8}


def test_other_validation_clips_leave_the_test_clips_as_they_are():
    from audiotok.data.validation import Validation

    listed = members({f"{n}": "ab"[n % 2] for n in range(60)})
    one, other = (source(validation=Validation(seed=seed)).choose_splits(listed) for seed in (0, 1))
    assert [split == "test" for split in one] == [split == "test" for split in other]
    assert one != other


def test_too_few_recordings_are_told():
    classes = (SoundClass("a", "a"), SoundClass("b", "b"))
    listing = Listing(classes, (Clip("1", None, (0,), "train"), Clip("2", None, (1,), "test")))
    with pytest.raises(
        UserError, match=r"has 2 clips of too few recordings .* needs three recordings or more"
    ):
        source().check_listing(listing)
    with pytest.raises(UserError, match=r"data\.test_fraction=0 "):
        source(test_fraction=0).check_listing(Listing(classes, listing.clips[:1]))


def test_recordings_are_what_a_rule_finds():
    names = ["dog/rec1_01.wav", "dog/rec1_02.wav", "cat/rec2_01.wav", "cat/other.wav"]
    assert recordings_of(names, r"rec\d+") == ["rec1", "rec1", "rec2", "cat/other.wav"]
    assert recordings_of(names, r"/rec(\d+)_") == ["1", "1", "2", "cat/other.wav"]
    assert recordings_of(names, None) == names


@pytest.mark.parametrize(("rule", "words"), [("(", "not a regular expression"), ("nope", "found in no name")])
def test_a_rule_that_finds_nothing_is_told(rule, words):
    with pytest.raises(UserError, match=rf"data\.group=.*{words}"):
        recordings_of(["a.wav"], rule)
