"""Where a run came from is in its folder, and repeats it."""

import json
import re
import subprocess
from importlib.metadata import version

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import SYNTHETIC, TINY, command, run
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.programs import config_folder
from audiotok.programs.repeating import check_values
from audiotok.run.provenance import checkout


def test_command_code_packages_device_and_data_are_in_the_folder(tmp_path):
    run(tmp_path)
    found = json.loads((tmp_path / "provenance.json").read_text())
    assert found["program"] == "train"
    assert found["command"].startswith("audiotok train")
    assert "trainer.max_epochs=1" in found["command"]
    assert found["packages"]["torch"] == version("torch")
    assert found["device"]
    assert set(found["data"]) == {"train", "val", "test"}
    assert all(len(fingerprint) == 16 for fingerprint in found["data"].values())


def test_a_changed_file_makes_a_checkout_dirty(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True
        )

    assert checkout(tmp_path) is None
    git("init", "-q")
    (tmp_path / "provenance.py").write_text("a = 1\n")
    assert checkout(tmp_path) is None  # the code is not of this repository
    git("add", ".")
    git("commit", "-qm", "first")
    clean = checkout(tmp_path)
    assert len(clean["commit"]) == 40
    assert not clean["dirty"]
    (tmp_path / "provenance.py").write_text("a = 2\n")
    assert checkout(tmp_path) == {"commit": clean["commit"], "dirty": True}


def test_a_run_is_repeated_from_its_folder(tmp_path):
    first = run(tmp_path / "first", "clustering.n_clusters=5", "seed=3")
    result = CliRunner().invoke(app, ["repeat", str(tmp_path / "first"), f"hydra.run.dir={tmp_path}/second"])
    assert result.exit_code == 0, result.output
    second = json.loads((tmp_path / "second" / "metrics.json").read_text())
    same = [key for key in first if not key.startswith(("seconds/", "vocabulary/seconds"))]
    assert {key: second[key] for key in same} == {key: first[key] for key in same}
    logs = [(tmp_path / name / "train.log").read_text().splitlines() for name in ("first", "second")]
    assert all(re.match(r"\d\d:\d\d:\d\d \w", log[0]) for log in logs)


def test_repeats_may_be_a_sweep_with_its_table(tmp_path):
    run(tmp_path / "first")
    arguments = ["-m", "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert CliRunner().invoke(app, ["repeat", str(tmp_path / "first"), *arguments]).exit_code == 0
    assert (tmp_path / "sweep" / "means.csv").is_file()


@pytest.mark.parametrize("override", ["model=bag", "+logger=none", "experiment=seed", "data=esc50,audioset"])
def test_a_repeat_exchanges_no_options(tmp_path, override):
    (tmp_path / "config.yaml").write_text("trainer: {}\n")
    result = CliRunner().invoke(app, ["repeat", str(tmp_path), "seed=1", override])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith(f"{override} names an option of a group")


def test_a_misspelt_key_of_a_repeat_is_told_with_the_right_one(tmp_path):
    (tmp_path / "config.yaml").write_text("trainer: {max_epochs: 3}\nclustering: {n_clusters: 8}\n")
    result = CliRunner().invoke(app, ["repeat", str(tmp_path), "-m", "clustering.n_cluster=9,10", "seed=1"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("clustering.n_cluster=9,10 names no key of ")
    assert result.output.endswith("; did you mean clustering.n_clusters?\n")


def test_flags_of_a_repeat_may_stand_between_overrides(tmp_path):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        OmegaConf.save(compose("train", ["logger=none"]), tmp_path / "config.yaml", resolve=True)
    arguments = ["repeat", str(tmp_path), "seed=7", "--cfg", "job", "+loader.prefetch=2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    shown = OmegaConf.create(result.output)
    assert (shown.seed, shown.loader.prefetch, shown.clustering.n_clusters) == (7, 2, 256)


def test_a_repeat_takes_values_and_launchers():
    check_values(
        ["hydra/launcher=joblib", "-m", "~logger", "logger=null", "model={dropout: 0.1}", "seed=1,2"]
    )


@pytest.mark.parametrize("verb", ["prepare", "doctor"])
def test_what_is_no_training_is_not_repeated(tmp_path, verb):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(verb, ["features=logmel"])
    OmegaConf.save(config, tmp_path / "config.yaml", resolve=True)
    result = CliRunner().invoke(app, ["repeat", str(tmp_path)])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith(f"{tmp_path} is not a run of audiotok train or pretrain; give ")


def test_a_pretraining_run_is_repeated_too(tmp_path):
    command(f"hydra.run.dir={tmp_path}/first", *TINY, *SYNTHETIC, "logger=none", verb="pretrain")
    arguments = ["repeat", str(tmp_path / "first"), f"hydra.run.dir={tmp_path}/second", "seed=1"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert "val/accuracy" in json.loads((tmp_path / "second" / "metrics.json").read_text())


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path):
    result = CliRunner().invoke(app, ["repeat", str(tmp_path)])
    assert result.exit_code == 1
    expected = f"{tmp_path} is not the folder of a run: it has no config.yaml; give another."
    assert expected in result.output.replace("\n", "")


@pytest.mark.parametrize("name", ["metrics.json", "error.txt"])
def test_a_run_that_fails_leaves_no_results_of_an_earlier_one(tmp_path, name):
    run(tmp_path)
    (tmp_path / name).write_text("{}")
    with pytest.raises(SystemExit):
        run(tmp_path, f"ckpt_path={tmp_path}/none.ckpt")
    if name == "metrics.json":
        assert not (tmp_path / name).exists()
    else:
        assert "none.ckpt" in (tmp_path / name).read_text()
