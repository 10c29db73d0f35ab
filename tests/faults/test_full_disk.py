"""Disks that fill up while a program writes: by a limit of sizes, by errors, and in truth.

A program ends with one sentence, or goes on where it can; it never shows a traceback, earlier results stay,
and the same command passes once there is room.
"""

import errno
import math
import random
import re
from collections import Counter

import pytest
from test_kills import results

pytestmark = pytest.mark.faults
NAMES = ("train", "resume", "pretrain", "prepare", "sweep")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
SENTENCE = re.compile(
    r"^(?:\d\d:\d\d:\d\d |\[.*\]\[HYDRA\] )?"
    r"(?:(?:hydra\.run\.dir|hydra\.sweep\.dir|cache_dir|TMPDIR)=\S+ (?:cannot be written|has less than)"
    r"|loader\.n_workers: workers hand over batches in shared memory, which is full)",
    re.M,
)


def fault(ended):
    """Return what is wrong with the end of a starved program, or "" if nothing is."""
    output = ended["output"]
    if "Traceback" in output or "Logging error" in output:
        return f"a traceback: {output[-1500:]}"
    if ended["status"] not in (0, 1):
        return f"status {ended['status']}: {output[-600:]}"
    sentences = SENTENCE.findall(output)
    most = 3 if "hydra.sweep.dir" in output else 1  # one for each of the two jobs, and one for the table
    if ended["status"] == 1 and not 1 <= len(sentences) <= most:
        return f"{len(sentences)} sentences: {output[-600:]}"
    return ""


def outcome(ended, problem):
    """Return the word for the table."""
    return "wrong" if problem else "went on" if ended["status"] == 0 else "one sentence"


def starve(scene, folder, request):
    """Run a starved command, and again with room; return the outcome and what is wrong."""
    ended = scene.run(scene.prepared(folder), **request)
    problem = fault(ended)
    if not problem:
        try:
            results(folder)
        except Exception as error:
            problem = f"something is half written ({error!r})"
    if not problem:
        again = scene.run(folder)
        if again["status"]:
            problem = f"with room it ends with {again['status']}: {again['output'][-600:]}"
        elif results(folder) != results(scene.after):
            problem = "with room its results differ"
    return outcome(ended, problem), problem


def check(points, tally, title):
    """Enter the outcomes of some points into the table, and fail if one is wrong."""
    tally(title, Counter(kind for _, (kind, _) in points))
    assert not [f"{point}: {problem}" for point, (_, problem) in points if problem]


def test_a_limit_of_the_size_of_files(scenes, tries, tally, tmp_path):
    points = []
    for n in range(tries(20, least=2)):
        chance = random.Random(f"limit {n}")
        name = NAMES[n % len(NAMES)]
        limit = round(math.exp(chance.uniform(math.log(200), math.log(60_000))))
        points.append(((name, limit), starve(scenes(name), tmp_path / str(n), {"limit": limit})))
    check(points, tally, "files limited to 200 bytes up to 60 kB (ulimit -f)")


def test_every_change_fails_from_some_moment_on(scenes, tries, tally, tmp_path):
    points = []
    for n in range(tries(24, least=2)):
        chance = random.Random(f"change {n}")
        name = NAMES[n % len(NAMES)]
        request = {"fail_from": chance.randint(1, scenes(name).n_changes), "error": ERRORS[n % len(ERRORS)]}
        points.append(((name, request), starve(scenes(name), tmp_path / str(n), request)))
    check(points, tally, "full disk, quota and read-only disk from a random change on")


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_disk_that_is_full(kind, scenes, tries, tally, tmp_path):
    points = []
    for n in range(tries(8, least=1)):
        chance = random.Random(f"{kind} {n}")
        name = ("train", "prepare", "sweep")[n % 3]
        free = round(math.exp(chance.uniform(math.log(4_000), math.log(200_000))))
        scene = scenes(name)
        folder = scene.prepared(tmp_path / str(n))
        ended = scene.forks.run_on_disk(kind, free, *scene.arguments, folder=str(folder))
        if isinstance(ended, str):
            pytest.skip(ended)
        full, again = ended
        problem = fault(full)
        if again["status"]:
            problem = f"with room it ends with {again['status']}: {again['output'][-600:]}"
        points.append(((name, free), (outcome(full, problem), problem)))
    check(points, tally, f"{kind} with 4 to 200 kB of room")
