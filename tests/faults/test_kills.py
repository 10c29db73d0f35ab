"""Programs are killed with SIGKILL at a change of the file system, or at any moment, and then run again.

Nothing is ever half written, the second run gives what an undisturbed one gives, bit by bit, and neither
files nor processes are left behind, but for empty lock files that the next use of the cache removes.
"""

import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from forks import contents

from audiotok.kinds import KINDS
from audiotok.run.folder import RunFolder
from audiotok.store import Store

pytestmark = pytest.mark.faults
SHARES = {"train": 60, "resume": 40, "pretrain": 30, "prepare": 40, "sweep": 30}  # of 200 kills
_SECONDS = 2.0  # that workers may live longer


def of_seconds(name):
    """Tell whether a column or a key depends on how long something takes."""
    return "seconds" in name or "clips_per_second" in name


def table(path):
    """Return a CSV without the columns that depend on time."""
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [column for column, name in enumerate(rows[0]) if not of_seconds(name)]
    return [[row[column] for column in kept] for row in rows]


def scores(path):
    """Return a JSON object without the keys that depend on time."""
    return {key: value for key, value in json.loads(path.read_text()).items() if not of_seconds(key)}


def arrays(path):
    """Return the bytes of an array, or of every array of an archive."""
    found = np.load(path, allow_pickle=False)
    return {name: found[name].tobytes() for name in found} if path.suffix == ".npz" else found.tobytes()


def weights(path):
    """Return the bytes of the weights of a checkpoint, and where it was written."""
    checkpoint = torch.load(path, weights_only=True)
    tensors = {name: tensor.numpy().tobytes() for name, tensor in checkpoint["state_dict"].items()}
    return tensors, checkpoint["epoch"], checkpoint["global_step"]


READERS = {
    ".npy": arrays,
    ".npz": arrays,
    ".ckpt": weights,
    "metrics.json": scores,
    "report.json": scores,
    "history.csv": table,
    "per_class.csv": table,
    "skipped.csv": table,
    "sweep.csv": table,
    "config.yaml": lambda path: path.read_text(encoding="utf-8"),  # without its folder, see `results`
}


def results(folder):
    """Read every result below a folder, but for parts and for what Hydra writes; a broken one raises."""
    found = {}
    for name, path in contents(folder).items():
        read = READERS.get(path.name) or READERS.get(path.suffix)
        hidden = any(part.startswith(".") for part in name.split("/"))
        if read and not hidden:
            read_now = read(path)
            found[name] = read_now.replace(str(folder), "") if isinstance(read_now, str) else read_now
        if name.endswith("metrics.json"):  # compared with its checksum
            RunFolder(path.parent).read_metrics()
    return found


def kill(scene, folder, moment):
    """Kill a command and run it again; return what is wrong afterwards, or "" if nothing is."""
    killed = scene.run(scene.prepared(folder), **moment)
    if killed["status"] == 0:  # it ended before
        return ""
    if killed["survived"] > _SECONDS:
        return f"processes lived for {killed['survived']:.1f} s"
    try:
        results(folder)
    except Exception as error:
        return f"something is half written ({error!r})"
    again = scene.run(folder)
    if again["status"]:
        return f"the same command again ends with {again['status']}: {again['output'][-600:]}"
    # A sweep whose jobs are all done opens no cache, so that the hold of the killed one is still there.
    store = Store(folder / "cache")
    for kind in KINDS:
        store.tidy(kind)
    left = set(contents(folder)) ^ set(contents(scene.after))
    if left:
        return f"files differ: {sorted(left)}"
    temporary = [path.name for path in folder.with_suffix(".tmp").iterdir()]
    if temporary:
        return f"{temporary} are left in TMPDIR"
    found, expected = results(folder), results(scene.after)
    different = [name for name in expected if found[name] != expected[name]]
    return f"results differ: {different}" if different else ""


@pytest.mark.parametrize("name", SHARES)
def test_a_killed_program_runs_again_to_the_same_results(name, scenes, tries, tally, tmp_path):
    scene = scenes(name)
    outcomes, wrong = Counter(), []
    for n in range(tries(SHARES[name])):
        chance = random.Random(f"{name} {n}")
        at = {"kill_at": chance.randint(1, scene.n_changes)}
        moment = at if n % 2 == 0 else {"kill_after": chance.uniform(0.0, scene.seconds)}
        problem = kill(scene, tmp_path / str(n), moment)
        outcomes["wrong" if problem else "equal"] += 1
        if problem:
            wrong.append(f"{name}, {moment}: {problem}")
    tally(f"kill -9 of {name}, then the same command again", outcomes)
    assert not wrong, "\n".join(wrong)
