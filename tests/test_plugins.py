"""Options that lie outside the package, each one file and one YAML in `plugins/`, train for an epoch.

They are also the examples of "Add your own" in the README.
"""

import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from runs import pretrain, run

PLUGINS = Path(__file__).parent / "plugins"
OUTSIDE = ("--config-dir", "conf")  # the YAMLs; their modules are found in the current folder


@pytest.fixture
def plugins(monkeypatch):
    """Make the folder of the plugins the current one; afterwards Python forgets them."""
    monkeypatch.chdir(PLUGINS)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield PLUGINS
    for file in PLUGINS.glob("*.py"):
        sys.modules.pop(file.stem, None)


def weights(run_folder: Path) -> dict[str, torch.Tensor]:
    """Return the best weights of a run."""
    path = run_folder / "checkpoints" / "best.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_focal_loss(plugins, tmp_path):
    focal = run(tmp_path / "focal", *OUTSIDE, "loss=focal", "loss.gamma=3.0")
    plain = run(tmp_path / "plain", *OUTSIDE, "loss=focal", "loss.gamma=0.0")
    assert 0 < focal["test/mAP"] <= 1
    assert 0 < focal["val/loss"] < plain["val/loss"]  # the same start, with smaller terms
    assert OmegaConf.load(tmp_path / "focal" / "config.yaml").loss._target_ == "focal.Focal"


def test_modern_bert_is_pretrained_and_its_weights_begin_a_training(plugins, tmp_path):
    modern = (*OUTSIDE, "model=modern_bert")
    pretrained = pretrain(tmp_path / "before", *modern)
    still = ("optimizer.lr=1e-30", "optimizer.weight_decay=0.0", f"model.init_from={tmp_path}/before")
    trained = run(tmp_path / "after", *modern, *still)
    assert pretrained["val/loss"] > 0
    assert 0 < trained["test/mAP"] <= 1
    before, after = weights(tmp_path / "before"), weights(tmp_path / "after")
    learnt = [name for name in after if name.startswith(("model.encoder.", "model.words."))]
    assert any("mlp" in name for name in learnt)
    assert all(torch.equal(after[name], before[name]) for name in learnt)
