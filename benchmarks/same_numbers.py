"""Check that a change to the code leaves every number of a run as it was: two commits, the same commands.

    python benchmarks/same_numbers.py --before COMMIT                   against the working tree
    python benchmarks/same_numbers.py --before COMMIT --after COMMIT    against another commit
    python benchmarks/same_numbers.py --before COMMIT --keep DIR        keep runs, reuse those of a commit
    python benchmarks/same_numbers.py --before COMMIT --epochs 1 --case embedded

Each case is one `python train.py` with seed 0 and one thread, on the CPU, with its own cache. A commit runs
in a git worktree of its own; the working tree runs in place, so do not edit its files meanwhile. The script
uses only the command line and the files that a run leaves, so modules may move between the two commits.

It compares the numbers in `metrics.json`, except durations and rates, and, bit for bit, the arrays in
`predictions.npz`, in `vocabulary/` and in the cache of tokens. The exit status is 1 if anything differs or
fails. Cases that read real audio are skipped where it is absent. All of them take about an hour a commit.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
_BAG = "model=bag features.stride=2 optimizer.weight_decay=0.1 optimizer.lr=5e-4 loss.label_smoothing=0.1"
CASES = {  # where its corpus may be, the first folder that exists; Hydra overrides
    "embedded": ([], ""),
    "soundscapes": (["soundscapes"], "data=audioset"),
    "soundscapes_bag": (["soundscapes"], f"data=audioset {_BAG} callbacks=default"),
    "esc10": (["esc10", "esc50"], "data=esc50 data.subset=esc10 data.test_fold=1"),
}
KINDS = ("scores", "predictions", "vocabulary", "tokens")  # two runs must have some of each
WORKING_TREE = "working_tree"  # in place of a commit hash
Run = dict[str, Any]  # metrics by their keys, and arrays by names such as predictions/scores


@dataclass
class Comparison:
    """How two runs compare: a difference is a failure, a note is not."""

    compared: Counter[str] = field(default_factory=Counter)  # numbers and arrays of each kind
    unequal: Counter[str] = field(default_factory=Counter)  # missing ones included
    largest: float = 0.0  # absolute difference between two numbers
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases on both commits, print what differs, and return the exit status."""
    corpora = CHECKOUT.parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", required=True, help="commit that has the expected numbers")
    parser.add_argument("--after", default=WORKING_TREE, help="commit to check; default: the working tree")
    parser.add_argument("--only-before", action="store_true", help="run --before alone, for a later --keep")
    parser.add_argument("--case", action="append", choices=CASES, help="this one; repeatable; default: all")
    parser.add_argument("--epochs", type=int, help="trainer.max_epochs of every case")
    parser.add_argument("--keep", type=Path, help="folder that keeps runs, as DIR/<commit hash>/<case>")
    parser.add_argument("--corpora", type=Path, default=corpora, help="folder of soundscapes/ and esc10/")
    options = parser.parse_args(arguments)
    revisions = [options.before] if options.only_before else [options.before, options.after]
    commits = [r if r == WORKING_TREE else git("rev-parse", "--verify", f"{r}^{{commit}}") for r in revisions]
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        keep = (options.keep or Path(temporary)).resolve()
        for case in options.case or CASES:
            folders, overrides = CASES[case]
            roots = [options.corpora / name for name in folders if (options.corpora / name).is_dir()]
            if folders and not roots:
                print(f"{case}: SKIPPED, its corpus is not in {options.corpora}", flush=True)
                continue
            command = ["train.py", "logger=none", "seed=0", *overrides.split()]
            command += [f"data.root={root.resolve()}" for root in roots[:1]]
            command += [f"trainer.max_epochs={options.epochs}"] if options.epochs else []
            try:
                runs = [train(commit, keep / commit / case, command) for commit in commits]
            except (OSError, RuntimeError) as error:
                print(f"{case}: FAILED, {error}", flush=True)
                failed = True
                continue
            if not options.only_before:
                comparison = compare_runs(*runs)
                print(describe(case, comparison), flush=True)
                failed |= bool(comparison.differences)
    return int(failed)


def train(commit: str, folder: Path, command: list[str]) -> Run:
    """Train in a folder, or reuse what the same command left there of this commit.

    Raises:
        RuntimeError: The command failed, or Python would import the code of another checkout.
    """
    done = folder / "command.json"  # written last, so that an interrupted run is not reused
    if commit != WORKING_TREE and done.is_file() and json.loads(done.read_text(encoding="utf-8")) == command:
        print(f"{folder.name}: reusing the run of {commit[:12]}", flush=True)
        return read_run(folder)
    print(f"{folder.name}: running {commit[:12]}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    root = CHECKOUT if commit == WORKING_TREE else folder / "checkout"
    if root != CHECKOUT:
        git("worktree", "add", "--quiet", "--force", "--detach", str(root), commit)
    try:
        imported = python(root, "-c", "import audiotok; print(audiotok.__file__)").strip()
        if not Path(imported).is_relative_to(root):
            raise RuntimeError(f"Python imports {imported}, which is not in {root}")
        python(root, *command, f"hydra.run.dir={folder}/run", f"cache_dir={folder}/cache")
    finally:
        if root != CHECKOUT:
            git("worktree", "remove", "--force", str(root))
    done.write_text(json.dumps(command) + "\n", encoding="utf-8")
    return read_run(folder)


def git(*arguments: str) -> str:
    """Run git in this checkout and return what it prints."""
    return subprocess.check_output(["git", "-C", str(CHECKOUT), *arguments], text=True).strip()


def python(root: Path, *arguments: str) -> str:
    """Run Python on the code of a checkout, on one thread of the CPU, and return what it prints."""
    settings = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(root / "src")}
    command, environment = [sys.executable, *arguments], {**os.environ, **settings}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} in {root} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def read_run(folder: Path) -> Run:
    """Read a run's metrics and arrays; caches of tokens are numbered by content, as their keys may change."""
    run: Run = json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    with np.load(folder / "run" / "predictions.npz") as file:
        run |= {f"predictions/{name}": file[name] for name in file.files}
    vocabulary = (folder / "run" / "vocabulary").glob("*.npy")
    run |= {f"vocabulary/{path.name}": np.load(path) for path in vocabulary}
    caches = [path.parent for path in (folder / "cache" / "tokens").glob("*/rows.npy")]
    caches.sort(key=lambda cache: (cache / "rows.npy").read_bytes())
    for number, cache in enumerate(caches):
        run |= {f"tokens/{number}/{name}": np.load(cache / name) for name in ("rows.npy", "index.npy")}
    return run


def compare_runs(before: Run, after: Run) -> Comparison:
    """Compare all that both runs have; neither may lack a score, nor `after` an array."""
    found = Comparison()
    for key in sorted(before.keys() | after.keys()):
        if key == "train/clips_per_second" or key.startswith("seconds/") or key.endswith("/seconds"):
            continue
        kind, a, b = kind_of(key), before.get(key), after.get(key)
        fails = kind == "scores" or isinstance(a, np.ndarray)
        if key in before and key in after:
            found.compared[kind] += 1
            text, fails = difference(a, b), fails or isinstance(a, int | float)
            if isinstance(a, int | float) and isinstance(b, int | float):
                found.largest = float(np.fmax(found.largest, abs(a - b)))
        else:
            text = "only before" if key in before else "only after"
        if text:
            found.unequal[kind] += fails
            (found.differences if fails else found.notes).append(f"{key}: {text}")
    found.differences += [f"{kind}: nothing to compare" for kind in KINDS if not found.compared[kind]]
    return found


def kind_of(key: str) -> str:
    """Return one of `KINDS`, or "other"."""
    kind = "scores" if key.startswith(("val/", "test/")) else key.partition("/")[0]
    return kind if kind in KINDS else "other"


def difference(a: Any, b: Any) -> str:
    """Say how two values or arrays differ; an empty string if they do not. NaN equals NaN."""
    if isinstance(a, np.ndarray):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return f"{a.dtype} {a.shape} before, {b.dtype} {b.shape} after"
        return "" if a.tobytes() == b.tobytes() else f"{np.count_nonzero(a != b)} of {a.size} values differ"
    return "" if a == b or (a != a and b != b) else f"{a!r} before, {b!r} after"


def describe(case: str, found: Comparison) -> str:
    """Return the result as lines of text: counts of each kind, differences, notes."""
    lines = [f"{case}: {'DIFFERENT' if found.differences else 'equal'}, largest difference {found.largest:g}"]
    kinds = (*KINDS, "other")
    lines += [f"{k:12}{found.compared[k]:4} compared, {found.unequal[k] or 'none'} unequal" for k in kinds]
    lines += [f"DIFFERENT {line}" for line in found.differences] + [f"note: {line}" for line in found.notes]
    return "\n  ".join(lines)


if __name__ == "__main__":
    sys.exit(main())
