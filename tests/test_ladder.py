"""The ladder of docs/RESULTS.md: every rung composes, and results become tables and a picture."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from audiotok import experiment
from audiotok.programs import config_folder

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "ladder.py"
ROOTS = {"soundscapes": Path("/nowhere"), "esc10": Path("/nowhere")}


@pytest.fixture(scope="module")
def ladder():
    spec = importlib.util.spec_from_file_location("ladder", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ladder"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ladder"]


def test_every_rung_composes_and_names_are_unique(ladder, tmp_path):
    rungs = ladder.read_rungs()
    assert len({rung.name for rung in rungs}) == len(rungs) >= 10
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for rung in rungs:
            one_of_each_corpus = {job.corpus: job for job in ladder.jobs_of(rung, tmp_path, [0])}
            for job in one_of_each_corpus.values():
                config = compose("train", ladder.command(job, ROOTS))
                experiment.check(config)
                experiment.build_tokenizer(config)


def test_soundscapes_run_once_a_seed_and_esc10_once_a_fold(ladder, tmp_path):
    [rung] = [rung for rung in ladder.read_rungs() if rung.name == "scales-bag"]
    jobs = list(ladder.jobs_of(rung, tmp_path, [0, 1]))
    commands = [ladder.command(job, ROOTS)[-1] for job in jobs]
    assert commands == ["seed=0", "seed=1", *(f"data.test_fold={fold}" for fold in (1, 2, 3, 4, 5))]
    assert len({job.folder for job in jobs}) == 7


def test_a_report_has_means_and_deviations_of_what_is_there(ladder, tmp_path):
    rungs = [rung for rung in ladder.read_rungs() if rung.name in {"scales-bag", "mixing-cnn"}]
    for rung in rungs:
        for job in ladder.jobs_of(rung, tmp_path, [0, 1, 2]):
            if job.corpus == "soundscapes" and job.replicate < 2:
                job.folder.mkdir(parents=True)
                scores = dict.fromkeys(("test/mAP", "val/mAP", "test/top1", "test/f1_micro_tuned"), 0.5)
                scores["test/mAP"] = 0.4 + 0.1 * job.replicate
                facts = {"seconds/train": 90, "n_parameters": 2_000_000, "chance/mAP": 0.1}
                (job.folder / "metrics.json").write_text(json.dumps(scores | facts))
    page = tmp_path / "RESULTS.md"
    page.write_text(
        "before\n<!-- soundscapes -->\nold\n<!-- end -->\nbetween\n<!-- esc10 -->\n<!-- end -->\nafter\n"
    )
    ladder.write_report(ladder.results(rungs, tmp_path, [0, 1, 2]), tmp_path)
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 2
    assert all("0.450 ± 0.071" in row and "| 2.0 M | 1.5 |" in row for row in rows)
    assert [row["replicates"] for row in json.loads((tmp_path / "ladder.json").read_text())] == [
        [0, 1],
        [0, 1],
    ]
    assert (tmp_path / "ladder.png").stat().st_size > 1000
