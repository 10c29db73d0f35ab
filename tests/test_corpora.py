"""Real audio next to the checkout: which clips and classes are read. Skipped where the audio is absent."""

import csv
import shutil
from pathlib import Path

import pytest

from audiotok.data.audioset import AudioSet
from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.esc50 import ESC50
from audiotok.data.validation import Validation
from audiotok.store import Store

CORPORA = Path(__file__).parents[2] / "shared" / "data"
SOUNDSCAPES, ESC10 = CORPORA / "soundscapes", CORPORA / "esc10"
STATUS = {  # of each kind of defect, except those that are usable
    "missing": "missing",
    "zero_byte": "empty",
    "text_as_wav": "broken",
    "truncated_flac": "broken",
    "truncated_ogg": "broken",
    "silence": "silent",
    "short_0.3s": "short",
}
pytestmark = pytest.mark.corpus


@pytest.mark.skipif(not SOUNDSCAPES.is_dir(), reason="no soundscapes next to the checkout")
def test_every_known_defect_of_soundscapes_is_found(tmp_path):
    """Of the training clips only every tenth beside those with defects: decoding takes 10 ms each."""
    with (SOUNDSCAPES / "metadata" / "known_bad.csv").open() as file:
        defects = {row["id"]: row["kind"] for row in csv.DictReader(file)}
    root = tmp_path / "soundscapes"
    shutil.copytree(SOUNDSCAPES / "metadata", root / "metadata")
    (root / "audio").symlink_to(SOUNDSCAPES / "audio")
    segments = root / "metadata" / "balanced_train_segments.csv"
    rows = segments.read_text(encoding="utf-8").splitlines()
    kept = [row for i, row in enumerate(rows) if row[0] == "#" or i % 10 == 0 or row.split(",")[0] in defects]
    segments.write_text("\n".join(kept), encoding="utf-8")
    by_letter = Validation(first_characters="ABCDEF", fraction=0)
    corpus = open_corpus(AudioSet(root=str(root), validation=by_letter), Store(tmp_path / "cache"))
    found = {row["id"]: row["status"] for row in corpus.skipped.table().to_pylist()}
    assert found == {id_: STATUS[kind] for id_, kind in defects.items() if kind in STATUS}
    assert set(defects.values()) - STATUS.keys() == {"wav_8bit", "long_25s"}
    assert len(corpus.classes) == 527
    assert corpus.chance("test") == pytest.approx(0.133, abs=0.001)
    assert all(clip.id[0] in "ABCDEF" for clip in corpus.clips["val"])
    assert not any(clip.id[0] in "ABCDEF" for clip in corpus.clips["train"])


@pytest.mark.skipif(not ESC10.is_dir(), reason="no esc10 next to the checkout")
def test_esc10_has_ten_classes_and_no_recording_in_two_splits(tmp_path):
    corpus = open_corpus(ESC50(root=str(ESC10), subset="esc10", test_fold=3), Store(tmp_path))
    assert len(corpus.classes) == 10
    assert len(corpus.clips["test"]) == 80
    recordings = {split: {clip.id.split("-")[1] for clip in clips} for split, clips in corpus.clips.items()}
    assert not recordings["train"] & recordings["val"]
    assert not recordings["test"] & (recordings["train"] | recordings["val"])
