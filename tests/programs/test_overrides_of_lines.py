"""What a command line says wrongly is one sentence, before Hydra reads it."""

import pytest

from audiotok.errors import UserError
from audiotok.programs.arguments import check_choices, check_flags

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
