"""Runs are read by a later version, and in a place that lacks a module of theirs.

`earlier_config.yaml` is the configuration that version 0.1.0, before its modules moved, left of a tiny run.
Here it replaces that of a run of today, whose weights and centroids are the same.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from runs import run
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.compare.settings import differing
from audiotok.run.folder import RunFolder
from audiotok.run.reader import flatten, read_run

TRUST = ("--trust", "my_clustering", "--trust", "my_loss")
EARLIER = Path(__file__).with_name("earlier_config.yaml")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[RunFolder, RunFolder]:
    """Return a run of today, and the same as the earlier version would have left it."""
    today = tmp_path_factory.mktemp("versions") / "today"
    run(today, "loss=bce")  # loss=auto was not there yet
    earlier = Path(shutil.copytree(today, today.with_name("earlier")))
    RunFolder(earlier).write_config(EARLIER.read_text().replace("CACHE", os.environ["AUDIOTOK_CACHE"]))
    provenance = RunFolder(earlier).read_provenance()
    del provenance["program"]
    RunFolder(earlier).write_provenance(provenance)
    return RunFolder(today), RunFolder(earlier)


def test_an_earlier_configuration_is_translated_into_that_of_today(runs):
    """If it is not, enter the class that has moved, or the key that is new or renamed, in `run/upgrade.py`.

    If an override of tiny runs has changed, change it in `earlier_config.yaml` too.
    """
    today, earlier = runs
    assert flatten(earlier.read_config()) == flatten(today.read_config())
    assert yaml.safe_load(earlier.config.read_text()) != today.read_config()
    assert earlier.program == "train"


def test_an_earlier_run_predicts_the_same_tags(runs, tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(0.3 * np.arange(8000)), 8000)
    results = [CliRunner().invoke(app, ["predict", str(folder), str(tmp_path / "a.wav")]) for folder in runs]
    assert [result.exit_code for result in results] == [0, 0], results
    assert results[0].output == results[1].output
    assert results[0].output.count("\n") == 6


def test_an_earlier_run_is_repeated_with_the_same_scores(runs, tmp_path):
    result = CliRunner().invoke(app, ["repeat", str(runs[1]), f"hydra.run.dir={tmp_path}"])
    assert result.exit_code == 0, result.output
    first, second = runs[0].read_metrics(), json.loads((tmp_path / "metrics.json").read_text())
    same = [key for key in first if not key.startswith(("seconds/", "vocabulary/seconds"))]
    assert {key: second[key] for key in same} == {key: first[key] for key in same}


def test_an_earlier_run_differs_in_no_setting_from_a_run_of_today(runs):
    today, earlier = (read_run(folder, folder.path.name) for folder in runs)
    assert (today.notes, earlier.notes) == ([], [])
    assert differing([today.settings, earlier.settings]) == []


# ---- a module that is missing ----


@pytest.fixture
def with_plugin(runs, tmp_path) -> RunFolder:
    """A run of a clustering, and of a loss, that are in a module that is elsewhere."""
    folder = RunFolder(Path(shutil.copytree(runs[0], tmp_path / "run")))
    config = folder.read_config()
    config["clustering"]["_target_"] = "my_clustering.Mine"
    config["loss"]["_target_"] = "my_loss.Mine"
    folder.write_config(yaml.safe_dump(config))
    return folder


def test_predict_says_in_a_sentence_which_module_is_missing_and_what_to_do(with_plugin, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    result = CliRunner().invoke(app, ["predict", str(with_plugin), str(tmp_path / "a.wav"), *TRUST])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    named = f"{with_plugin.config}: clustering._target_=my_clustering.Mine cannot be imported"
    assert result.output.startswith(named)
    assert "my_clustering.py" in result.output


def test_predict_does_without_the_modules_of_training(with_plugin, tmp_path):
    text = with_plugin.config.read_text().replace("my_clustering.Mine", "audiotok.clustering.product.Product")
    with_plugin.write_config(text)
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    assert CliRunner().invoke(app, ["predict", str(with_plugin), str(tmp_path / "a.wav")]).exit_code == 0


def test_repeat_says_in_a_sentence_which_module_is_missing(with_plugin, tmp_path):
    arguments = ["repeat", str(with_plugin), f"hydra.run.dir={tmp_path}/again", *TRUST]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    error = (tmp_path / "again" / "error.txt").read_text()
    assert error.startswith("clustering._target_=my_clustering.Mine cannot be imported")


def test_compare_needs_no_module_of_a_run(with_plugin, runs, tmp_path):
    pytest.importorskip("plotly")
    arguments = ["compare", str(with_plugin), str(runs[0]), "--to", str(tmp_path / "page.html")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
