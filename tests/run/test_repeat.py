"""`audiotok repeat` runs the configuration in a run's folder again; values may change, options may not."""

import csv
import json
import re

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import pretrain, run
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.programs import config_folder
from audiotok.programs.repeating import check_values


def repeat(*arguments: object) -> tuple[int, str]:
    """Return the exit code of a repeat, and what it prints."""
    result = CliRunner().invoke(app, ["repeat", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def save_config(folder, verb: str, *overrides: str) -> None:
    """Write the configuration of a program to a folder, as a run of it does."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        OmegaConf.save(compose(verb, list(overrides)), folder / "config.yaml", resolve=True)


def test_a_sweep_of_repeats_has_the_run_of_its_own_seed_and_a_table(tmp_path):
    first = run(tmp_path / "first", "clustering.n_clusters=5", "seed=3")
    code, output = repeat(tmp_path / "first", "-m", "seed=3,4", f"hydra.sweep.dir={tmp_path}/sweep")
    assert code == 0, output
    second, other = (
        json.loads((tmp_path / "sweep" / job / "metrics.json").read_text()) for job in ("0", "1")
    )
    same = [key for key in first if not key.startswith(("seconds/", "vocabulary/seconds"))]
    assert {key: second[key] for key in same} == {key: first[key] for key in same}
    assert other["test/loss"] != first["test/loss"]
    [means] = csv.DictReader((tmp_path / "sweep" / "means.csv").open())
    assert means["jobs"] == "2"
    log = (tmp_path / "sweep" / "0" / "train.log").read_text()
    assert re.match(r"\d\d:\d\d:\d\d \w", log)


def test_a_pretraining_run_is_repeated_too(tmp_path):
    pretrain(tmp_path / "first")
    code, output = repeat(tmp_path / "first", f"hydra.run.dir={tmp_path}/second", "seed=1")
    assert code == 0, output
    assert "val/accuracy" in json.loads((tmp_path / "second" / "metrics.json").read_text())


@pytest.mark.parametrize("override", ["model=bag", "+logger=none", "experiment=seed", "data=esc50,audioset"])
def test_a_repeat_exchanges_no_options(tmp_path, override):
    (tmp_path / "config.yaml").write_text("trainer: {}\n")
    code, output = repeat(tmp_path, "seed=1", override)
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith(f"{override} names an option of a group")


def test_a_repeat_takes_values_and_launchers():
    assert not check_values(
        ["hydra/launcher=joblib", "-m", "~logger", "logger=null", "model={dropout: 0.1}", "seed=1,2"]
    )


def test_a_misspelt_key_is_named_with_the_right_one(tmp_path):
    (tmp_path / "config.yaml").write_text("trainer: {max_epochs: 3}\nclustering: {n_clusters: 8}\n")
    code, output = repeat(tmp_path, "-m", "clustering.n_cluster=9,10", "trainer.max_epochs=1")
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith("clustering.n_cluster=9,10 names no key of ")
    assert output.endswith("; did you mean clustering.n_clusters?\n")


def test_flags_may_stand_between_overrides(tmp_path):
    save_config(tmp_path, "train", "logger=none")
    code, output = repeat(tmp_path, "seed=7", "--cfg", "job", "+loader.prefetch=2")
    assert code == 0
    shown = OmegaConf.create(output)
    assert (shown.seed, shown.loader.prefetch, shown.clustering.n_clusters) == (7, 2, 256)


@pytest.mark.parametrize("verb", ["prepare", "doctor"])
def test_a_run_of_another_program_is_refused_in_a_sentence(tmp_path, verb):
    save_config(tmp_path, verb, "features=logmel")
    code, output = repeat(tmp_path)
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith(f"{tmp_path} is not a run of audiotok train or pretrain; give ")


@pytest.mark.parametrize("text", [None, "a: ["])
def test_a_folder_without_a_readable_configuration_is_refused_in_a_sentence(tmp_path, text):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    code, output = repeat(tmp_path)
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith(str(tmp_path))
    assert "config.yaml" in output
