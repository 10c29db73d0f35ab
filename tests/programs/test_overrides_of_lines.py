"""What a command line says wrongly is one sentence, before Hydra reads it."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from audiotok.errors import UserError
from audiotok.programs.arguments import check_choices, check_flags, quoted, with_data

GROUPS = {"trainer": ["ddp", "default"], "experiment": ["seed"]}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (["--clustering.n_clusters=5"], "clustering.n_clusters=5"),
        (["model=bag", "--n_clusters", "5"], "n_clusters=5"),
        (["-seed=1"], "seed=1"),
        (["--n_clusters"], "n_clusters=VALUE"),
    ],
)
def test_an_override_written_as_an_option_is_told(line, shown):
    with pytest.raises(UserError, match="write key=value without --") as raised:
        check_flags(line)
    assert shown in str(raised.value)


@pytest.mark.parametrize(
    "line",
    [
        ["-m", "seed=1,2"],
        ["--multirun", "--cfg", "job", "--resolve"],
        ["--config-dir", "mine", "model=bag"],
        ["--config-dir=mine", "seed=-1"],
        ["--help"],
        ["--info", "searchpath"],
    ],
)
def test_flags_of_hydra_are_let_through(line):
    assert check_flags(line) is None


@pytest.mark.parametrize("value", ["null", "-0.5", "1e9", "true", "inf"])
def test_a_group_that_is_set_to_no_name_is_told_with_its_options(value):
    with pytest.raises(UserError, match=r"is not an option; choose one of ddp, default\."):
        check_choices([f"trainer={value}"], GROUPS)
    check_choices(["trainer=ddp", "experiment=null", "trainer.max_epochs=3"], GROUPS)


def test_a_path_alone_stands_for_data(tmp_path):
    folder, table = tmp_path / "Meine 'Geräusche', [neu]", tmp_path / "a=b.csv"
    folder.mkdir()
    table.write_text("path,labels\n")
    option, root, other = with_data([str(folder), "seed=1"])
    assert (option, other) == ("data=folder", "seed=1")
    assert OverridesParser.create().parse_override(root).value() == str(folder)
    assert with_data([str(table)])[0] == "data=csv"
    assert with_data(["data=fsd50k", str(folder)])[-1] == "data=fsd50k"
    (folder / "meta").mkdir()
    (folder / "meta/esc50.csv").write_text("filename,fold,target,category,esc10,src_file,take\n")
    assert with_data([str(folder)])[0] == "data=esc50"
    assert with_data(["~experiment", "seed=1"]) == ["~experiment", "seed=1"]


def test_what_is_no_path_and_several_paths_are_told(tmp_path):
    with pytest.raises(UserError, match="seed is neither key=value nor a folder or table"):
        with_data(["seed"])
    with pytest.raises(UserError, match="are several folders"):
        with_data([str(tmp_path), "/"])
    with pytest.raises(UserError, match="leave one of them out"):
        with_data([str(tmp_path), "data.root=x"])
    (tmp_path / "a.wav").touch()
    with pytest.raises(UserError, match="is one sound"):
        with_data([str(tmp_path / "a.wav")])


@given(st.text(alphabet="a1 ,'\\\"[]{}()$:=~#@/.-äü+*&;|?!%^<>`", min_size=1, max_size=12))
def test_quotes_keep_a_text_as_it_is(text):
    assert OverridesParser.create().parse_override(f"data.root={quoted(text)}").value() == text
