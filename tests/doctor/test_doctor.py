"""audiotok doctor, from end to end: it finds what is planted, and nothing bad where nothing is."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from runs import TINY, command
from sounds import LEARNING, call_doctor, examine, states, write_sounds

from audiotok.doctor.examination import OF_THE_RUN
from audiotok.tokens.sidecar import SIDECAR

SMALL = {  # that read something else than tokens
    "frames": ("model.num_layers=1", "model.hidden_size=16", "model.num_heads=2"),
    "cnn": ("model.channels=[8,16]",),
}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("healthy") / "sounds")


@pytest.fixture(scope="module")
def examined(healthy, tmp_path_factory):
    """A healthy corpus's cache and report, and what was printed."""
    folder = tmp_path_factory.mktemp("examined")
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        report, status = examine(folder / "run", healthy, f"cache_dir={folder}/cache")
    return folder, report, status, shown.getvalue()


def test_nothing_is_bad_where_all_is_well(examined):
    _, report, status, _ = examined
    assert "bad" not in states(report).values(), report
    assert (report["n_bad"], status) == (0, 0)


def test_every_topic_is_looked_at_and_written(examined):
    folder, report, *_ = examined
    assert list(states(report)) == ["clips", "positives", "certainty", "duplicates", "rates", *OF_THE_RUN]
    assert report["not_made"] == {}
    assert report["n_good"] + report["n_doubtful"] + report["n_bad"] == len(report["findings"])
    assert report["seconds"].keys() == states(report).keys()
    for finding in report["findings"]:
        assert finding["says"].endswith(".")
        assert bool(finding["advice"]) == (finding["state"] != "good"), finding
        assert finding["figures"]
    assert report == json.loads((folder / "run" / "doctor.json").read_text())


def test_the_table_on_screen_has_every_topic_and_the_best_classes(examined):
    _, report, _, shown = examined
    for topic in (*states(report), "Most information", "low", "middle", "high"):
        assert topic in shown


def test_training_finds_the_centroids_that_the_doctor_fitted(healthy, examined, tmp_path, monkeypatch):
    folder, *_ = examined
    monkeypatch.setattr(
        "audiotok.tokens.tokenizer.Tokenizer.fit_to", lambda *_: pytest.fail("centroids are fitted again")
    )
    data = ("data=csv", f"data.root={healthy}", "data.clip_seconds=0.6", f"cache_dir={folder}/cache")
    command(f"hydra.run.dir={tmp_path}", *TINY, *LEARNING, *data, "logger=none")
    assert (tmp_path / "metrics.json").is_file()


@pytest.mark.parametrize("model", SMALL)
def test_nothing_is_bad_with_another_model(healthy, examined, tmp_path, model):
    folder, *_ = examined
    tiny = tuple(o for o in TINY if not o.startswith("model."))
    report, _ = examine(
        tmp_path, healthy, f"model={model}", *SMALL[model], f"cache_dir={folder}/cache", tiny=tiny
    )
    assert "bad" not in states(report).values(), report
    assert report["not_made"] == {}


def test_shuffled_labels_are_found(tmp_path):
    table = write_sounds(tmp_path / "sounds", shuffled=True)
    report, status = examine(tmp_path / "run", table)
    found = states(report)
    assert (found["information"], found["control"], status) == ("bad", "bad", 1)
    assert found["vocabulary"] != "bad"


def test_a_dead_codebook_is_found(healthy, examined, tmp_path):
    folder, *_ = examined
    cache = shutil.copytree(folder / "cache", tmp_path / "cache")
    kill_codebook(next((cache / "centroids").glob(f"*/{SIDECAR}")).parent, number=2)
    report, status = examine(tmp_path / "run", healthy, f"cache_dir={cache}")
    [finding] = [finding for finding in report["findings"] if finding["topic"] == "vocabulary"]
    assert (finding["state"], finding["figures"]["dead_codebooks"], status) == ("bad", [2], 1)


def kill_codebook(folder: Path, number: int) -> None:
    """Let the first centroid of a codebook that is kept take all frames."""
    from audiotok.disk.checksum import write_checksums
    from audiotok.disk.keys import arrays_key

    sidecar = json.loads((folder / SIDECAR).read_text())
    arrays = {name: np.load(folder / f"{name}.npy") for name in sidecar["shapes"]}
    arrays["centroids"][number, 1:] += 1e6
    np.save(folder / "centroids.npy", arrays["centroids"])
    (folder / SIDECAR).write_text(json.dumps({**sidecar, "checksum": arrays_key(arrays)}))
    (folder / "checksums.json").unlink()
    write_checksums(folder)


def test_a_normalisation_that_flattens_is_found(healthy, tmp_path):
    report, status = examine(
        tmp_path / "run", healthy, "features.normalization=clip_max", "features.range_db=0.001"
    )
    assert (states(report)["normalization"], states(report)["sound"], status) == ("bad", "good", 1)


def test_a_learning_rate_a_thousand_times_too_high_is_found(healthy, examined, tmp_path):
    folder, *_ = examined
    report, status = examine(tmp_path / "run", healthy, "optimizer.lr=10.0", f"cache_dir={folder}/cache")
    found = states(report)
    assert (found["learning_rate"], status) == ("bad", 1)
    assert found["information"] == found["start"] == "good"


def test_a_validation_split_without_positives_is_found_and_the_rest_says_why_it_is_not_made(tmp_path):
    table = write_sounds(tmp_path / "sounds", without_positives=("val",))
    report, status = examine(tmp_path / "run", table)
    found = states(report)
    assert (found["positives"], found["setup"], found["clips"], status) == ("bad", "bad", "good", 1)
    assert set(report["not_made"]) == set(OF_THE_RUN)


def test_a_test_clip_that_is_trained_on_is_found(tmp_path):
    table = write_sounds(tmp_path / "sounds", without_positives=("val",))  # so that nothing is trained
    shutil.copy(table.parent / "train003.wav", table.parent / "test005.wav")
    report, _ = examine(tmp_path / "run", table)
    [found] = [finding for finding in report["findings"] if finding["topic"] == "duplicates"]
    assert found["state"] == "doubtful"
    assert "test005.wav" in found["says"]
    assert "train003.wav" in found["says"]


def test_silent_clips_are_found_where_they_are_decoded(tmp_path):
    table = write_sounds(tmp_path / "sounds", silent=True)
    report, status = examine(tmp_path / "run", table)
    [clips] = [finding for finding in report["findings"] if finding["topic"] == "clips"]
    assert (clips["state"], status) == ("bad", 1)
    assert "120 silent" in clips["says"]


def test_silent_clips_are_found_where_only_headers_are_read(tmp_path):
    table = write_sounds(tmp_path / "sounds", silent=True)
    report, status = examine(tmp_path / "run", table, "data.check=header")
    found = states(report)
    assert (found["clips"], found["sound"], found["vocabulary"], status) == ("good", "bad", "bad", 1)
    assert report["not_made"]["normalization"] == "all frames are silent"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("doctor.n_clips=1", "doctor.n_clips=1 "),
        ("doctor.seconds=0.0", "doctor.seconds=0.0 "),
        ("doctor.n_steps=many", "doctor.n_steps=many is of the wrong type"),
        ("doctor.seed=-1", "doctor.seed=-1 "),
        ("optimizer.lr=fast", "optimizer.lr=fast is of the wrong type"),
        ("data.root=nowhere.csv", "nowhere.csv is "),
    ],
)
def test_wrong_values_are_one_sentence(healthy, tmp_path, override, words):
    with pytest.raises(SystemExit):
        call_doctor(tmp_path, healthy, override)
    assert words in (tmp_path / "error.txt").read_text()


def test_a_sweep_is_refused_in_a_sentence(healthy, tmp_path, capsys):
    with pytest.raises(SystemExit):
        call_doctor(tmp_path, healthy, f"hydra.sweep.dir={tmp_path}/sweep", "seed=0,1", "-m")
    assert "leave out -m" in capsys.readouterr().out
