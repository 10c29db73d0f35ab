"""The configuration in a run's folder has absolute paths and no passwords, and the run works with both."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from audiotok.data.reading.passwords import reveal
from audiotok.experiment.stored import anchored, as_yaml, leave_out_passwords


def test_paths_are_absolute_and_the_configuration_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = OmegaConf.create(
        {
            "cache_dir": "cache",
            "ckpt_path": None,
            "model": {"init_from": "../run"},
            "data": {"root": "clips.csv", "audio_folder": "audio", "cache_dir": "${cache_dir}"},
        }
    )
    kept = yaml.safe_load(as_yaml(config))
    here = Path.cwd()
    assert kept == {
        "cache_dir": str(here / "cache"),
        "ckpt_path": None,
        "model": {"init_from": f"{here}/../run"},
        "data": {"root": str(here / "clips.csv"), "audio_folder": "audio", "cache_dir": str(here / "cache")},
    }
    assert config.data.root == "clips.csv"
    assert anchored(OmegaConf.to_container(config, resolve=True)) == kept == anchored(kept)


def test_the_folder_of_a_model_is_absolute_and_its_name_on_the_hub_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder").mkdir()
    for name, kept in {"encoder": str(Path.cwd() / "encoder"), "facebook/hubert": "facebook/hubert"}.items():
        config = OmegaConf.create({"features": {"name": name}, "clustering": {"name": name}})
        assert yaml.safe_load(as_yaml(config)) == {"features": {"name": kept}, "clustering": {"name": kept}}


@pytest.mark.parametrize("path", ["~/sounds", "s3://bucket/x", "/data/x", None, ""])
def test_paths_that_do_not_depend_on_the_folder_stay(path):
    assert yaml.safe_load(as_yaml(OmegaConf.create({"data": {"root": path}}))) == {"data": {"root": path}}


def test_a_password_of_yaml_or_of_the_environment_is_left_out(tmp_path, monkeypatch):
    url = "https://me:secret@host/x"
    monkeypatch.setenv("AUDIOTOK_URL_PASSWORDS", "{}")
    monkeypatch.setenv("MY_SOUNDS", url)
    config = OmegaConf.create({"data": {"root": "${oc.env:MY_SOUNDS}", "others": [url, 3]}})
    (tmp_path / "config.yaml").write_text(f"data:\n  others: [{url}, 3]\n")
    leave_out_passwords(config, tmp_path)
    assert "secret" not in as_yaml(config) + (tmp_path / "config.yaml").read_text()
    assert reveal(config.data.root) == reveal(config.data.others[0]) == url
