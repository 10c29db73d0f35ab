"""Multirun: shared codebooks, a ranked table, and jobs that fail without stopping the others."""

import csv
import json
import math

import pytest
from runs import SYNTHETIC, TINY, command

from audiotok.sweep import Job, ranked


def sweep(folder, *overrides):
    command("-m", f"hydra.sweep.dir={folder}", *TINY, *SYNTHETIC, "logger=none", *overrides)
    return list(csv.DictReader((folder / "sweep.csv").open()))


def test_three_vocabularies_by_two_depths_fit_three_codebooks(tmp_path):
    cache = tmp_path / "cache"
    rows = sweep(
        tmp_path / "sweep", f"cache_dir={cache}", "clustering.n_clusters=4,5,6", "model.num_layers=1,2"
    )
    assert len(rows) == 6
    codebooks = [path for path in (cache / "centroids").iterdir() if path.is_dir()]
    assert len(codebooks) == 3
    keys = set()
    for job in range(6):
        metrics = json.loads((tmp_path / "sweep" / str(job) / "metrics.json").read_text())
        keys.add(metrics["centroid_key"])
    assert keys == {path.name for path in codebooks}


def test_the_table_ranks_jobs_and_names_what_they_changed(tmp_path, capsys):
    rows = sweep(tmp_path, "optimizer.lr=0.001,0.0001")
    scores = [float(row["val/mAP"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row["optimizer.lr"] for row in rows} == {"0.001", "0.0001"}
    assert "model.num_layers" not in rows[0]
    assert "optimizer.lr" in capsys.readouterr().out


def test_a_failing_job_does_not_stop_the_others(tmp_path):
    with pytest.raises(SystemExit) as exit_:
        sweep(tmp_path, "model.num_heads=2,3,4")
    assert exit_.value.code == 1
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [row["model.num_heads"] for row in rows][-1] == "3"
    assert "model.num_heads=3" in rows[-1]["error"]
    assert "model.num_heads=3" in (tmp_path / "1" / "error.txt").read_text()
    assert all((tmp_path / job / "metrics.json").is_file() for job in "02")


def test_losses_rank_lowest_first_and_failures_last(tmp_path):
    jobs = [Job(tmp_path, {}, {"test/hamming_loss": x}, "") for x in (0.2, math.nan, 0.1)]
    assert [job.scores["test/hamming_loss"] for job in ranked(jobs, "test/hamming_loss")][:2] == [0.1, 0.2]


def test_the_job_returns_the_metric_that_is_named(tmp_path):
    from unittest.mock import patch

    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from audiotok import train

    with initialize_config_dir(str(train.config_folder()), version_base="1.3"):
        overrides = [*TINY, *SYNTHETIC, "logger=none", "optimized_metric=test/f1_micro"]
        config = compose("train", overrides, return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = str(tmp_path)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    with patch.object(train.log, "error") as error:
        value = train.run(config)
    assert not error.called
    assert value == json.loads((tmp_path / "metrics.json").read_text())["test/f1_micro"]
