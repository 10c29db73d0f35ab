"""Real audio beside the checkout: what reading it must find. Skipped where it is absent."""

import csv
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from audiotok.data.corpus.corpus import open_corpus
from audiotok.experiment.configuration import build_node
from audiotok.programs import config_folder
from audiotok.store import Store

CORPORA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = pytest.mark.corpus


def corpus_of(tmp_path, *overrides):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", list(overrides))
    return open_corpus(build_node(config.data), Store(tmp_path))


@pytest.mark.skipif(not (CORPORA / "soundscapes").is_dir(), reason="no soundscapes beside the checkout")
def test_every_planted_defect_of_soundscapes_is_found(tmp_path):
    root = CORPORA / "soundscapes"
    letters = ("data.validation.first_characters=ABCDEF", "data.validation.fraction=0")
    corpus = corpus_of(tmp_path, "data=audioset", f"data.root={root}", *letters)
    kinds = {
        "missing": "missing", "zero_byte": "empty", "text_as_wav": "broken", "truncated_flac": "broken",
        "truncated_ogg": "broken", "silence": "silent", "short_0.3s": "short",
    }  # fmt: skip
    usable = {"wav_8bit", "long_25s"}
    with (root / "metadata" / "known_bad.csv").open() as file:
        planted = {row["id"]: row["kind"] for row in csv.DictReader(file)}
    expected = {id_: kinds[kind] for id_, kind in planted.items() if kind not in usable}
    found = {row["id"]: row["status"] for row in corpus.skipped.table().to_pylist()}
    assert found == expected
    assert len(corpus.classes) == 527
    assert corpus.chance("test") == pytest.approx(0.133, abs=0.001)
    assert all(clip.id[0] in "ABCDEF" for clip in corpus.clips["val"])
    assert not any(clip.id[0] in "ABCDEF" for clip in corpus.clips["train"])


@pytest.mark.skipif(not (CORPORA / "esc10").is_dir(), reason="no esc10 beside the checkout")
def test_esc10_has_ten_classes_and_no_recording_in_two_splits(tmp_path):
    corpus = corpus_of(
        tmp_path, "data=esc50", f"data.root={CORPORA / 'esc10'}", "data.subset=esc10", "data.test_fold=3"
    )
    assert len(corpus.classes) == 10
    assert len(corpus.clips["test"]) == 80
    recordings = {split: {clip.id.split("-")[1] for clip in clips} for split, clips in corpus.clips.items()}
    assert not recordings["train"] & recordings["val"]
    assert not recordings["test"] & (recordings["train"] | recordings["val"])
