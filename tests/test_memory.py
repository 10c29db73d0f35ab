"""What cannot fit into memory or on the disk is refused before it is made."""

import subprocess
import sys
from pathlib import Path

import pytest

from audiotok.errors import UserError
from audiotok.errors.memory import check_disk, check_memory, memory_room


def test_what_fits_is_let_through_and_what_does_not_is_refused_with_its_keys():
    check_memory(1000, "model.hidden_size=1")
    with pytest.raises(UserError, match=r"^model\.hidden_size=9 would take .* GB of memory"):
        check_memory(1e18, "model.hidden_size=9")


def test_the_disk_of_a_folder_that_does_not_exist_yet_counts(tmp_path):
    check_disk(1000, tmp_path / "new" / "newer", "data.n_train_clips=1")
    with pytest.raises(UserError, match=r"^data\.n_train_clips=9 would take .* GB on the disk of "):
        check_disk(1e18, tmp_path / "new" / "newer", "data.n_train_clips=9")


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="limits of a process are read in /proc")
def test_a_limit_of_the_process_counts():
    script = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "from audiotok.errors.memory import memory_room\nprint(memory_room())"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert 0 < int(said) < 2**30
    assert memory_room() != int(said)
