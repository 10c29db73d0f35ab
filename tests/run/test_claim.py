"""One process at a time writes the folder of a run or a sweep."""

import multiprocessing
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from audiotok.errors import UserError
from audiotok.run.claim import claim, claim_new, release
from audiotok.sweep import claim_folder

pytest.importorskip("fcntl", reason="nothing is locked on Windows")
OTHER = (
    "import sys; from pathlib import Path; from audiotok.run.claim import claim\n"
    "claim(Path(sys.argv[1]), 'hydra.run.dir')"
)


def claimed_elsewhere(folder):
    """Let another process claim a folder, and return what it has to say about that."""
    command = [sys.executable, "-c", OTHER, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_a_folder_that_a_process_writes_is_refused_to_another_until_it_is_released(tmp_path):
    folder = tmp_path / "run"
    claim(folder, "hydra.run.dir")
    claim(folder, "hydra.run.dir")  # ours already
    assert f"hydra.run.dir={folder} is being written by another process; wait" in claimed_elsewhere(folder)
    release(folder)
    assert claimed_elsewhere(folder) == ""
    claim(folder, "hydra.run.dir")  # that process has ended
    release(folder)
    assert list(folder.iterdir()) == []


def test_a_worker_that_outlives_its_process_holds_no_folder(tmp_path):
    claim(tmp_path, "hydra.run.dir")
    asked = multiprocessing.get_context("fork").Event()
    worker = multiprocessing.get_context("fork").Process(target=asked.wait)
    worker.start()
    release(tmp_path)
    said = claimed_elsewhere(tmp_path)
    asked.set()
    worker.join()
    assert said == ""


def test_new_folders_get_numbers(tmp_path):
    names = [claim_new(tmp_path / "at_noon").name for _ in range(3)]
    assert names == ["at_noon", "at_noon_2", "at_noon_3"]
    for name in names:
        release(tmp_path / name)


def config(folder):
    return OmegaConf.create({"hydra": {"sweep": {"dir": folder}, "overrides": {"hydra": []}}})


def test_a_folder_that_is_named_after_the_time_is_a_new_one(tmp_path):
    OmegaConf.register_new_resolver("now", lambda _: "noon", replace=True)
    try:
        first, second = (config(f"{tmp_path}/it's ${{now:%H}}") for _ in range(2))
        for one in (first, second):
            claim_folder(one, "sweep")
            release(tmp_path / one.hydra.sweep.dir)
        names = [one.hydra.sweep.dir for one in (first, second)]
    finally:
        OmegaConf.clear_resolver("now")
    assert names == [f"{tmp_path}/it's noon", f"{tmp_path}/it's noon_2"]
    assert second.hydra.overrides.hydra == [f"hydra.sweep.dir='{tmp_path}/it\\'s noon_2'"]


def test_a_folder_that_is_given_is_that_folder(tmp_path):
    given = config(str(tmp_path))
    for _ in range(2):
        claim_folder(given, "sweep")
        release(tmp_path)
    assert given.hydra.sweep.dir == str(tmp_path)
    assert given.hydra.overrides.hydra == []
    with pytest.raises(UserError, match=r"^hydra.sweep.dir=.* is being written"):
        _claim_while_another_holds(given, tmp_path)


def _claim_while_another_holds(given, folder):
    code = f"{OTHER}\nprint(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        claim_folder(given, "sweep")
