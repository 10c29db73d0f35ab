"""`audiotok predict` from the command line, with a tiny run."""

import numpy as np
import pytest
from typer.testing import CliRunner

import audiotok
from audiotok.cli import app


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
    [expected] = data["scores"][data["ids"] == sound.stem]
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
