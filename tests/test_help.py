"""`--help` says of every key what the comments of the YAML say."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import command

from audiotok.programs import config_folder
from audiotok.programs.composition import public_keys
from audiotok.programs.options import config_folders, groups_of, read_comments

FOLDER = [config_folder()]


@pytest.fixture
def help_of(capsys, monkeypatch):
    """Return the help of a program as one line per key: long comments are not broken."""
    monkeypatch.setenv("COLUMNS", "400")

    def lines(*arguments: str, verb: str = "train") -> list[str]:
        command(*arguments, "--help", verb=verb)
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return lines


@pytest.mark.parametrize("program", ["train", "pretrain", "prepare", "doctor", "evaluate", "explore"])
def test_every_key_is_listed_and_no_private_one(help_of, program):
    with initialize_config_dir(str(FOLDER[0]), version_base="1.3"):
        config = OmegaConf.to_container(compose(program), resolve=False)
    listed = [line.partition("=")[0] for line in help_of(verb=program)]
    assert set(public_keys(config)) <= set(listed)
    assert not [key for key in listed if key.rpartition(".")[2].startswith("_")]


def test_a_key_has_its_value_and_its_comment(help_of):
    lines = help_of("model=bag", "clustering.n_clusters=64")
    comments = read_comments(FOLDER, "clustering/product").keys
    assert f"clustering.n_clusters=64 {comments['n_clusters']}" in lines
    assert f"clustering.n_iter=15 {comments['n_iter']}" in lines, "of a base"
    assert f"model=bag {read_comments(FOLDER, 'model/bag').title}" in lines


def test_groups_are_listed_with_their_options(help_of):
    lines = help_of("clustering=kmeans")
    number = next(i for i, line in enumerate(lines) if line.startswith("clustering=kmeans"))
    assert lines[number + 1] == "kmeans, product, random, residual, spherical"


def test_options_of_a_folder_of_ones_own_are_listed_too(help_of, tmp_path):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "focal.yaml").write_text(
        "# Clips that are easy count less.\n_target_: focal.Focal\n# how much less\ngamma: 2.0\n"
    )
    lines = help_of("--config-dir", str(tmp_path), "loss=focal")
    assert "loss=focal Clips that are easy count less." in lines
    assert "loss.gamma=2.0 how much less" in lines


def test_comments_above_and_beside_a_key_are_read(tmp_path):
    (tmp_path / "base.yaml").write_text("# A base.\na: 1  # one\nb: '#'  # two\n")
    (tmp_path / "preset.yaml").write_text(
        "# @package _global_\n# A preset.\n# More of it.\ndefaults:\n  - base\n  - _self_\n\n"
        '# three,\n# and four\nnode:\n  # five\n  c: "x # y"\n  d: 2  # six\na: 3\n'
    )
    found = read_comments([tmp_path], "preset")
    assert found.title == "A preset."
    assert found.keys == {
        "a": "one",
        "b": "two",
        "node": "three, and four",
        "node.c": "five",
        "node.d": "six",
    }


def test_folders_of_the_command_line_are_found(tmp_path):
    assert config_folders(["-m"]) == FOLDER
    assert config_folders(["-cd", str(tmp_path)]) == config_folders([f"--config-dir={tmp_path}"])
    assert config_folders(["--config-dir", str(tmp_path), "-m"])[1:] == [tmp_path]


def test_parts_of_options_are_no_options():
    assert "_sample" not in groups_of(FOLDER)["clustering"]
