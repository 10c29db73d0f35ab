"""Bad input ends in one clear sentence that names the key or file and says what to do."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs import SYNTHETIC, TINY, command, run


@pytest.fixture
def refused(tmp_path, capsys):
    """Run with overrides, expect exit status 1, and return the one sentence."""

    def sentence(*overrides: str, data: tuple[str, ...] = SYNTHETIC) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            command(f"hydra.run.dir={tmp_path}/run", *TINY, *data, "logger=none", *overrides)
        assert exit_.value.code == 1
        message = (tmp_path / "run" / "error.txt").read_text().strip()
        captured = capsys.readouterr()
        assert captured.out.strip().splitlines()[-1].endswith(message)
        assert "Traceback" not in captured.out + captured.err
        return message

    return sentence


@pytest.fixture
def audioset(tiny_audioset, tmp_path):
    """A copy of the tiny corpus that a test may break, and the overrides that read it."""
    root = tmp_path / "corpus"
    shutil.copytree(tiny_audioset, root)
    data = ("data=audioset", f"data.root={root}", "data.clip_seconds=1.0", "data.validation.fraction=0.3")
    return root, data


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["clustering.n_clusters=many"], ["clustering.n_clusters=many", "int"]),
        (["clustering.n_clusters=2.5"], ["clustering.n_clusters=2.5", "int"]),
        (["model.pooling=max"], ["model.pooling=max", "cls", "mean"]),
        (["trainer.max_epochs=soon"], ["trainer.max_epochs=soon", "int"]),
        (["data.validation.fraction=half"], ["data.validation.fraction=half", "float"]),
        (["seed=-1"], ["seed=-1 is out of range", "from 0"]),
        (["seed=4294967296"], ["seed=4294967296", "to 4294967295"]),
        (["cache_dir="], ["cache_dir='' is empty"]),
        (["cache_dir={}"], ["cache_dir={}", "str"]),
        (["data.limits.silence_db=nan"], ["data.limits.silence_db=nan"]),
        (["data.clip_seconds=inf"], ["data.clip_seconds=inf"]),
        (["optimizer.betas=[0.9,nan]"], ["optimizer.betas.1=nan"]),
        (["features.floor_db=1e5"], ["features.floor_db=100000.0", "300"]),
        (["features.n_components=[]"], ["features.n_components=[]"]),
        (["callbacks.best.monitor=val/nope"], ["callbacks.best.monitor=val/nope", "val/mAP", "val/loss"]),
        (["callbacks.best.mode=maximum"], ["callbacks.best.mode=maximum"]),
        (["trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches=0"]),
        (["trainer.log_every_n_steps=0"], ["trainer.log_every_n_steps=0"]),
        (["trainer.gradient_clip_val=-1"], ["trainer.gradient_clip_val=-1", "null"]),
        (["trainer.accelerator=foo"], ["trainer", "foo"]),
        (["trainer.devices=0"], ["trainer", "0"]),
        (["+trainer.limit_val_batches=0"], ["trainer.limit_val_batches=0"]),
        (["seed=x"], ["seed=x"]),
        (["compile=perhaps"], ["compile=perhaps", "bool"]),
        (["metrics.threshold=high"], ["metrics.threshold=high", "float"]),
        (["cache_dir=5"], ["cache_dir=5", "str"]),
        (["optimized_metric=val/accuracy"], ["optimized_metric=val/accuracy", "val/mAP"]),
        (["metrics.threshold=1.5"], ["metrics.threshold=1.5", "more than 0 and below 1"]),
        (["clustering.n_clusters=100000"], ["clustering.n_clusters=100000", "frames"]),
        (["features.n_fft=64"], ["features.hop_length=128", "features.n_fft=64"]),
        (["features.n_fft=128", "features.n_mels=64"], ["features.n_mels=64", "features.n_fft=128"]),
        (["features.f_max=8000"], ["features.f_max=8000", "features.sample_rate=8000"]),
        (["model.max_position_embeddings=10"], ["model.max_position_embeddings=10", "16 tokens"]),
        (["model.num_heads=3"], ["model.hidden_size=16", "model.num_heads=3"]),
        (["clustering.n_codebooks=5"], ["clustering.n_codebooks=5", "24 dimensions"]),
        (["data.validation.fraction=0.0"], ["val", "data.validation.fraction"]),
        (["+trainer.max_time=''"], ["change trainer.max_time=''."]),
        (
            ["callbacks.throughput._target_=os.getcwd"],
            ["callbacks.throughput._target_=os.getcwd", "Callback"],
        ),
        (["model=frames", "model.hidden_size=1000000000"], ["model.hidden_size=1000000000", "memory"]),
        (["data.limits.min_seconds=5.0"], ["split", "short"]),
        (["ckpt_path=nowhere.ckpt"], ["ckpt_path=nowhere.ckpt"]),
        (["loader.batch_size=0"], ["loader.batch_size=0"]),
        (["trainer.precision=16-mixed"], ["optimizer.fused=true", "trainer.gradient_clip_val=null"]),
        (["trainer.strategy=ddp_spawn"], ["trainer.strategy=ddp_spawn", "ddp"]),
        (["trainer.devices=30"], ["trainer.devices", "30 processes", "the train split has"]),
        (["data.n_train_clips=0"], ["data.n_train_clips=0"]),
        (["schedule.warmup=2.0"], ["schedule.warmup=2.0"]),
        (["data.cache=everything"], ["data.cache=everything", "none", "frames", "tokens"]),
        (["sample.max_gb=0"], ["sample.max_gb=0", "more than 0"]),
        (["sample.max_gb=much"], ["sample.max_gb=much", "float"]),
        (
            ["sample.max_gb=1e-6"],
            ["features.n_components=24", "sample.n_frames or sample.max_gb"],
        ),
        (["loader.sampling=often"], ["loader.sampling=often", "uniform", "balanced"]),
        (["loader.random_crop=perhaps"], ["loader.random_crop=perhaps", "bool"]),
        (["features.normalization=loud"], ["features.normalization=loud", "clip_max", "corpus"]),
        (["features.range_db=-5"], ["features.range_db=-5"]),
        (["features.deltas=3"], ["features.deltas=3"]),
        (["features.context=[3,x]"], ["features.context", "int"]),
        (["features.context=[3,5]"], ["features.context=[3, 5]", "features.n_components=24"]),
        (["features.context=[3,5]", "features.n_components=null"], ["features.context=[3, 5]", "null"]),
        (["features.bands=5"], ["features.bands=5", "features.n_mels=16"]),
        (["augment.sound.mix=1.5"], ["augment.sound.mix=1.5"]),
        (["augment.words.noise=-0.5"], ["augment.words.noise=-0.5"]),
        (["augment.mixup.alpha=0"], ["augment.mixup.alpha=0"]),
        (["augment.sound.rotate=2"], ["augment.sound.rotate=2", "bool"]),
        (["loss.label_smoothing=1.0"], ["loss.label_smoothing=1.0"]),
        (["model.stochastic_depth=1.0"], ["model.stochastic_depth=1.0"]),
        (["model.freeze=true"], ["model.freeze=true needs a run", "model.init_from"]),
        (["model.init_from=nowhere"], ["model.init_from=nowhere", "finished run"]),
        (["model.embedding=mel"], ["model.embedding=mel", "random", "centroids"]),
        (["callbacks=averaging", "callbacks.averaging.decay=1.0"], ["callbacks.averaging.decay=1.0"]),
    ],
)
def test_values_that_cannot_work_are_named(refused, overrides, words):
    message = refused(*overrides)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["clustering.n_cluster=8"],
            "clustering.n_cluster=8 is not a key; did you mean clustering.n_clusters?",
        ),
        (["n_clusters=8"], "n_clusters=8 is not a key; did you mean clustering.n_clusters?"),
        (["model.lr=1"], "model.lr=1 is not a key; did you mean optimizer.lr?"),
        (["data=csv", "data.rot=x"], "data.rot=x is not a key; did you mean data.root?"),
        (["clustering.sample_frames=9"], "write sample.n_frames=9"),  # its name in earlier versions
        (["model=bag", "model.heads=2"], "those of model=bag are"),
        (["model=berd"], "model=berd is not an option; did you mean model=bert?"),
        (["model=transformer"], "'model/transformer'"),
        (["colour=red"], "'colour'"),
        (["-m", "model.num_layer=2,4"], "model.num_layer=2,4 is not a key; did you mean model.num_layers?"),
        (["--help", "model=berd"], "model=berd is not an option; did you mean model=bert?"),
    ],
)
def test_a_misspelt_override_is_named_with_what_it_may_mean(tmp_path, capsys, overrides, words):
    with pytest.raises(SystemExit) as exit_:
        command(f"hydra.run.dir={tmp_path}", f"hydra.sweep.dir={tmp_path}", *overrides)
    assert exit_.value.code not in (0, None)
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


KNOWN_AT_ONCE = [
    (["clustering.n_clusters=many"], "clustering.n_clusters=many is of the wrong type; give int from 1 "),
    (["model.pooling=max"], "model.pooling=max is not an option; choose one of cls, mean,"),
    (["trainer.max_epochs=soon"], "trainer.max_epochs=soon"),
    (["+model.colour=red"], "model.colour=red"),
    (["data=esc50"], "data.root=None"),
    (["data=csv", "data.root=mine.csv", "data.labels_column=tags"], "data.labels_column=tags"),
    (["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt"),
]


def test_what_can_be_known_at_once_is_said_before_torch_is_imported(tmp_path):
    """In a new process, for all of them: none may import torch."""
    (tmp_path / "mine.csv").write_text("path,labels,split\na.wav,cat,train\n")
    script = (
        "import sys\nfrom audiotok.programs import train\n"
        f"for overrides in {[overrides for overrides, _ in KNOWN_AT_ONCE]}:\n"
        "    sys.argv = ['train', 'logger=none', 'hydra.run.dir=run', *overrides]\n"
        "    try:\n        train()\n    except SystemExit as end:\n"
        "        print(end.code, 'torch' in sys.modules, open('run/error.txt').read().strip())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("1 ")]
    assert len(said) == len(KNOWN_AT_ONCE), done.stdout
    for line, (_, words) in zip(said, KNOWN_AT_ONCE, strict=True):
        assert line.startswith("1 False ")
        assert words in line


def test_an_added_key_that_nothing_understands_is_named(refused):
    assert "model.colour=red" in refused("+model.colour=red")


@pytest.mark.parametrize("option", ["audioset", "esc50", "fsd50k", "csv"])
def test_a_missing_root_says_what_to_put_there(refused, option, tmp_path):
    assert "data.root=None" in refused(data=(f"data={option}",))
    message = refused(data=(f"data={option}", f"data.root={tmp_path}/nowhere"))
    assert f"data.root={tmp_path}/nowhere" in message
    if option == "audioset":
        assert "research.google.com/audioset" in message


def test_a_broken_row_is_named_by_file_and_line(refused, audioset):
    root, data = audioset
    path = root / "metadata" / "balanced_train_segments.csv"
    lines = path.read_text().splitlines()
    lines[5] = "abcdefghijk, 30.000"
    path.write_text("\n".join(lines))
    assert "balanced_train_segments.csv:6:" in refused(data=data)


def test_an_unknown_label_is_named_by_file_and_line(refused, audioset):
    root, data = audioset
    path = root / "metadata" / "eval_segments.csv"
    lines = path.read_text().splitlines()
    lines[3] = re.sub(r'"/m/.*"', '"/m/nothing"', lines[3])
    path.write_text("\n".join(lines))
    message = refused(data=data)
    assert "eval_segments.csv:4:" in message
    assert "/m/nothing" in message


def test_a_corpus_without_audio_says_so(refused, audioset):
    root, data = audioset
    for path in (root / "audio").rglob("*.*"):
        path.unlink()
    assert "(missing); check that the audio" in refused(data=data)
    shutil.rmtree(root / "audio")
    assert f"data.audio_folder=audio: {root}/audio does not exist" in refused(data=data)


def test_audio_of_other_ids_than_those_listed_is_refused_with_three_examples_of_each(refused, audioset):
    root, data = audioset
    files = sorted((root / "audio" / "bal_train").rglob("*.*"))
    for number, path in enumerate(files):
        path.rename(path.with_stem(f"sound {number}"))
    message = refused(data=data)
    assert "none of the 24 ids" in message
    assert "the 24 clips of bal_train" in message
    listed = (root / "metadata" / "balanced_train_segments.csv").read_text().splitlines()[3:6]
    assert ", ".join(row.partition(",")[0] for row in listed) in message
    assert " sound 0, sound 1, sound 2;" in message
    assert message.count("sound ") == 3


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.layout=shards", ["data.layout=shards", "auto", "folders"]),
        ("data.check=look", ["data.check=look", "decode", "header"]),
    ],
)
def test_layouts_and_checks_that_are_not_known_are_refused(refused, audioset, override, words):
    message = refused(override, data=audioset[1])
    assert all(word in message for word in words)


def test_classes_without_a_positive_in_validation_are_refused(refused, audioset):
    root, _ = audioset
    rows = ["path,labels,split"]
    files = sorted((root / "audio" / "bal_train").rglob("*.*"))[:8]
    rows += [f"{path},{'tone' if i else 'hum'},train" for i, path in enumerate(files[:6])] + [
        f"{path},other,val" for path in files[6:7]
    ]
    rows += [f"{files[7]},tone,test"]
    (root / "mine.csv").write_text("\n".join(rows))
    message = refused(data=("data=csv", f"data.root={root}/mine.csv", "data.clip_seconds=1.0"))
    assert "validation" in message
    assert "data.classes" in message


def test_a_checkpoint_of_another_vocabulary_is_refused(refused, plain_run):
    checkpoint = plain_run[0] / "checkpoints" / "last.ckpt"
    message = refused(f"ckpt_path={checkpoint}", "clustering.n_iter=4")
    assert "centroids" in message


def test_a_checkpoint_of_another_model_is_refused(refused, plain_run):
    checkpoint = plain_run[0] / "checkpoints" / "last.ckpt"
    assert "does not fit" in refused(f"ckpt_path={checkpoint}", "model.hidden_size=32")


def test_a_checkpoint_of_another_optimizer_is_refused(refused, plain_run):
    """Its state would bring the settings of before along, whatever config.yaml says."""
    checkpoint = plain_run[0] / "checkpoints" / "last.ckpt"
    message = refused(f"ckpt_path={checkpoint}", "optimizer.weight_decay=0.5")
    assert "weight_decay=0.01" in message
    assert "weight_decay=0.5" in message


def test_what_is_no_checkpoint_is_refused(refused, plain_run, tmp_path):
    """What else is no checkpoint is in `run/test_read_checkpoint.py`."""
    whole = (plain_run[0] / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(whole[: len(whole) // 2])
    for path in (tmp_path / "x.ckpt", plain_run[0] / "predictions.npz"):
        assert f"ckpt_path={path}" in refused(f"ckpt_path={path}")


def test_a_run_that_diverges_is_told_and_not_scored(refused, tmp_path):
    message = refused("optimizer.lr=1e30", "trainer.gradient_clip_val=null")
    assert "scores are not finite in epoch 1" in message
    assert "optimizer.lr" in message
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_corrupt_centroids_are_fitted_again_with_a_warning(tmp_path, capsys):
    cache = tmp_path / "cache"
    first = run(tmp_path / "a", f"cache_dir={cache}")
    (cache / "centroids" / first["centroid_key"] / "centroids.npy").write_bytes(b"junk")
    capsys.readouterr()
    second = run(tmp_path / "b", f"cache_dir={cache}")
    assert "made again" in capsys.readouterr().out
    assert second["val/mAP"] == first["val/mAP"]


def test_a_cache_that_cannot_be_written_is_named(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert f"cache_dir={tmp_path}/file" in refused(f"cache_dir={tmp_path}/file")


def test_a_place_for_mel_frames_that_cannot_be_written_is_named(refused, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").write_text("")
    message = refused(f"cache_dir={tmp_path}/cache")
    assert f"cache_dir={tmp_path}/cache cannot be written" in message
    assert "set cache_dir to a folder that you may write" in message
    run(tmp_path / "without", f"cache_dir={tmp_path}/cache", "data.cache=none")


def test_a_full_disk_under_the_run_folder_is_named(tmp_path, monkeypatch, capsys):
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("audiotok.run.results.np.savez_compressed", full)
    with pytest.raises(SystemExit) as exit_:
        run(tmp_path / "run")
    assert exit_.value.code == 1
    assert f"hydra.run.dir={tmp_path}/run cannot be written (No space left" in capsys.readouterr().out


def test_a_full_disk_is_named(refused, tmp_path, monkeypatch):
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("audiotok.disk.arrays.np.lib.format.write_array_header_1_0", full)
    message = refused(f"cache_dir={tmp_path}/cache")
    assert "No space left on device" in message
    assert f"cache_dir={tmp_path}/cache" in message
    assert not [path for path in Path(tmp_path / "cache" / "centroids").iterdir() if path.is_dir()]
