"""The folder of a run: its file names, the program that made it, and configurations of earlier versions."""

import ast
import json
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import audiotok
from audiotok.run import upgrade
from audiotok.run.folder import RunFolder
from audiotok.run.sweep_folder import SweepFolder
from audiotok.run.upgrade import upgraded

PACKAGE = Path(audiotok.__file__).parent
FOLDER = RunFolder(Path("run"))
FILES = {
    *(path.name for path in (FOLDER.config, FOLDER.provenance, FOLDER.metrics, FOLDER.history)),
    *(path.name for path in (FOLDER.per_class, FOLDER.predictions, FOLDER.skipped, FOLDER.best, FOLDER.last)),
    *(path.name for path in (FOLDER.doctor, FOLDER.report, FOLDER.error, FOLDER.overrides)),
}
SWEEP = SweepFolder(Path("sweep"))
FILES_OF_SWEEPS = {path.name for path in (SWEEP.table, SWEEP.means, SWEEP.multirun)}


def strings(path: Path) -> list[str]:
    """Return the texts in a module, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [c.value for c in constants if isinstance(c.value, str) and id(c) not in docstrings]


def test_no_other_module_writes_the_name_of_a_file_of_a_run():
    assert (len(FILES), len(FILES_OF_SWEEPS)) == (13, 3)
    found = [
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for text in strings(path)
        for name in FILES | FILES_OF_SWEEPS
        if name in text
    ]
    expected = [
        *(("run/folder.py", name) for name in FILES),
        *(("run/sweep_folder.py", name) for name in FILES_OF_SWEEPS),
    ]
    assert sorted(found) == sorted(expected)


def test_the_program_is_what_was_recorded(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_config("trainer: {}\n")
    folder.write_provenance({"program": "doctor"})
    assert folder.program == "doctor"


@pytest.mark.parametrize(
    ("keys", "program"),
    [
        (("data", "trainer", "loss"), "train"),
        (("data", "trainer", "objective"), "pretrain"),
        (("data", "trainer", "loss", "doctor"), "doctor"),
        (("data", "check", "fill"), "prepare"),
    ],
)
def test_the_program_of_an_earlier_version_follows_from_its_configuration(tmp_path, keys, program):
    folder = RunFolder(tmp_path)
    folder.write_config(yaml.safe_dump({key: {} for key in keys}))
    assert folder.program == program
    folder.write_provenance({"command": "audiotok train"})  # as versions before it was recorded left it
    assert folder.program == program


def test_a_folder_without_a_run_has_no_program(tmp_path):
    assert not RunFolder(tmp_path).is_run
    with pytest.raises(OSError, match="config"):
        _ = RunFolder(tmp_path).program


@pytest.mark.parametrize("text", ["", "a: [", "- a list", "3"])
def test_a_damaged_configuration_is_a_value_error(tmp_path, text):
    RunFolder(tmp_path).write_config(text)
    with pytest.raises(ValueError, match=r"\w"):
        RunFolder(tmp_path).read_config()


def test_numbers_are_read_as_hydra_reads_them(tmp_path):
    RunFolder(tmp_path).write_config("a: 1e-3\nb: '1e-3'\nc: 2\nd: 1.5\ne: 2e4\nf: e3\n")
    expected = {"a": 1e-3, "b": "1e-3", "c": 2, "d": 1.5, "e": 2e4, "f": "e3"}
    config = RunFolder(tmp_path).read_config()
    assert {key: config[key] for key in expected} == expected


def test_jobs_stand_in_the_order_of_their_numbers(tmp_path):
    for name in ("10", "2", "0", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file is not a job")
    assert [job.path.name for job in SweepFolder(tmp_path).jobs()] == ["0", "2", "10"]
    assert SweepFolder(tmp_path / "nowhere").jobs() == []


@pytest.mark.parametrize("text", ["", "hydra: 3", "hydra: {overrides: {task: }}", "hydra: ["])
def test_a_damaged_record_of_a_sweep_is_a_value_error(tmp_path, text):
    (tmp_path / "multirun.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        SweepFolder(tmp_path).read_overrides()


# ---- configurations of earlier versions ----


def test_classes_that_have_moved_exist_where_they_are_said_to_be():
    for before, now in upgrade.MOVED.items():
        module, _, name = now.rpartition(".")
        assert hasattr(import_module(module), name), now
        assert now not in upgrade.MOVED, f"{before} would need two steps"


def test_an_earlier_configuration_is_translated_at_any_depth(monkeypatch):
    monkeypatch.setattr(upgrade, "MOVED", {"old.A": "new.A"})
    monkeypatch.setattr(upgrade, "RENAMED", {"new.A": {"n": "inner.n_layers", "x.y": "z"}})
    monkeypatch.setattr(upgrade, "ADDED", {"new.A": {"inner._target_": "new.B"}, "": {"threads": "auto"}})
    before = {"seed": 0, "models": [{"_target_": "old.A", "n": 3, "x": {"y": 4}}, 5], "other": {"n": 1}}
    kept = json.loads(json.dumps(before))
    now = upgraded(before)
    inner = {"_target_": "new.B", "n_layers": 3}
    assert now == {
        "seed": 0,
        "models": [{"_target_": "new.A", "inner": inner, "x": {}, "z": 4}, 5],
        "other": {"n": 1},
        "threads": "auto",
    }
    assert before == kept
    assert upgraded(now) == now
