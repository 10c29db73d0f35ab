"""How many CPU threads a run computes with."""

import json

import pytest
import torch
from runs import run

from audiotok.run import threads
from audiotok.run.threads import LARGE_MODEL, chosen_threads, set_threads

CPU = torch.device("cpu")


@pytest.fixture
def free(monkeypatch):
    """An environment that says nothing of threads, on 8 cores; afterwards torch has what it had."""
    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "AUDIOTOK_OMP_NUM_THREADS", "AUDIOTOK_JOBS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "n_cores", lambda: 8)
    monkeypatch.setattr(threads, "threads_of_torch", lambda: 8)
    yield monkeypatch
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("setting", "n_parameters", "device", "expected"),
    [
        ("auto", LARGE_MODEL - 1, "cpu", 1),
        ("auto", LARGE_MODEL, "cpu", 8),
        ("auto", LARGE_MODEL, "cuda", None),
        (3, 100, "cpu", 3),
        (3, 100, "cuda", 3),
    ],
)
def test_small_models_have_one_thread_and_large_ones_all_cores(free, setting, n_parameters, device, expected):
    assert chosen_threads(setting, n_parameters, device) == expected


def test_the_environment_comes_first(free):
    free.setenv("OMP_NUM_THREADS", "2")
    assert chosen_threads("auto", 100, "cpu") is None
    assert chosen_threads(3, LARGE_MODEL, "cpu") is None


def test_what_a_launcher_sets_for_its_jobs_does_not_count_as_asked_for(free):
    threads.remember_environment()
    free.setenv("OMP_NUM_THREADS", "4")
    free.setenv("AUDIOTOK_JOBS", "2")
    assert chosen_threads("auto", 100, "cpu") == 1
    assert chosen_threads("auto", LARGE_MODEL, "cpu") == 4


def test_a_number_is_what_torch_has(free):
    set_threads(2, torch.nn.Linear(2, 2), CPU)
    assert torch.get_num_threads() == 2
    set_threads("auto", torch.nn.Linear(2, 2), CPU)
    assert torch.get_num_threads() == 1


def test_a_run_has_the_threads_that_it_is_given(free, tmp_path):
    run(tmp_path, "threads=2")
    assert json.loads((tmp_path / "provenance.json").read_text())["n_threads"] == 2
