import string

from hypothesis import assume, example, given
from hypothesis import strategies as st

from audiotok.data.layout.layout import set_of

SPELLINGS = {
    "bal_train": ["bal_train", "balanced_train", "balanced_train_segments", "balanced_wav", "bal"],
    "unbal_train": ["unbal_train", "unbalanced_train", "unbalanced_train_segments", "unbalanced", "UNBAL"],
    "eval": ["eval", "eval_segments", "evaluation", "evaluation_data", "Eval"],
}
ENDINGS = ["", "00", "_part07", "-00003-of-00012", "_mp3", ".2017", "_segments_mp3"]
NO_SETS = [
    "train",
    "test",
    "20k",
    "data",
    "medieval",
    "balcony",
    "global",
    "verbal",
    "unbalancing",
    "balances",
]

spelled = st.sampled_from([(name, text) for name, texts in SPELLINGS.items() for text in texts])
others = st.lists(st.sampled_from(NO_SETS), max_size=3)


@given(others, spelled, st.sampled_from(ENDINGS), st.sampled_from([".tar", ".parquet", ".h5", "/0001.tar"]))
@example([], ("unbal_train", "unbal_train"), "", ".tar")
def test_every_spelling_of_a_set_is_understood(before, spelling, ending, extension):
    name, text = spelling
    assert set_of("/".join([*before, f"{text}{ending}{extension}"])) == name


@given(others, spelled, others, spelled, others)
def test_the_last_part_that_names_a_set_counts(first, earlier, between, later, last):
    assert set_of("/".join([*first, earlier[1], *between, later[1], *last])) == later[0]


@given(st.lists(st.sampled_from(NO_SETS) | st.text(string.digits + "_-.", max_size=4), max_size=4))
def test_path_that_names_no_set_has_none(parts):
    assert set_of("/".join(parts)) is None


@given(st.text(string.ascii_lowercase, min_size=1, max_size=4), spelled)
def test_word_within_a_word_is_no_set(letters, spelling):
    word = spelling[1].lower()
    assume(letters + word not in {"unbal", *SPELLINGS["unbal_train"]})
    assert set_of(f"x{letters}{word}.tar") is None


def test_part_that_names_two_sets_names_none():
    assert set_of("bal_unbal_train.tar") is None
    assert set_of("eval/bal_unbal_train.tar") == "eval"
