"""A logger of one's own is asked for everything that a run can show, and never what it is."""

from typing import Any

import numpy as np
import pytest
from runs import run

from audiotok.logger.logger import RunLogger
from audiotok.run.destination import Destination

ASKED: list[tuple[str, tuple[Any, ...]]] = []


class Recorder(RunLogger):
    """Remember what was asked for."""

    def __init__(self, *, n_examples: int = 0, destination: Destination) -> None:
        self.n_examples = n_examples
        ASKED[:] = [("name", (destination.name,))]

    def __getattribute__(self, name: str) -> Any:
        if name.startswith(("log_", "show_", "keep_", "finish")):
            return lambda *arguments: ASKED.append((name, arguments))
        return super().__getattribute__(name)


def test_a_run_shows_a_logger_all_that_it_has(tmp_path):
    metrics = run(tmp_path, f"logger._target_={__name__}.Recorder", "logger.n_examples=2")
    asked = dict(ASKED)
    assert [name for name, _ in ASKED] == [
        "name",
        "log_settings",
        "show_vocabulary_use",
        "log_table",
        "show_picture",
        "show_examples",
        "log_scores",
        "show_vocabulary",
        "keep_vocabulary",
        "keep_checkpoint",
        "finish",
    ]
    assert "clustering.n_clusters=8" in asked["name"][0]
    assert asked["log_settings"][0]["provenance"]["program"] == "train"
    assert asked["show_vocabulary_use"][0].shape == (24, 8)
    assert asked["show_vocabulary"][0].codebooks.centroids.shape == (24, 8, 1)
    name, columns, rows = asked["log_table"]
    assert (name, len(rows)) == ("test/per_class", metrics["n_classes"])
    assert all(len(row) == len(columns) for row in rows)
    [examples] = asked["show_examples"]
    assert len(examples) == 2
    assert np.max(examples[0].tokens) < 8
    assert len(list((tmp_path / "examples").glob("?.flac"))) == 2
    assert asked["log_scores"][0]["seconds/train"] == metrics["seconds/train"]
    assert asked["keep_checkpoint"] == (tmp_path / "checkpoints" / "best.ckpt", metrics["centroid_key"])
    assert asked["finish"] == (True,)


def test_a_run_that_fails_finishes_its_logger_as_failed(tmp_path):
    with pytest.raises(SystemExit):
        run(tmp_path, f"logger._target_={__name__}.Recorder", "model.num_heads=3")
    assert ASKED[-1] == ("finish", (False,))


def test_what_is_not_a_logger_is_refused_in_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "logger._target_=builtins.dict")
    assert "logger._target_=builtins.dict is not a RunLogger; " in capsys.readouterr().out
