"""How much each step of the recipe improves the scores: run the rungs of docs/RESULTS.md and report them.

    python benchmarks/ladder.py run --soundscapes DIR --esc10 DIR --out OUT [--rung NAME]... [--seeds 0,1,2]
    python benchmarks/ladder.py report --out OUT

`run` trains every rung of benchmarks/ladder.yaml that OUT does not have yet: on soundscapes once per seed, on
ESC-10 once per fold. Each job is what `python train.py ...` does on one thread; two jobs run at a time, in
processes that import torch once. An interrupted command can be started again. Every run chooses its epoch on
validation clips and is tested once. `report` writes docs/ladder.json (every number), the tables in
docs/RESULTS.md, and docs/ladder.png.
"""

import argparse
import logging
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from configuration import compose_program
from omegaconf import OmegaConf
from report import write_json

from audiotok import experiment
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder

ROOT = Path(__file__).parents[1]
RUNGS = Path(__file__).with_suffix(".yaml")
FOLDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Rung:
    """One row of the ladder.

    Args:
        name: Short name, for tables and folders.
        overrides: Overrides of `python train.py data=...`.
        says: Description, for the tables.
        corpora: Names of the corpora.
        pretrain: Overrides of `audiotok pretrain data=...`, which runs first; empty for no pretraining.
    """

    name: str
    overrides: tuple[str, ...]
    says: str
    corpora: tuple[str, ...]
    pretrain: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One run of a rung, and its folder."""

    rung: Rung
    corpus: str
    replicate: int
    folder: RunFolder

    @property
    def is_done(self) -> bool:
        """Whether the run has results."""
        return self.folder.metrics.is_file()


def read_rungs() -> list[Rung]:
    """Read benchmarks/ladder.yaml."""
    rungs = []
    for node in OmegaConf.to_container(OmegaConf.load(RUNGS)):
        overrides = tuple(node.get("overrides", "").split())
        pretrain = tuple(node.get("pretrain", "").split())
        rungs.append(Rung(node["name"], overrides, node["says"], tuple(node["corpora"]), pretrain))
    return rungs


def jobs_of(rung: Rung, out: Path, seeds: list[int]) -> Iterator[Job]:
    """List the runs of a rung."""
    for corpus in rung.corpora:
        for replicate in FOLDS if corpus == "esc10" else seeds:
            folder = RunFolder(out / corpus / rung.name / str(replicate))
            yield Job(rung, corpus, replicate, folder)


def command(job: Job, roots: dict[str, Path]) -> list[str]:
    """Return the arguments of `python train.py` for a job."""
    if job.corpus == "esc10":
        data = ["data=esc50", "data.subset=esc10", f"data.root={roots['esc10']}"]
        replicate = [f"data.test_fold={job.replicate}"]
    else:
        data = ["data=audioset", f"data.root={roots['soundscapes']}"]
        replicate = [f"seed={job.replicate}"]
    return [*data, *job.rung.overrides, *replicate]


def prepare_process() -> None:
    """Limit a process to one thread, and its log to warnings."""
    import torch

    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.WARNING)


def run(job: Job, roots: dict[str, Path]) -> str:
    """Run a job, after its pretraining if it has one, and return a line about the outcome."""
    start = time.perf_counter()
    arguments = command(job, roots)
    try:
        if job.rung.pretrain:
            before = RunFolder(job.folder.path.with_name(f"{job.replicate}-pretrained"))
            supervised = ("trainer.", "augment", "optimizer.", "callbacks=", "loss.")
            shared = [argument for argument in arguments if not argument.startswith(supervised)]
            run_program("pretrain", [*shared, *job.rung.pretrain], before)
            arguments.append(f"model.init_from={before}")
        results = run_program("train", arguments, job.folder)
        outcome = f"val/mAP {results['val/mAP']:.4f}"  # test scores are only read by the report
    except Exception as error:  # the other jobs continue
        outcome = f"failed: {error!r}"
    minutes = (time.perf_counter() - start) / 60
    return f"{job.corpus} {job.rung.name} {job.replicate}: {outcome}, {minutes:.1f} min"


def run_program(
    program: Literal["train", "pretrain"], overrides: list[str], folder: RunFolder
) -> dict[str, Any]:
    """Run `audiotok PROGRAM OVERRIDES hydra.run.dir=FOLDER` in this process."""
    config = compose_program([*overrides, "logger=none", "loader.n_workers=0"], program)
    destination = Destination(folder, name=folder.path.parent.name, group=None, program=program)
    return {"train": experiment.train, "pretrain": experiment.pretrain}[program](config, destination)


def results(rungs: list[Rung], out: Path, seeds: list[int]) -> list[dict[str, Any]]:
    """Return a row for each rung and corpus that has results."""
    rows = []
    for rung in rungs:
        for corpus in rung.corpora:
            jobs = [job for job in jobs_of(rung, out, seeds) if job.corpus == corpus and job.is_done]
            metrics = [job.folder.read_metrics() for job in jobs]
            if metrics:
                rows.append(_row(rung, corpus, jobs, metrics))
    return rows


def _row(rung: Rung, corpus: str, jobs: list[Job], metrics: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "rung": rung.name,
        "says": rung.says,
        "corpus": corpus,
        "command": " ".join(("python train.py", *rung.overrides)),
        "pretrain": " ".join(("audiotok pretrain", *rung.pretrain)) if rung.pretrain else "",
        "replicates": [job.replicate for job in jobs],
        "minutes": statistics.fmean(m["seconds/train"] for m in metrics) / 60,
        "n_parameters": metrics[0]["n_parameters"],
        "chance": metrics[0]["chance/mAP"],
    }
    for key in ("test/mAP", "val/mAP", "test/top1", "test/f1_micro_tuned"):
        values = [m[key] for m in metrics]
        row[key] = statistics.fmean(values)
        row[f"{key} sd"] = statistics.stdev(values) if len(values) > 1 else math.nan
    return row


def table(rows: list[dict[str, Any]], corpus: str) -> str:
    """Return the Markdown table of a corpus."""
    score, name = ("test/mAP", "test mAP") if corpus == "soundscapes" else ("test/top1", "accuracy")
    other, other_name = ("val/mAP", "val mAP") if corpus == "soundscapes" else ("test/mAP", "test mAP")
    lines = [
        f"| rung | | {name} | {other_name} | parameters | minutes "
        "| overrides after `python train.py data=…` |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["corpus"] == corpus:
            arguments = row["command"].removeprefix("python train.py").strip()
            before = f"after `{row['pretrain']}`: " if row["pretrain"] else ""
            cells = [f"`{row['rung']}`", row["says"], _pair(row, score), _pair(row, other)]
            cells += [f"{row['n_parameters'] / 1e6:.1f} M", f"{row['minutes']:.1f}"]
            after = f"`{arguments}`" if arguments else "none: the defaults"
            lines.append(f"| {' | '.join(cells)} | {before}{after} |")
    return "\n".join(lines)


def _pair(row: dict[str, Any], key: str) -> str:
    spread = row[f"{key} sd"]
    return f"{row[key]:.3f}" if math.isnan(spread) else f"{row[key]:.3f} ± {spread:.3f}"


def write_report(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write ladder.json, replace the tables between the markers in RESULTS.md, and draw ladder.png."""
    clean = [{k: None if v != v else v for k, v in row.items()} for row in rows]
    write_json(clean, folder / "ladder.json")
    page = folder / "RESULTS.md"
    text = page.read_text(encoding="utf-8")
    for corpus in ("soundscapes", "esc10"):
        begin, end = f"<!-- {corpus} -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table(rows, corpus)}\n{end}{rest.partition(end)[2]}"
    page.write_text(text, encoding="utf-8")
    draw(rows, folder / "ladder.png")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the rungs as bars with their spread, and lines for chance and published results."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = {"soundscapes": [], "esc10": [("random forest", 0.727), ("human", 0.957)]}  # Piczak 2015
    titles = {"soundscapes": "soundscapes: test mAP", "esc10": "ESC-10: accuracy, 5 folds"}
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for axis, (corpus, title) in zip(axes, titles.items(), strict=True):
        score = "test/mAP" if corpus == "soundscapes" else "test/top1"
        chosen = [row for row in rows if row["corpus"] == corpus][::-1]
        spreads = [0 if math.isnan(row[f"{score} sd"]) else row[f"{score} sd"] for row in chosen]
        controls = {"mixing-cnn", "mixing-frames"}
        colors = ["#b8b8b8" if row["rung"] in controls else "#3b6ea5" for row in chosen]
        axis.barh([row["rung"] for row in chosen], [row[score] for row in chosen], xerr=spreads, color=colors)
        for label, value in [("chance", chosen[0]["chance"] if chosen else 0), *lines[corpus]]:
            axis.axvline(value, color="#aa3333", linestyle="--", linewidth=1)
            axis.annotate(label, (value, 1), xycoords=("data", "axes fraction"), color="#aa3333", ha="center")
        axis.set_title(title, loc="left", pad=20)
        axis.set_xlim(0, 1 if corpus == "esc10" else None)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--soundscapes", type=Path, help="folder in AudioSet's layout")
    parser.add_argument("--esc10", type=Path, help="folder in ESC-50's layout")
    parser.add_argument("--rung", action="append", help="run only this one; repeatable")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the runs on soundscapes")
    parser.add_argument("--jobs", type=int, default=2, help="jobs at a time")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rungs = [rung for rung in read_rungs() if not options.rung or rung.name in options.rung]
    out = options.out.absolute()
    if options.what == "report":
        write_report(results(rungs, out, seeds), ROOT / "docs")
        return
    roots = {name: path.absolute() for name in ("soundscapes", "esc10") if (path := getattr(options, name))}
    jobs = [job for rung in rungs for job in jobs_of(rung, out, seeds) if job.corpus in roots]
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the processes load torch and FAISS
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, processes, prepare_process) as pool:
        started = [pool.submit(run, job, roots) for job in jobs if not job.is_done]
        for done in as_completed(started):
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
