"""What each step brings: the rungs of docs/RESULTS.md, run and reported.

    python benchmarks/ladder.py run --soundscapes DIR --esc10 DIR --out OUT [--rung NAME]... [--seeds 0,1,2]
    python benchmarks/ladder.py report --out OUT

`run` trains what OUT lacks, each job as `python train.py ...` would on one thread, two at a time in
processes that import torch once: soundscapes once for each seed, ESC-10 once for each fold. It can be
stopped and started again. `report` writes docs/ladder.json (every number), the tables of docs/RESULTS.md
and docs/ladder.png. Every run chooses its epoch on validation clips and is tested once.
"""

import argparse
import json
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
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from audiotok import experiment
from audiotok.programs import config_folder
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder

ROOT = Path(__file__).parents[1]
RUNGS = Path(__file__).with_suffix(".yaml")
FOLDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Rung:
    """One line of the ladder.

    Args:
        name: Short, for tables and folders.
        overrides: What follows `python train.py data=...`.
        says: What it is there to show.
        corpora: Which corpora it is run on.
        pretrain: What follows `audiotok pretrain data=...` before it; nothing for no pretraining.
    """

    name: str
    overrides: tuple[str, ...]
    says: str
    corpora: tuple[str, ...]
    pretrain: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One run of a rung, and where its results go."""

    rung: Rung
    corpus: str
    replicate: int
    folder: Path

    @property
    def is_done(self) -> bool:
        """Whether its results are there."""
        return (self.folder / "metrics.json").is_file()


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
            yield Job(rung, corpus, replicate, out / corpus / rung.name / str(replicate))


def command(job: Job, roots: dict[str, Path]) -> list[str]:
    """Return what follows `python train.py` for a job."""
    if job.corpus == "esc10":
        data = ["data=esc50", "data.subset=esc10", f"data.root={roots['esc10']}"]
        replicate = [f"data.test_fold={job.replicate}"]
    else:
        data = ["data=audioset", f"data.root={roots['soundscapes']}"]
        replicate = [f"seed={job.replicate}"]
    return [*data, *job.rung.overrides, *replicate]


def prepare_process() -> None:
    """Keep a process on one thread, and its log to warnings."""
    import torch

    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.WARNING)


def run(job: Job, roots: dict[str, Path]) -> str:
    """Run a job, after its pretraining where it has one, and say how it went."""
    start = time.perf_counter()
    arguments = command(job, roots)
    try:
        if job.rung.pretrain:
            before = job.folder.with_name(f"{job.folder.name}-pretrained")
            labels = ("trainer.", "augment", "optimizer.", "callbacks=", "loss.")  # of training with labels
            shared = [argument for argument in arguments if not argument.startswith(labels)]
            work("pretrain", [*shared, *job.rung.pretrain], before)
            arguments.append(f"model.init_from={before}")
        results = work("train", arguments, job.folder)
        outcome = f"val/mAP {results['val/mAP']:.4f}"  # the test scores wait for the report
    except Exception as error:  # of a night's jobs, the others go on
        outcome = f"failed: {error!r}"
    minutes = (time.perf_counter() - start) / 60
    return f"{job.corpus} {job.rung.name} {job.replicate}: {outcome}, {minutes:.1f} min"


def work(verb: str, overrides: list[str], folder: Path) -> dict[str, Any]:
    """Do what `audiotok VERB OVERRIDES hydra.run.dir=FOLDER` does, in this process."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(verb, [*overrides, "logger=none", "loader.n_workers=0"])
    return getattr(experiment, verb)(
        config, Destination(RunFolder(folder), folder.parent.name, None, program=verb)
    )


def results(rungs: list[Rung], out: Path, seeds: list[int]) -> list[dict[str, Any]]:
    """Return one row for each rung and corpus with results."""
    rows = []
    for rung in rungs:
        for corpus in rung.corpora:
            jobs = [job for job in jobs_of(rung, out, seeds) if job.corpus == corpus and job.is_done]
            metrics = [json.loads((job.folder / "metrics.json").read_text(encoding="utf-8")) for job in jobs]
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
    """Write ladder.json, put the tables into RESULTS.md between their marks, and draw ladder.png."""
    clean = [{k: None if v != v else v for k, v in row.items()} for row in rows]
    (folder / "ladder.json").write_text(json.dumps(clean, indent=1) + "\n", encoding="utf-8")
    page = folder / "RESULTS.md"
    text = page.read_text(encoding="utf-8")
    for corpus in ("soundscapes", "esc10"):
        begin, end = f"<!-- {corpus} -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table(rows, corpus)}\n{end}{rest.partition(end)[2]}"
    page.write_text(text, encoding="utf-8")
    draw(rows, folder / "ladder.png")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the rungs as bars with their spread, chance and the published lines of other work."""
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
    """Read the command line and do what it says."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--soundscapes", type=Path, help="folder in AudioSet's layout")
    parser.add_argument("--esc10", type=Path, help="folder in ESC-50's layout")
    parser.add_argument("--rung", action="append", help="run these only")
    parser.add_argument("--seeds", default="0,1,2", help="of the runs on soundscapes")
    parser.add_argument("--jobs", type=int, default=2, help="at the same time")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rungs = [rung for rung in read_rungs() if not options.rung or rung.name in options.rung]
    out = options.out.absolute()
    if options.what == "report":
        write_report(results(rungs, out, seeds), ROOT / "docs")
        return
    roots = {name: path.absolute() for name in ("soundscapes", "esc10") if (path := getattr(options, name))}
    jobs = [job for rung in rungs for job in jobs_of(rung, out, seeds) if job.corpus in roots]
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch and FAISS are loaded in the processes
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, processes, prepare_process) as pool:
        started = [pool.submit(run, job, roots) for job in jobs if not job.is_done]
        for done in as_completed(started):
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
