"""Classes that lie outside the package: found in the current folder, chosen through `--config-dir`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from runs import run

from audiotok.errors import UserError
from audiotok.experiment.configuration import build_node
from audiotok.programs.arguments import split

ROOT = Path(__file__).parents[2]
MODULE = """
import pytorch_lightning as pl


class Count(pl.Callback):
    def __init__(self, *, path: str, step: int = 1) -> None:
        self.path, self.step, self.n = path, step, 0

    def on_train_batch_end(self, *_):
        self.n += self.step

    def on_train_end(self, *_):
        open(self.path, "w").write(str(self.n))
"""
OPTION = """
defaults: [default]
count:
  _target_: count_steps.Count
  path: steps.txt
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a callback and its option, which is the current one; afterwards Python forgets both."""
    (tmp_path / "count_steps.py").write_text(MODULE)
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "conf" / "callbacks" / "counting.yaml").write_text(OPTION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield tmp_path
    sys.modules.pop("count_steps", None)


def test_a_class_of_the_current_folder_is_trained_with(project):
    run(project / "run", "--config-dir", "conf", "callbacks=counting", "+callbacks.count.step=10")
    assert (project / "steps.txt").read_text() == "30"


def test_a_class_that_is_elsewhere_is_named_with_what_to_do():
    node = OmegaConf.create({"loss": {"_target_": "focal_loss.Focal", "gamma": 2.0}}).loss
    with pytest.raises(UserError, match=r"^loss\._target_=focal_loss\.Focal .* holds focal_loss\.py"):
        build_node(node)


def test_an_error_in_a_class_of_ones_own_is_not_taken_for_its_absence(project):
    (project / "broken_loss.py").write_text("import a_package_that_is_missing\n")
    sys.path.append(str(project))
    node = OmegaConf.create({"loss": {"_target_": "broken_loss.Focal"}}).loss
    with pytest.raises(UserError, match=r"^loss\._target_=broken_loss\.Focal .*'a_package_that_is_missing'"):
        build_node(node)


@pytest.mark.parametrize(
    "program", [[str(ROOT / "train.py")], ["-c", "from audiotok.cli import app; app()", "train"]]
)
def test_the_current_folder_comes_after_what_is_installed(project, program):
    """`random.py` beside one's sounds would otherwise stop Python itself."""
    (project / "random.py").write_text("raise RuntimeError('not the one of the standard library')")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *program, "--config-dir", "conf", "callbacks=counting", "--cfg", "job"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "count_steps.Count" in done.stdout


def test_flags_may_stand_between_overrides():
    given = ["a=1", "--config-dir", "conf", "b=2", "-m", "--cfg=job", "c=3"]
    assert split(given) == (["--config-dir", "conf", "-m", "--cfg=job"], ["a=1", "b=2", "c=3"])
    assert split(["--info", "a=1"]) == (["--info", "all"], ["a=1"])
    assert split(["a=1", "--info", "defaults"]) == (["--info", "defaults"], ["a=1"])
