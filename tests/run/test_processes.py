"""Several processes train one model: as one process with as many clips in a batch, into one run folder."""

import os

import numpy as np
import pytest
from runs import run

from audiotok.run.processes import leads

# What is random in training differs between batches, and is left out here.
STILL = ("augment=none", "model.dropout=0.0", "trainer.max_epochs=2", "loader.seed=1")
TWO = ("trainer.devices=2", "loader.batch_size=8")


def scored(metrics: dict) -> dict:
    return {key: value for key, value in metrics.items() if key.startswith(("val/", "test/"))}


def test_two_processes_score_as_one_with_twice_the_batch(tmp_path, capfd):
    one = run(tmp_path / "one", *STILL, "loader.batch_size=16")
    capfd.readouterr()
    two = run(tmp_path / "two", *STILL, *TWO)
    said = capfd.readouterr()
    assert scored(two) == pytest.approx(scored(one), abs=1e-4)  # gradients are added up in another order
    assert two.keys() == one.keys()
    first, second = (np.load(tmp_path / name / "predictions.npz") for name in ("one", "two"))
    assert (first["ids"] == second["ids"]).all()
    assert (first["targets"] == second["targets"]).all()
    np.testing.assert_allclose(second["scores"], first["scores"], atol=1e-4)
    names = [{path.name for path in (tmp_path / name).rglob("*")} for name in ("one", "two")]
    assert names[0] == names[1]
    for line in ("Found", "Epoch 1", "Epoch 2", "Test mAP"):  # one process speaks
        assert (said.out + said.err).count(line) == 1, said
    assert "LOCAL_RANK" not in os.environ


@pytest.mark.parametrize(
    ("devices", "n_nodes", "environment", "leading"),
    [
        (1, 1, {}, True),
        (1, 1, {"NODE_RANK": "3"}, True),  # somebody else's: one device is one process
        (2, 1, {}, True),
        (2, 1, {"LOCAL_RANK": "0"}, True),
        (2, 1, {"LOCAL_RANK": "1"}, False),
        ("auto", 1, {"RANK": "0", "LOCAL_RANK": "0"}, True),
        ("auto", 1, {"RANK": "4", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        (1, 2, {"NODE_RANK": "0"}, True),
        (1, 2, {"NODE_RANK": "1"}, False),
        (4, 2, {"SLURM_PROCID": "5"}, False),
    ],
)
def test_one_process_leads(monkeypatch, devices, n_nodes, environment, leading):
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert leads(devices, n_nodes) == leading
