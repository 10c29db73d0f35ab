"""`audiotok predict` from the command line, with a tiny run."""

import csv
import errno
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import audiotok
from audiotok.cli import app
from audiotok.data.reading.selections import read_selections
from audiotok.prediction.tagger import TrainedRun
from audiotok.run.stopping import Stopped


@pytest.fixture(scope="module")
def sound(trained):
    return next(trained.glob("cache/synthetic/*/audio/eval/*/*.flac"))


def predict(*arguments, status=0) -> str:
    """Run `audiotok predict`, and return what it prints."""
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.output


def test_the_tags_of_a_sound_are_printed(trained, sound):
    lines = predict(trained, sound, "--top", 3).strip().splitlines()
    assert lines[0].endswith(sound.name)
    probabilities = [float(line.split()[0]) for line in lines[1:]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)


def test_scores_are_those_of_the_test(trained, sound):
    data = np.load(trained / "predictions.npz")
    [expected] = data["probabilities"][data["ids"] == sound.stem]
    run = audiotok.load(trained)
    assert [sound_class.id for sound_class in run.classes] == data["classes"].tolist()
    assert run.predict(sound).maximum() == pytest.approx(expected, abs=1e-5)


def test_a_file_that_is_not_a_sound_is_named_and_the_others_are_tagged(trained, sound, tmp_path):
    (tmp_path / "x.wav").write_text("no sound")
    output = predict(trained, tmp_path / "x.wav", sound, status=1)
    assert "x.wav cannot be read as audio" in output
    assert sound.name in output


def test_what_is_not_a_run_is_one_sentence(trained, sound, tmp_path):
    (tmp_path / "labels.csv").write_text("path,labels\n")
    assert "not the folder of a trained run" in predict(tmp_path, sound, status=1)
    assert "labels.csv is not a checkpoint" in predict(tmp_path / "labels.csv", sound, status=1)
    assert "nothing does not exist" in predict(tmp_path / "nothing", sound, status=1)


def test_a_checkpoint_is_taken_too(trained, sound):
    assert predict(trained / "checkpoints" / "best.ckpt", sound) == predict(trained, sound)


# ---- long files, folders and files of detections ----


@pytest.fixture(scope="module")
def archive(trained, tmp_path_factory):
    """A folder as an archive has it: six sounds, one of them broken and one long, and other files."""
    root = tmp_path_factory.mktemp("archive") / "field recordings"
    (root / "Größe" / ".hidden").mkdir(parents=True)
    clips = sorted(trained.glob("cache/synthetic/*/audio/eval/*/*.flac"))[:4]
    for i, clip in enumerate(clips[:3]):
        shutil.copy(clip, root / "Größe" / f"{i}.flac")
    shutil.copy(clips[3], root / "Größe" / ".hidden" / "no.flac")
    samples = [soundfile.read(clip)[0] for clip in clips]
    rate = soundfile.info(clips[0]).samplerate
    soundfile.write(root / "LONG.WAV", np.concatenate(samples), rate)
    (root / "broken.wav").write_text("no sound")
    (root / "notes.txt").write_text("x")
    return root


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_table_and_a_broken_file_is_reported(trained, archive, tmp_path):
    to = tmp_path / "found.csv"
    output = predict(trained, archive, "--to", to, "--threshold", 0.05, "--overlap", 0.5, status=1)
    assert output.count("broken.wav cannot be read as audio") == 1
    assert re.search(r"\d+ detections in 4 files are in .*found\.csv\.", output)
    run = audiotok.load(trained)
    expected = [
        [found.source, found.start, found.end, found.sound_class.name, found.sound_class.id]
        for path in (archive / "LONG.WAV", *(archive / "Größe" / f"{i}.flac" for i in range(3)))
        for found in run.predict(path, overlap=0.5).detections(0.05)
    ]
    rows = [list(row.values())[:5] for row in rows_of(to)]
    assert [[file, float(a), float(b), *rest] for file, a, b, *rest in rows] == expected
    assert expected


def test_a_command_goes_on_where_it_was_killed_without_a_row_twice(trained, archive, tmp_path, monkeypatch):
    whole, to = tmp_path / "whole.csv", tmp_path / "found.csv"
    predict(trained, archive, "--to", whole, "--threshold", 0.05, status=1)
    record = to.with_name("found.csv.progress")
    lines = whole.with_name("whole.csv.progress").read_bytes().splitlines(keepends=True)
    for kept in (b"", lines[0][:20], lines[0], b"".join(lines[:3]), b"".join(lines[:3]) + lines[3][:-9]):
        to.unlink(missing_ok=True)
        record.write_bytes(kept)
        output = predict(trained, archive, "--to", to, "--threshold", 0.05, status=1)
        assert ("files are done already" in output) == (kept.count(b"\n") > 1)
        assert to.read_bytes() == whole.read_bytes()
        assert record.read_bytes() == b"".join(lines)
    for options, says in (
        (["--threshold", 0.3], "--threshold=0.05, and this command has --threshold=0.3"),
        (["--window", 0.5, "--threshold", 0.05], "--window=1.0, and this command has --window=0.5"),
        ([], "--threshold=0.05, and this command has no --threshold"),
    ):
        assert says in predict(trained, archive, "--to", to, *options, status=1)
    record.write_bytes(b"".join(lines).replace(b'"seconds"', b'"second_"', 1))
    assert "does not match its checksum" in predict(
        trained, archive, "--to", to, "--threshold", 0.05, status=1
    )
    record.unlink()
    assert "exists, and found.csv.progress" in predict(trained, archive, "--to", to, status=1)
    assert to.read_bytes() == whole.read_bytes()
    predict(trained, archive, "--to", to, "--threshold", 0.05, "--overwrite", status=1)
    assert to.read_bytes() == whole.read_bytes()


def test_what_is_done_is_written_when_a_signal_stops_the_command(trained, archive, tmp_path, monkeypatch):
    to, scores = tmp_path / "found.jsonl", TrainedRun.scores

    def until_the_second(self, recording, *arguments):
        if recording.source.endswith("0.flac"):
            raise Stopped(15)
        return scores(self, recording, *arguments)

    monkeypatch.setattr(TrainedRun, "scores", until_the_second)
    output = predict(trained, archive, "--to", to, status=143)
    assert "Stopped by SIGTERM; the same command goes on with the next file." in output
    assert [json.loads(line)["file"] for line in to.read_text().splitlines()] == [str(archive / "LONG.WAV")]


def test_each_sound_may_have_a_file_of_its_own(trained, archive, tmp_path):
    to = tmp_path / "labels"
    predict(trained, archive, "--to", to, "--format", "audacity", "--threshold", 0.0, status=1)
    found = sorted(str(path.relative_to(to)) for path in to.rglob("*.*"))
    assert found == ["Größe/0.flac.txt", "Größe/1.flac.txt", "Größe/2.flac.txt", "LONG.WAV.txt"]
    assert read_selections(str(to / "LONG.WAV.txt")).rows[0].end == 4.0


def test_a_long_file_is_shown_as_detections(trained, archive):
    title, *lines = predict(trained, archive / "LONG.WAV", "--threshold", 0.0, "--top", 2).splitlines()
    assert title == f"{archive / 'LONG.WAV'}, 0:00:04.0"
    assert all(line.startswith("  0:00:00.0 - 0:00:04.0   0.") for line in lines[:2])
    assert lines[2].startswith("  and ")
    only = predict(trained, archive / "LONG.WAV", "--threshold", 1.0)
    assert only == f"{archive / 'LONG.WAV'}, 0:00:04.0: none of these\n"


def test_pictures_are_drawn(trained, archive, tmp_path):
    pytest.importorskip("matplotlib")
    predict(trained, archive / "LONG.WAV", "--plot", tmp_path / "long.png")
    predict(trained, archive / "Größe", "--plot", tmp_path / "pictures")
    drawn = [tmp_path / "long.png", *(tmp_path / "pictures").iterdir()]
    assert [path.read_bytes()[:4] for path in drawn] == [b"\x89PNG"] * 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--to", "x.xlsx"], "--to=x.xlsx has no ending that is known; choose .csv (csv)"),
        (["--to", "x.csv", "--format", "excel"], "--format=excel is unknown"),
        (["--to", "x.txt"], "about one sound, and there are 5"),
        (["--to", "no/x.csv"], "in a folder that does not exist"),
        (["--plot", "x.png"], "is one picture, and there are 5 files"),
        (["--plot", "x.gif"], "is not a folder, nor .png"),
        (["--window", 2], "window=2 is not a length that the run can hear"),
        (["--device", "warp"], "device=warp is not there"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(trained, archive, options, says):
    output = predict(trained, archive, *options, status=1)
    assert says in output
    assert output.count("\n") == 1


def test_nothing_to_tag_is_one_sentence(trained, tmp_path):
    assert "gone.wav does not exist" in predict(trained, tmp_path / "gone.wav", status=1)
    assert "contains no audio files" in predict(trained, tmp_path, status=1)


def test_a_full_disk_is_one_sentence(trained, archive, tmp_path, monkeypatch):
    def full(path, kind, sounds, high_hz):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("audiotok.prediction.output.write", full)
    output = predict(trained, archive / "LONG.WAV", "--to", tmp_path / "a.csv", status=1)
    assert re.fullmatch(
        r"--to=\S+ cannot be written \(No space left on device\); free some[^\n]*\.\n", output
    )


def test_a_wrong_path_is_told_before_torch_is_imported(archive, tmp_path):
    (tmp_path / "labels.csv").write_text("path,labels\n")
    code = (
        "import sys; from typer.testing import CliRunner; from audiotok.cli import app\n"
        "for arguments in (sys.argv[1:2], sys.argv[2:3]):\n"
        "    done = CliRunner().invoke(app, ['predict', *arguments, sys.argv[3]])\n"
        "    assert done.exit_code == 1 and done.output.count(chr(10)) == 1, done.output\n"
        "assert 'torch' not in sys.modules\n"
    )
    paths = (tmp_path / "labels.csv", tmp_path, archive)
    assert subprocess.run([sys.executable, "-c", code, *paths], check=False).returncode == 0
