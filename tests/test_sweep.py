"""Multirun: shared codebooks, a ranked table, and jobs that fail without stopping the others."""

import csv
import json
import math
import shutil

import numpy as np
import pytest
from omegaconf import OmegaConf
from runs import SYNTHETIC, TINY, command

from audiotok.errors import UserError
from audiotok.run.folder import RunFolder
from audiotok.run.jobs import COLUMNS, Job, ranked, read_jobs, short_names, short_value
from audiotok.run.sweep_folder import SweepFolder
from audiotok.sweep import Sweep, check_direction


def sweep(folder, *overrides):
    command("-m", f"hydra.sweep.dir={folder}", *TINY, *SYNTHETIC, "logger=none", *overrides)
    return list(csv.DictReader((folder / "sweep.csv").open()))


GRID = ("clustering.n_clusters=5,6", "optimizer.lr=0.001,0.0001")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A finished sweep of two vocabularies by two learning rates, and the cache that it filled."""
    folder = tmp_path_factory.mktemp("swept")
    sweep(folder / "sweep", f"cache_dir={folder / 'cache'}", *GRID)
    return folder


@pytest.fixture
def again(swept, tmp_path):
    """A copy of the finished sweep, and a function that gives its command again and returns its rows."""
    folder = tmp_path / "sweep"
    shutil.copytree(swept / "sweep", folder)
    return folder, lambda *grid: sweep(folder, f"cache_dir={swept / 'cache'}", *(grid or GRID))


@pytest.fixture(scope="module")
def half_failed(tmp_path_factory):
    """A sweep of which two jobs of four failed, for three heads do not divide the hidden size."""
    folder = tmp_path_factory.mktemp("half_failed")
    with pytest.raises(SystemExit) as exit_:
        sweep(folder, "model.num_heads=2,3", "seed=0,1")
    assert exit_.value.code == 1
    return folder


def rows_of(folder):
    return list(csv.DictReader((folder / "sweep.csv").open()))


def test_two_vocabularies_by_two_learning_rates_fit_two_codebooks(swept):
    assert len(rows_of(swept / "sweep")) == 4
    codebooks = {path.name for path in (swept / "cache" / "centroids").iterdir() if path.is_dir()}
    metrics = [json.loads((swept / "sweep" / str(job) / "metrics.json").read_text()) for job in range(4)]
    assert len(codebooks) == 2
    assert {of_job["centroid_key"] for of_job in metrics} == codebooks


def test_the_table_ranks_jobs_and_names_what_they_changed(swept):
    rows = rows_of(swept / "sweep")
    scores = [float(row["val/mAP"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row["optimizer.lr"] for row in rows} == {"0.001", "0.0001"}
    assert "model.num_layers" not in rows[0]


def test_a_failing_job_does_not_stop_the_others(half_failed):
    rows = rows_of(half_failed)
    assert [row["model.num_heads"] for row in rows] == ["2", "2", "3", "3"]
    assert all("model.num_heads=3" in row["error"] for row in rows[2:])
    assert all("model.num_heads=3" in (half_failed / job / "error.txt").read_text() for job in "23")
    assert all((half_failed / job / "metrics.json").is_file() for job in "01")


def test_a_job_that_failed_is_done_again(half_failed, tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(half_failed, folder)
    (folder / "2" / "error.txt").unlink()
    with pytest.raises(SystemExit):
        sweep(folder, "model.num_heads=2,3", "seed=0,1")
    assert "model.num_heads=3" in (folder / "2" / "error.txt").read_text()


def test_seeds_of_whole_runs_are_averaged(half_failed):
    [means] = csv.DictReader((half_failed / "means.csv").open())
    scores = [float(row["test/mAP"]) for row in rows_of(half_failed)[:2]]
    assert means["jobs"] == "2"
    assert float(means["test/mAP mean"]) == pytest.approx(np.mean(scores))
    assert float(means["test/mAP sd"]) == pytest.approx(np.std(scores, ddof=1))


def test_losses_rank_lowest_first_and_failures_last(tmp_path):
    folder = RunFolder(tmp_path)
    jobs = [Job(folder, {}, {"test/hamming_loss": x}, "") for x in (0.2, math.nan, 0.1)]
    assert [job.scores["test/hamming_loss"] for job in ranked(jobs, "test/hamming_loss")][:2] == [0.1, 0.2]


def test_the_job_returns_the_metric_that_is_named(tmp_path):
    from unittest.mock import patch

    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from audiotok.programs import config_folder, job

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        overrides = [*TINY, *SYNTHETIC, "logger=none", "optimized_metric=test/f1_micro"]
        config = compose("train", overrides, return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = str(tmp_path)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    with patch.object(job.log, "error") as error:
        value = job.run(config)
    assert not error.called
    assert value == json.loads((tmp_path / "metrics.json").read_text())["test/f1_micro"]


# ---- means over replicates ----


def write_job(folder, number, overrides, scores=None, error=None):
    """Leave in a sweep's folder what a job leaves that has scores, or failed."""
    job = folder / str(number)
    (job / ".hydra").mkdir(parents=True)
    (job / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))  # which is YAML
    if scores is not None:
        (job / "metrics.json").write_text(json.dumps(scores))
    if error is not None:
        (job / "error.txt").write_text(error)


def end(folder, metric="val/mAP"):
    """Let a sweep of the jobs in a folder end, and return the rows of means.csv."""
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}, "optimized_metric": metric})
    Sweep().on_multirun_end(config)
    path = folder / "means.csv"
    return list(csv.DictReader(path.open())) if path.is_file() else None


def write_replicates(folder, key="seed"):
    """Write three replicates of each of two learning rates, and return the scores of each."""
    rng = np.random.default_rng(0)
    scores = {lr: rng.uniform(size=3) + (lr == "0.1") for lr in ("0.1", "0.01")}
    for i, lr in enumerate(scores):
        for j, score in enumerate(scores[lr]):
            metrics = {"val/mAP": score, "test/mAP": score / 2}
            write_job(folder, 3 * i + j, [f"optimizer.lr={lr}", f"{key}={j}", "model=bag"], metrics)
    return scores


@pytest.mark.parametrize("key", ["seed", "data.test_fold"])
def test_means_and_deviations_are_numpys(tmp_path, key):
    scores = write_replicates(tmp_path, key)
    rows = end(tmp_path)
    assert [row["optimizer.lr"] for row in rows] == ["0.1", "0.01"]
    assert list(rows[0]) == [
        "optimizer.lr",
        "jobs",
        "val/mAP mean",
        "val/mAP sd",
        "test/mAP mean",
        "test/mAP sd",
    ]
    for row in rows:
        of_row = scores[row["optimizer.lr"]]
        assert row["jobs"] == "3"
        assert float(row["val/mAP mean"]) == pytest.approx(np.mean(of_row))
        assert float(row["val/mAP sd"]) == pytest.approx(np.std(of_row, ddof=1))
        assert float(row["test/mAP sd"]) == pytest.approx(np.std(of_row / 2, ddof=1))


def test_the_table_of_means_is_shown_below_that_of_jobs(tmp_path, capsys):
    scores = write_replicates(tmp_path)
    end(tmp_path)
    shown = capsys.readouterr().out
    assert shown.index("6 jobs by val/mAP") < shown.index("Mean ± standard deviation")
    best = scores["0.1"]
    assert f"{np.mean(best):.4f} ± {np.std(best, ddof=1):.4f}" in shown.replace("\n", "")


def test_seeds_and_folds_together_are_replicates(tmp_path):
    for number in range(6):
        overrides = [f"seed={number % 2}", f"data.test_fold={number // 2}"]
        write_job(tmp_path, number, overrides, {"val/mAP": number / 10})
    [row] = end(tmp_path)
    assert row == {
        "jobs": "6",
        "val/mAP mean": str(np.mean(np.arange(6) / 10)),
        "val/mAP sd": row["val/mAP sd"],
    }
    assert float(row["val/mAP sd"]) == pytest.approx(np.std(np.arange(6) / 10, ddof=1))


def test_jobs_that_failed_are_left_out_of_means(tmp_path):
    write_job(tmp_path, 0, ["seed=0"], {"val/mAP": 0.2})
    write_job(tmp_path, 1, ["seed=1"], error="model.num_heads=3 is odd; choose 2.")
    write_job(tmp_path, 2, ["seed=2"], {"val/mAP": 0.4})
    write_job(tmp_path, 3, ["seed=3"])  # killed
    with pytest.raises(SystemExit) as exit_:
        end(tmp_path)
    assert exit_.value.code == 1
    [row] = csv.DictReader((tmp_path / "means.csv").open())
    assert row["jobs"] == "2"
    assert float(row["val/mAP mean"]) == pytest.approx(0.3)


def test_a_sweep_that_failed_throughout_has_no_means(tmp_path, capsys):
    for seed in range(2):
        write_job(tmp_path, seed, [f"seed={seed}"], error="It is wrong; fix it.")
    with pytest.raises(SystemExit):
        end(tmp_path)
    assert not (tmp_path / "means.csv").exists()
    assert capsys.readouterr().out.count("It is wrong; fix it.") == 2


def test_settings_and_errors_are_shown_as_they_are(tmp_path, capsys):
    folder = tmp_path / "[bold]"
    for number, sets in enumerate(("[a,b]", "[/a]")):
        for seed in range(2):
            write_job(folder, 2 * number + seed, [f"data.sets={sets}", f"seed={seed}"], {"val/mAP": 0.5})
    write_job(folder, 4, ["data.sets=:cat:"], error="data.root=[/x]:dog: is no folder; give another.")
    with pytest.raises(SystemExit) as exit_:
        end(folder)
    assert exit_.value.code == 1
    shown = capsys.readouterr().out
    assert [shown.count(sets) for sets in ("[a,b]", "[/a]", ":cat:")] == [3, 3, 1]
    assert "[bold]" in shown
    assert "Job 4 failed: data.root=[/x]:dog: is no folder; give another.\n" in shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_scores_are_shown_whole_however_narrow_the_screen(tmp_path, capsys, monkeypatch, is_terminal):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(is_terminal)))
    for number in range(4):
        scores = dict.fromkeys(COLUMNS, 0.1111 * (1 + number))
        sets = "[bal_train,unbal_train]" if number < 2 else "[bal_train]"
        write_job(tmp_path, number, [f"data.sets={sets}", f"seed={number % 2}"], scores)
    end(tmp_path)
    shown = capsys.readouterr().out
    assert "…" not in shown
    for number in range(4):
        assert shown.count(f" {0.1111 * (1 + number):.4f} ") == len(COLUMNS)
    assert shown.count(f"0.1667 ± {0.1111 / 2**0.5:.4f}") == len(COLUMNS)
    assert ("[bal_train,unbal_train]" in shown) is not is_terminal


def test_single_jobs_give_no_second_table(tmp_path, capsys):
    for number in range(3):
        write_job(tmp_path, number, [f"model.num_layers={number}"], {"val/mAP": 0.1})
    assert end(tmp_path) is None
    assert "Mean" not in capsys.readouterr().out


def test_a_setting_with_a_single_job_has_no_deviation(tmp_path, capsys):
    for number, (lr, seed) in enumerate([("1", 0), ("1", 1), ("2", 0)]):
        write_job(tmp_path, number, [f"optimizer.lr={lr}", f"seed={seed}"], {"val/mAP": 0.75 - number / 4})
    several, single = end(tmp_path)
    assert (several["jobs"], single["jobs"]) == ("2", "1")
    assert float(single["val/mAP mean"]) == 0.25
    assert math.isnan(float(single["val/mAP sd"]))
    shown = capsys.readouterr().out
    assert "nan" not in shown
    assert "0.6250 ± 0.1768" in shown


def test_a_score_that_is_not_a_number_has_no_mean_and_ranks_last(tmp_path):
    for seed, score in enumerate([math.nan, 0.5, 0.7]):
        write_job(tmp_path, seed, [f"seed={seed}"], {"val/mAP": score, "test/mAP": 0.1 * seed})
    [row] = end(tmp_path)
    assert math.isnan(float(row["val/mAP mean"]))
    assert math.isnan(float(row["val/mAP sd"]))
    assert float(row["test/mAP sd"]) == pytest.approx(0.1)
    ranks = [line["job"] for line in csv.DictReader((tmp_path / "sweep.csv").open())]
    assert ranks == ["2", "1", "0"]


def test_a_score_that_some_jobs_lack_is_shown_for_the_settings_that_have_it(tmp_path):
    write_job(tmp_path, 0, ["a=1", "seed=0"], {"val/mAP": 0.9})
    write_job(tmp_path, 1, ["a=1", "seed=1"], {"val/mAP": 0.8, "test/top1": 0.3})
    write_job(tmp_path, 2, ["a=2", "seed=0"], {"val/mAP": 0.2, "test/top1": 0.5})
    write_job(tmp_path, 3, ["a=2", "seed=1"], {"val/mAP": 0.1, "test/top1": 0.7})
    first, second = end(tmp_path)
    assert (first["test/top1 mean"], first["test/top1 sd"]) == ("", "")
    assert float(second["test/top1 mean"]) == pytest.approx(0.6)
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [row["test/top1"] for row in rows] == ["", "0.3", "0.5", "0.7"]


def test_a_key_that_some_jobs_do_not_change_makes_a_setting_of_its_own(tmp_path):
    for number, overrides in enumerate([[], ["+model.x=1"], ["seed=1"], ["+model.x=1", "seed=1"]]):
        write_job(tmp_path, number, overrides, {"val/mAP": number / 10})
    rows = end(tmp_path)
    assert [(row["model.x"], row["jobs"]) for row in rows] == [("1", "2"), ("", "2")]
    assert [float(row["val/mAP mean"]) for row in rows] == pytest.approx([0.2, 0.1])


def test_means_stand_in_the_order_of_the_best_job(tmp_path):
    losses = {"1": (0.5, 0.6), "2": (0.4, 0.9)}
    for number, (key, seed) in enumerate((key, seed) for key in losses for seed in (0, 1)):
        write_job(tmp_path, number, [f"a={key}", f"seed={seed}"], {"val/loss": losses[key][seed]})
    rows = end(tmp_path, "val/loss")
    assert [row["a"] for row in rows] == ["2", "1"]
    assert "val/mAP mean" not in rows[0]


def test_scores_that_no_job_has_are_no_columns(tmp_path):
    write_job(tmp_path, 0, ["a=1"], {"val/loss": 0.5, "val/accuracy": 0.2})
    write_job(tmp_path, 1, ["a=2"], {"val/loss": 0.4, "val/accuracy": 0.3})
    end(tmp_path, "val/loss")
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert list(rows[0]) == ["rank", "job", "a", "val/loss", "val/accuracy", "error"]


def test_jobs_stand_for_their_numbers_and_not_for_their_spelling(tmp_path):
    for number in range(11):
        write_job(tmp_path, number, [f"a={number}"], {"val/mAP": 0.5})
    names = [job.folder.path.name for job in read_jobs(SweepFolder(tmp_path))]
    assert names == [str(number) for number in range(11)]


def test_a_sweep_that_was_stopped_runs_only_what_is_missing(again):
    folder, repeat = again
    before = rows_of(folder)
    (folder / "2" / "metrics.json").unlink()  # as if it was stopped while this job ran
    written = {job: (folder / str(job) / "metrics.json").stat().st_mtime_ns for job in (0, 1, 3)}
    after = repeat()
    assert [row["val/mAP"] for row in after] == [row["val/mAP"] for row in before]
    assert (folder / "2" / "metrics.json").is_file()
    for job, time in written.items():
        assert (folder / str(job) / "metrics.json").stat().st_mtime_ns == time


def test_a_job_whose_settings_have_changed_is_done_again(again):
    folder, repeat = again
    path = folder / "0" / "config.yaml"
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 0.002"))
    (folder / "0" / "metrics.json").write_text('{"val/mAP": 2.0}')
    assert all(float(row["val/mAP"]) <= 1 for row in repeat())


def test_another_sweep_does_not_overwrite_one(again, capsys):
    folder, repeat = again
    overrides = (folder / "1" / ".hydra" / "overrides.yaml").read_text()
    with pytest.raises(SystemExit) as exit_:
        repeat("seed=0,2")
    assert exit_.value.code == 1
    assert "contains another sweep" in capsys.readouterr().out
    assert (folder / "1" / ".hydra" / "overrides.yaml").read_text() == overrides


def test_two_jobs_at_a_time_fit_one_codebook_once(tmp_path, monkeypatch):
    """The jobs are forked, because new processes would spend most of this test importing torch."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.setattr("joblib.externals.loky.backend.context._DEFAULT_START_METHOD", "fork")
    cache = tmp_path / "cache"
    launcher = ("hydra/launcher=jobs", f"cache_dir={cache}")
    workers = ("loader.n_workers=1", "data.cache=none")  # processes of the jobs' own
    rows = sweep(tmp_path / "s", *launcher, *workers, "optimizer.lr=0.001,0.002")
    assert len(rows) == 2
    assert not any(row["error"] for row in rows)
    logs = "".join((tmp_path / "s" / job / "train.log").read_text() for job in "01")
    assert logs.count("Fitted ") == 1
    assert logs.count("Reused ") == 1


def test_submitit_runs_jobs_without_a_slurm(tmp_path, monkeypatch):
    """The job runs in this process, through submitit's executor for debugging."""
    module = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.submitit_launcher")
    monkeypatch.setattr(module.LocalLauncher, "_EXECUTOR", "debug")
    rows = sweep(tmp_path, "hydra/launcher=slurm_local", "optimizer.lr=0.001")
    assert [row["error"] for row in rows] == [""]


def test_a_search_goes_on_from_its_study(tmp_path, monkeypatch, capsys):
    optuna = pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    search = (*TINY, *SYNTHETIC, "logger=none", "hparams_search=recipe")
    for start, n_trials in enumerate((2, 3, 3)):
        command("-m", *search, f"hydra.sweeper.n_trials={n_trials}", f"hydra.sweep.dir=sweep-{start}")
    study = optuna.load_study("recipe", "sqlite:///outputs/studies/recipe.db")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert all(trial.intermediate_values for trial in study.trials)  # what pruning compares
    assert "No jobs are left to run." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "package", "extra"),
    [
        ("hydra/launcher=jobs", "hydra-joblib-launcher", "joblib"),
        ("hydra/launcher=ray_cluster", "hydra-ray-launcher", "ray-launcher"),
        ("hparams_search=tokens", "hydra-optuna-sweeper", "sweep"),
    ],
)
def test_a_missing_plugin_is_one_sentence(argument, package, extra, monkeypatch):
    monkeypatch.setattr("audiotok.programs.arguments.find_spec", lambda _: None)
    with pytest.raises(SystemExit) as exit_:
        command("-m", argument)
    expected = f"{argument} needs {package}, which is not installed; pip install 'audiotok[{extra}]'."
    assert str(exit_.value) == expected


def test_names_on_screen_are_as_short_as_they_tell_apart():
    assert short_names(["optimizer.lr", "model.dropout", "seed"]) == ["lr", "dropout", "seed"]
    assert short_names(["a.size", "b.size", "model.c.size"]) == ["a.size", "b.size", "c.size"]
    assert short_value("0.12345678901") == "0.1235"
    assert short_value("0.001") == "0.001"
    assert short_value("[bal_train,unbal_train]") == "[bal_train,unbal_train]"


@pytest.mark.parametrize(
    ("metric", "right", "wrong"), [("val/mAP", "maximize", "minimize"), ("val/loss", "minimize", "maximize")]
)
def test_a_search_for_the_worst_is_refused(metric, right, wrong):
    check_direction(OmegaConf.create({"direction": right}), metric)
    with pytest.raises(UserError, match=rf"^hydra.sweeper.direction={wrong} .* set it to {right}\.$"):
        check_direction(OmegaConf.create({"direction": wrong}), metric)


def test_optuna_by_itself_minimises_and_says_so(tmp_path, capsys):
    pytest.importorskip("optuna")
    with pytest.raises(SystemExit):
        command("-m", *TINY, "hydra/sweeper=optuna", f"hydra.sweep.dir={tmp_path}/s", "seed=choice(0,1)")
    assert "optimized_metric=val/mAP; set it to maximize." in capsys.readouterr().out
