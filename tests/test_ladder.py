"""The ladder of docs/RESULTS.md: every rung composes, and results become tables and a picture."""

import json
from itertools import cycle
from pathlib import Path

import ladder
from configuration import compose_program

from audiotok import experiment

ROOTS = {"soundscapes": Path("/nowhere"), "esc10": Path("/nowhere")}


def test_every_rung_composes_and_names_are_unique(tmp_path):
    rungs = ladder.read_rungs()
    assert len({rung.name for rung in rungs}) == len(rungs) >= 10
    for rung, corpus in zip(rungs, cycle(ROOTS), strict=False):  # composing takes longer than all the rest
        job = next(job for job in ladder.jobs_of(rung, tmp_path, [0]) if job.corpus == corpus)
        config = compose_program(ladder.command(job, ROOTS))
        experiment.check(config)
        experiment.build_tokenizer(config)


def test_soundscapes_run_once_per_seed_and_esc10_once_per_fold(tmp_path):
    [rung] = [rung for rung in ladder.read_rungs() if rung.name == "scales-bag"]
    jobs = list(ladder.jobs_of(rung, tmp_path, [0, 1]))
    replicates = [ladder.command(job, ROOTS)[-1] for job in jobs]
    assert replicates == ["seed=0", "seed=1", *(f"data.test_fold={fold}" for fold in (1, 2, 3, 4, 5))]
    assert len({job.folder for job in jobs}) == 7


def test_a_report_has_the_means_and_deviations_of_finished_runs(tmp_path):
    rungs = [rung for rung in ladder.read_rungs() if rung.name in {"scales-bag", "mixing-cnn"}]
    for rung in rungs:
        for job in ladder.jobs_of(rung, tmp_path, [0, 1, 2]):
            if job.corpus == "soundscapes" and job.replicate < 2:
                job.folder.path.mkdir(parents=True)
                scores = dict.fromkeys(("test/mAP", "val/mAP", "test/top1", "test/f1_micro_tuned"), 0.5)
                scores["test/mAP"] = 0.4 + 0.1 * job.replicate
                facts = {"seconds/train": 90, "n_parameters": 2_000_000, "chance/mAP": 0.1}
                job.folder.write_metrics(scores | facts)
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
