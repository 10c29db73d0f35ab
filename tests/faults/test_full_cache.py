"""A cache on a small disk in memory (tmpfs), of every size from nothing to enough: one sentence, or it works.

A memory map of a sparse file would end in SIGBUS here, so each try is a process of its own.
"""

import multiprocessing
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_damage import Kept

from audiotok.errors import UserError
from audiotok.inventory import faults_of, take
from audiotok.store import Store

pytestmark = pytest.mark.faults
FORK = multiprocessing.get_context("fork")
WORKS, REFUSED = 0, 3  # exit codes


@pytest.fixture
def mount(tmp_path) -> Iterator[Path]:
    """A folder on which a tmpfs can be mounted; needs root on Linux."""
    if sys.platform != "linux" or mounted(tmp_path, 64):
        pytest.skip("tmpfs cannot be mounted here")
    subprocess.run(["umount", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--quiet", tmp_path], check=False)


def mounted(folder: Path, n_kb: int) -> int:
    command = ["mount", "-t", "tmpfs", "-o", f"size={n_kb}k", "none", folder]
    return subprocess.run(command, check=False, capture_output=True).returncode


def read(folder: Path, expected: str) -> None:
    """Read everything, twice, and leave with what came of it."""
    try:
        values = [Kept(folder).read() for _ in range(2)]
    except UserError as error:
        said = f"{folder}/cache" in str(error) and "\n" not in str(error)
        sys.exit(REFUSED if said else str(error))
    assert values == [expected, expected]
    faults = [fault for item in take(Store(folder / "cache")) for fault in faults_of(item)]
    assert faults == []
    sys.exit(WORKS)


def test_a_full_disk_of_the_cache_is_a_sentence_or_does_no_harm(mount, tmp_path_factory, tries, tally):
    spacious = tmp_path_factory.mktemp("spacious")
    expected = Kept(spacious).read()
    needed = sum(path.stat().st_blocks / 2 for path in spacious.rglob("*") if path.is_file())
    outcomes: Counter[str] = Counter()
    for n_kb in np.linspace(32, 1.3 * needed, tries(20, least=8)).astype(int):
        assert mounted(mount, n_kb) == 0
        process = FORK.Process(target=read, args=(mount, expected))
        process.start()
        process.join(60)
        assert process.exitcode in (WORKS, REFUSED), f"a tmpfs of {n_kb} kB: {process.exitcode}"
        outcomes["works" if process.exitcode == WORKS else "refused in a sentence"] += 1
        subprocess.run(["umount", mount], check=True)
    assert len(outcomes) == 2
    tally("a cache on a small tmpfs", outcomes)
