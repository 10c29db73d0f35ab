"""The kit for a bare GPU machine: it names every package, and what is left out of a wheel is not recorded."""

import csv
import importlib
import io
import re
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path
from unittest.mock import patch

import gpu_kit
import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
NOT_IMPORTED = {"wandb", "faiss-gpu"}  # logger=none; faiss-cpu takes the place of faiss-gpu
OF_THE_TESTS = {"pytest", "hypothesis"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: set[str]) -> set[str]:
    """Return these packages and all that they depend on, as they are installed here."""
    found: set[tuple[str, str]] = set()
    to_do = {(name, "") for name in names}
    while to_do:
        name, extra = to_do.pop()
        found.add((name, extra))
        for text in ([] if name == "faiss-cpu" else requires(name)) or []:  # not installed beside faiss-gpu
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = normalised(requirement.name)
                to_do |= {(needed, other) for other in ("", *requirement.extras)} - found
    return {name for name, _ in found}


def test_the_kit_and_the_machine_have_every_dependency():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    direct = {normalised(Requirement(text).name) for text in project["dependencies"]}
    needed = closure(direct - NOT_IMPORTED | OF_THE_TESTS)
    on_the_machine = closure({normalised(name) for name in gpu_kit.MACHINE})
    in_the_kit = {normalised(Requirement(text).name) for text in gpu_kit.PACKAGES + gpu_kit.SOURCES}
    assert needed - on_the_machine <= in_the_kit
    assert in_the_kit <= needed, "the kit carries what nothing depends on"


def test_training_needs_no_package_that_the_kit_leaves_out():
    """All of audiotok is imported anew, and forgotten again; what others import is imported already."""
    ours = [name for name in sys.modules if name.partition(".")[0] in ("audiotok", "wandb")]
    with patch.dict(sys.modules):
        for name in ours:
            del sys.modules[name]
        sys.modules["wandb"] = None
        for name in ("experiment.tagging", "experiment.diagnosis", "follower"):
            importlib.import_module(f"audiotok.{name}")
        assert "audiotok.logger.wandb" not in sys.modules, "it imports wandb"


def test_a_wheel_is_packed_again_without_what_is_never_imported(tmp_path):
    wheel = tmp_path / "pyarrow-1.0-py3-none-any.whl"
    members = {
        "pyarrow/__init__.py": "kept = True\n",
        "pyarrow/libarrow.so.1": "library",
        "pyarrow/libarrow_python.so.1.0.0": "the same as libarrow_python.so.1",
        "pyarrow/libarrow_flight.so.1": "never imported",
        "pyarrow/tests/test_all.py": "never imported",
        "pyarrow-1.0.dist-info/RECORD": "of the wheel as it came",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    gpu_kit.repack(wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        recorded = list(csv.reader(io.StringIO(archive.read("pyarrow-1.0.dist-info/RECORD").decode())))
        assert archive.read("pyarrow/__init__.py").decode() == members["pyarrow/__init__.py"]
    assert sorted(names) == [
        "pyarrow-1.0.dist-info/RECORD",
        "pyarrow/__init__.py",
        "pyarrow/libarrow.so.1",
    ]
    assert [row[0] for row in recorded] == names
    assert recorded[0][2] == str(len(members["pyarrow/__init__.py"]))


def test_a_kit_that_is_too_large_is_refused(tmp_path, monkeypatch, capsys):
    wheel = tmp_path / "large-1.0-py3-none-any.whl"
    wheel.write_bytes(bytes(2_000_000))
    gpu_kit.check_size([wheel])
    assert "2.00 MB  large-1.0" in capsys.readouterr().out
    monkeypatch.setattr(gpu_kit, "MOST_BYTES", 1_000_000)
    with pytest.raises(SystemExit, match=r"2\.0 MB, more than 1"):
        gpu_kit.check_size([wheel])
