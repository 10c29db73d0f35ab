"""audiotok prepare: the manifest of a corpus, and what is said of it."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from runs import SYNTHETIC, TINY, command, run
from tiny import SAMPLE_RATE, path_of, tiny_source

from audiotok.data.clip import SPLITS


@pytest.fixture
def root(tiny_audioset: Path, tmp_path: Path) -> Path:
    """A copy of the tiny corpus that a test may change."""
    return shutil.copytree(tiny_audioset, tmp_path / "corpus")


def prepare(folder: Path, *overrides: str) -> dict:
    """Run `audiotok prepare` and return its report."""
    command(f"hydra.run.dir={folder}", *overrides, verb="prepare")
    return json.loads((folder / "report.json").read_text())


def of(root: Path) -> tuple[str, ...]:
    return "data=audioset", f"data.root={root}", "data.clip_seconds=1.0", "data.validation.fraction=0.3"


def test_report_counts_what_is_there_against_what_is_listed(root, tmp_path, capsys):
    train = [clip for clip in tiny_source(root).read().clips if clip.split != "test"]
    path_of(train[0]).unlink()
    path_of(train[1]).write_text("404 not found")
    shutil.copy(path_of(train[2]), path_of(train[2]).with_name(f"Y{train[2].id}_30.wav"))
    (root / "audio" / "eval" / "not__listed.wav").touch()
    table = root / "metadata" / "eval_segments.csv"
    table.write_text(table.read_text() + f'{train[3].id}, 30.000, 31.000, "/m/0a"\n')
    stereo = np.random.default_rng(0).uniform(-0.1, 0.1, (22050, 2))
    soundfile.write(path_of(train[4]), stereo, 22050)
    soundfile.write(path_of(train[5]), 32768 * stereo[:SAMPLE_RATE, 0], SAMPLE_RATE, subtype="FLOAT")
    report = prepare(tmp_path / "run", *of(root), "min_positives=4")
    assert (report["n_listed"], report["n_found"], report["n_classes"]) == (32, 31, 3)
    assert sum(split["listed"] for split in report["splits"].values()) == 32
    statuses = [split["statuses"] for split in report["splits"].values()]
    assert sum(counts["usable"] for counts in statuses) == 30
    assert sum(counts.get("missing", 0) for counts in statuses) == 1
    assert sum(counts.get("broken", 0) for counts in statuses) == 1
    assert report["rates"] == {str(SAMPLE_RATE): 29, "22050": 1}
    assert report["channels"] == {"1": 29, "2": 1}
    assert report["listed_twice"] == {"n": 1, "examples": [train[3].id]}
    assert report["found_twice"] == {"n": 1, "examples": [train[2].id]}
    assert report["beyond_full_scale"]["examples"] == [f"{train[5].id} at +70 dB"]
    assert report["not_listed"]["n"] == 1
    assert report["not_listed"]["examples"][0].endswith("not__listed.wav")
    shown = capsys.readouterr().out
    for words in (
        "31 of 32 listed clips were found",
        "already listed",
        "full scale",
        train[2].id,
        "usable",
        "missing",
    ):
        assert words in shown


def test_clips_of_two_splits_that_have_the_same_bytes_are_counted(root, tmp_path, capsys):
    clips = {split: [c for c in tiny_source(root).read().clips if c.split == split] for split in SPLITS}
    train, test = clips["train"], clips["test"]
    for clip in (train[1], *test[:2]):
        shutil.copy(path_of(train[0]), path_of(clip))
    report = prepare(tmp_path / "run", *of(root))
    [found] = [found for found in report["duplicates"] if found["of"] == "train"]
    assert (found["split"], found["n"]) == ("test", 2)
    first = min(test[:2], key=lambda clip: clip.id.encode()).id
    assert found["examples"][0][0] == first
    assert found["examples"][0][1] in {train[0].id, train[1].id}
    shown = capsys.readouterr().out
    assert f"2 test clips have the same bytes as a training clip, for example {first}" in shown


def test_classes_with_few_positives_are_named_for_each_split(root, tmp_path, capsys):
    report = prepare(tmp_path / "run", *of(root), "min_positives=1000")
    names = {name for _, name, _ in report["few_positives"]["train"]}
    assert names == {"Low tone", "Middle tone", "High tone"}
    assert "Low tone" in capsys.readouterr().out
    assert prepare(tmp_path / "none", *of(root), "min_positives=0")["few_positives"]["train"] == []


def test_names_are_printed_as_they_are(root, tmp_path, capsys):
    """What looks like markup, or like an emoji, is none."""
    table = root / "metadata" / "class_labels_indices.csv"
    table.write_text(table.read_text().replace("Low tone", "car [/m/0k4j] :cat:"))
    assert "car [/m/0k4j] :cat:" in table.read_text()
    prepare(tmp_path / "run", *of(root), "min_positives=1000")
    assert "car [/m/0k4j] :cat:" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_training_opens_what_was_prepared(root, tmp_path, monkeypatch):
    cache = f"cache_dir={tmp_path}/cache"
    report = prepare(tmp_path / "prepared", cache, *of(root))
    monkeypatch.setattr(
        "audiotok.data.corpus.conditions.inspect_part", lambda *_: pytest.fail("a clip is inspected")
    )
    metrics = run(tmp_path / "run", cache, data=of(root))
    usable = {name: split["statuses"]["usable"] for name, split in report["splits"].items()}
    assert usable == {name: metrics[f"n_{name}_clips"] for name in ("train", "val", "test")}


def test_header_checks_are_training_s_where_it_asks_for_them(root, tmp_path, monkeypatch):
    cache = f"cache_dir={tmp_path}/cache"
    prepare(tmp_path / "prepared", cache, *of(root), "check=header")
    monkeypatch.setattr(
        "audiotok.data.corpus.conditions.inspect_part", lambda *_: pytest.fail("a clip is inspected")
    )
    run(tmp_path / "run", cache, "data.check=header", data=of(root))


def test_what_faiss_says_of_itself_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("faiss"), "level", logging.INFO)
    prepare(tmp_path / "run", *SYNTHETIC)
    assert logging.getLogger("faiss.loader").getEffectiveLevel() == logging.WARNING


def test_the_folder_of_a_preparation_holds_its_configuration(root, tmp_path):
    prepare(tmp_path, *of(root))
    assert "check: decode" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("check=look", "check=look"),
        ("min_positives=few", "min_positives=few"),
        ("cache_dir=5", "cache_dir=5"),
        ("fill=everything", "fill=everything"),
        ("engine.retries=-1", "engine.retries=-1"),
        ("engine.n_workers=0", "engine.n_workers=0"),
        ("engine.n_workers=many", "engine.n_workers=many"),
    ],
)
def test_wrong_values_are_one_sentence(root, tmp_path, override, words):
    with pytest.raises(SystemExit):
        prepare(tmp_path / "run", *of(root), override)
    assert words in (tmp_path / "run" / "error.txt").read_text()


@pytest.mark.parametrize("fill", ["frames", "tokens"])
def test_training_makes_nothing_that_was_filled(root, tmp_path, monkeypatch, fill):
    from audiotok.loader.waveforms import WaveformReader

    cache = f"cache_dir={tmp_path}/cache"
    vocabulary = [o for o in TINY if o.startswith(("features", "clustering"))]
    prepare(tmp_path / "prepared", cache, *of(root), *vocabulary, f"fill={fill}")
    [folder] = (tmp_path / "cache" / fill).glob("*/")
    stamps = [path.stat().st_mtime_ns for path in sorted(folder.glob("*.npy"))]
    monkeypatch.setattr(WaveformReader, "_read", None)  # audio cannot be read any more
    run(tmp_path / "run", cache, "augment=none", f"data.cache={fill}", data=of(root))
    assert stamps == [path.stat().st_mtime_ns for path in sorted(folder.glob("*.npy"))]
