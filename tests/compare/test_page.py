"""The page: what it holds, that it holds all of it, and that its size stays small."""

import base64
import gzip
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from compare import write_runs
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.compare.page import contents
from audiotok.run.reader import find_runs, read_runs


def audiotok_compare(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def embedded(page: str) -> dict:
    [packed] = re.findall(r'id="packed-data">([^<]*)<', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="module")
def page(twelve_runs, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "compare.html"
    code, output = audiotok_compare(twelve_runs, "--to", path)
    assert code == 0
    assert output == f"Compared 12 runs in {path} ({path.stat().st_size / 1e6:.1f} MB).\n"
    return path.read_text(encoding="utf-8")


def test_nothing_in_the_page_is_loaded_from_elsewhere(page):
    frame = re.sub(r'(id="packed-\w+">)[^<]*', r"\1", page)
    assert not re.search(r"https?:|@import|url\(|\bfetch\(|XMLHttpRequest|import\(", frame)
    assert re.findall(r'(?:src|href)="([^"]*)"', frame) == ["data:,"]
    assert not re.search(r"/\*(style|program|data|plotly)\*/", page)


def test_the_page_holds_settings_scores_curves_and_classes_of_every_run(page, twelve_runs):
    data = embedded(page)
    labels = [column["label"] for column in data["columns"]]
    assert {"seed", "n_clusters", "lr", "test/mAP", "seconds/train"} <= set(labels)
    assert [run["name"] for run in data["runs"]] == [f"{number:03}" for number in range(12)]
    metrics = json.loads((twelve_runs / "004" / "metrics.json").read_text())
    assert data["runs"][4]["cells"][labels.index("test/mAP")] == pytest.approx(metrics["test/mAP"], rel=1e-5)
    assert data["runs"][4]["curves"]["val/mAP"][0] == list(range(20))
    assert len(data["class_sets"]) == 1
    assert len(data["runs"][4]["precision"]) == len(data["class_sets"][0]) == 10
    assert len(data["importance"]["losses"]) >= 1


def test_runs_on_the_same_clips_are_resampled_alike_and_others_stand_apart(twelve_runs, tmp_path):
    write_runs(tmp_path / "other", 1, n_clips=20, n_classes=10)
    shutil.copytree(twelve_runs / "000", tmp_path / "one")
    shutil.copytree(twelve_runs / "000", tmp_path / "same")
    one, other, same = contents(read_runs(find_runs([tmp_path])), "test/mAP")["runs"]
    assert one["test_set"] == same["test_set"] != other["test_set"]
    assert one["resampled"] == same["resampled"]
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert one["mAP"] == pytest.approx(metrics["test/mAP"], rel=1e-5)
    assert np.mean(one["resampled"]) / 1e5 == pytest.approx(one["mAP"], abs=0.05)


def test_settings_and_scores_that_are_no_numbers_do_not_stop_the_page(twelve_runs, tmp_path):
    shutil.copytree(twelve_runs, tmp_path / "runs", ignore=shutil.ignore_patterns("checksums.json"))
    config, metrics = (tmp_path / "runs" / "003" / name for name in ("config.yaml", "metrics.json"))
    settings = yaml.safe_load(config.read_text())
    settings["optimizer"]["lr"] = float("nan")
    config.write_text(yaml.safe_dump(settings))
    scores = json.loads(metrics.read_text()) | {"test/mAP": float("nan"), "test/top1": float("inf")}
    metrics.write_text(json.dumps(scores))
    assert "NaN" in metrics.read_text()
    code, output = audiotok_compare(tmp_path / "runs", "--to", tmp_path / "page.html")
    assert (code, output[:16]) == (0, "Compared 12 runs")
    data = embedded((tmp_path / "page.html").read_text(encoding="utf-8"))
    cells = dict(zip((column["label"] for column in data["columns"]), data["runs"][3]["cells"], strict=True))
    assert (cells["lr"], cells["test/mAP"], data["runs"][3]["notes"]) == ("nan", None, [])


def test_200_runs_take_less_than_5_mb(tmp_path):
    write_runs(tmp_path / "runs", 200, n_clips=40)  # so few that it is quick; their number is not in the page
    code, _ = audiotok_compare(tmp_path / "runs", "--to", tmp_path / "page.html")
    assert code == 0
    assert (tmp_path / "page.html").stat().st_size < 5e6


def test_bad_input_is_one_sentence(twelve_runs, tmp_path):
    assert audiotok_compare(tmp_path / "no") == (
        1,
        f"FOLDER={tmp_path / 'no'} is not a folder; give folders of runs, or one that contains them.\n",
    )
    code, output = audiotok_compare(twelve_runs, "--metric", "test/map")
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith("--metric=test/map is in none of the 12 runs; they have chance/mAP, ")
    code, output = audiotok_compare(twelve_runs / "000", "--to", tmp_path / "no" / "page.html")
    assert (code, output.count("\n")) == (1, 1)
    assert "cannot be written" in output


def test_a_missing_extra_is_one_sentence(twelve_runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    code, output = audiotok_compare(twelve_runs, "--to", tmp_path / "page.html")
    assert (code, output) == (
        1,
        "audiotok compare needs plotly, which is not installed; pip install 'audiotok[compare]'.\n",
    )


def test_text_of_a_run_cannot_break_out_of_the_page(twelve_runs, tmp_path):
    folder = tmp_path / "<script>alert(1)</script>".replace("/", "")
    shutil.copytree(twelve_runs / "000", folder)
    audiotok_compare(folder, "--to", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "alert(1)" not in text
    assert embedded(text)["runs"][0]["name"] == folder.name
