"""What `benchmarks/gpu.py` does without a GPU: formulas, bookkeeping, and results that are never lost."""

import json
import sys
import time

import gpu
import numpy as np
import pytest
import torch
from gpu_steps import corpus, kmeans, machine, tests
from gpu_steps.flops import training_flops
from hydra import compose, initialize_config_dir
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from audiotok.experiment import build_model, build_tokenizer
from audiotok.programs import config_folder


def found(**figures) -> str:
    """Return Python code that prints figures as a step prints them."""
    return f"print({gpu.FOUND!r} + {json.dumps(figures)!r}, flush=True)"


# ---- formulas ----


def test_the_formula_counts_what_torch_counts():
    sizes = {"num_layers": 2, "hidden_size": 24, "num_heads": 2, "pooling": "cls"}
    overrides = [f"model.{key}={value}" for key, value in sizes.items()]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", ["clustering.n_clusters=8", *overrides])
    tokenizer = build_tokenizer(config)
    model = build_model(config, tokenizer, 10.0, n_classes=7).train()
    n_tokens = tokenizer.n_tokens(10.0)
    tokens = torch.randint(8, (3, n_tokens, tokenizer.codebooks.n_codebooks))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(tokens, torch.full((3,), n_tokens)).sum().backward()
    assert counter.get_total_flops() == training_flops(
        n_clips=3, n_positions=n_tokens + 1, n_layers=2, hidden=24, intermediate=96, n_classes=7
    )


def test_plain_lloyd_ends_where_faiss_ends():
    points = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    on_device, start = torch.from_numpy(points), points[:10].copy()
    ours = kmeans.lloyd(on_device, torch.from_numpy(start), kmeans.N_ITER)
    theirs = torch.from_numpy(kmeans.by_faiss(points, start))
    assert kmeans.inertia_of(on_device, ours) == pytest.approx(kmeans.inertia_of(on_device, theirs), rel=1e-3)


def test_a_centroid_without_points_stays():
    points, start = torch.zeros(5, 2), torch.tensor([[0.0, 1.0], [9.0, 9.0]])
    assert kmeans.lloyd(points, start, 3).tolist() == [[0.0, 0.0], [9.0, 9.0]]


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 0.989e15),
        ("NVIDIA H100 PCIe", 0.756e15),
        ("NVIDIA H100 80GB HBM3", 0.989e15),
        ("NVIDIA A100-SXM4-80GB", 0.312e15),
        ("NVIDIA L40S", 0.362e15),
        ("NVIDIA A10G", None),
        ("x86_64", None),
    ],
)
def test_the_peak_of_a_card_is_that_of_its_data_sheet(name, peak):
    assert machine.peak_of_vendor(name) == peak


# ---- the bookkeeping of steps ----


def test_results_are_written_after_each_step_whatever_becomes_of_it(tmp_path, monkeypatch, capsys):
    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    programs = {
        "machine": found(device="a card", peak=2.0),
        "tests": f"{found(passed=3)}; raise ValueError('the card is on fire')",
        "tokens": f"{found(kmeans={'share_equal': 1.0})}; {hangs}",
        "speed": f"import json; assert 'on fire' in open({str(tmp_path / 'gpu.json')!r}).read()",
    }
    limits = {"tokens": 2.0}
    monkeypatch.setattr(gpu, "command_of", lambda name, *_: [sys.executable, "-c", programs[name]])
    monkeypatch.setattr(gpu, "share_of_time", lambda name, *_: limits.get(name, 60.0))
    start = time.monotonic()
    results = gpu.main([f"--json={tmp_path / 'gpu.json'}", "--device=cpu", "--steps", *programs])
    assert time.monotonic() - start < 30, "what hangs is killed with its children"
    assert results == json.loads((tmp_path / "gpu.json").read_text())
    steps = results["steps"]
    assert (steps["machine"]["status"], steps["machine"]["peak"]) == ("done", 2.0)
    assert steps["tests"]["status"] == "failed: ValueError: the card is on fire"
    assert steps["tests"]["passed"] == 3
    assert steps["tokens"]["status"] == "stopped after 2 s"
    assert steps["tokens"]["kmeans"] == {"share_equal": 1.0}
    assert steps["speed"]["status"] == "done", "the file had the earlier steps while this one ran"
    shown = capsys.readouterr().out
    assert "Traceback" in shown
    assert "kmeans, share_equal" in shown


def test_a_step_that_is_killed_names_the_signal():
    step: dict = {}
    command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]
    gpu.run_step(command, gpu.environment_of_steps(gpu.ROOT, "cpu"), 60.0, step, lambda: None)
    assert step["status"] == "failed: killed by SIGTERM"


def test_time_that_a_step_leaves_over_goes_to_those_after_it():
    names = list(gpu.STEPS)
    assert gpu.share_of_time(names[-1], names, 50.0) == pytest.approx(50.0)
    spent, left = 0.0, 360.0
    for name in names:
        share = gpu.share_of_time(name, names, left - spent)
        assert share > 0
        spent += share
    assert spent == pytest.approx(360.0)


def test_a_kit_without_wheels_says_that_it_failed(tmp_path):
    assert gpu.install(tmp_path, tmp_path / "site", time.monotonic() + 60)["status"].endswith("no wheels")


def test_every_step_has_a_module_that_measures():
    for name in gpu.STEPS:
        module = __import__(f"gpu_steps.{name}", fromlist=["measure"])
        assert callable(module.measure), name


def test_a_report_tells_failures_from_files_that_cannot_be_imported(tmp_path):
    report = tmp_path / "tests.xml"
    report.write_text(
        """<testsuites><testsuite>
        <testcase classname="test_a" name="test_good"/>
        <testcase classname="test_a" name="test_no_card"><skipped message="no CUDA device"/></testcase>
        <testcase classname="test_a" name="test_bad"><failure message="x">def f():
E   AssertionError: 1 is not 2</failure></testcase>
        <testcase classname="" name="test_b"><error message="collection failure">test_b.py:3: in module
E   ModuleNotFoundError: No module named 'sklearn'</error></testcase>
        </testsuite></testsuites>"""
    )
    assert tests.read_report(report) == {
        "passed": 1,
        "skipped": 1,
        "failed": 1,
        "failures": {"test_a.test_bad": "E   AssertionError: 1 is not 2"},
        "not_collected": {"test_b": "ModuleNotFoundError: No module named 'sklearn'"},
    }


def test_the_corpus_of_noise_has_cached_frames_for_every_clip(tmp_path):
    corpus.write_corpus(tmp_path / "corpus", 12, 4)
    overrides = [
        "experiment=audioset_balanced",
        f"data.root={tmp_path / 'corpus'}",
        "data.check=header",
        "data.validation.fraction=0.3",
        f"cache_dir={tmp_path / 'cache'}",
    ]
    assert corpus.fill_cache(overrides) == 16
