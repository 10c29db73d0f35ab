"""Programs that cannot write their folder or their log say so in a sentence."""

import errno
import logging

import pytest
from runs import command

from audiotok.programs.unwritable import LogFile


@pytest.fixture
def log_file(tmp_path):
    """Return a logger of its own, and its file, whose folder is missing."""
    file = LogFile(str(tmp_path / "run" / "train.log"))
    log = logging.Logger("of a test")
    log.addHandler(file)
    return log, file


def test_a_log_that_cannot_be_opened_is_given_up_in_one_line(log_file, caplog, capsys):
    log, _ = log_file
    log.warning("first")
    log.warning("second")
    assert caplog.text.count("train.log cannot be written (No such file or directory)") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_log_whose_disk_is_full_is_given_up_in_one_line(log_file, tmp_path, caplog, capsys, monkeypatch):
    log, file = log_file
    (tmp_path / "run").mkdir()
    log.warning("first")

    def refuse():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file, "flush", refuse)
    log.warning("second")
    log.warning("third")
    assert caplog.text.count("train.log cannot be written (No space left on device)") == 1
    assert "Traceback" not in capsys.readouterr().err
    assert "third" not in (tmp_path / "run" / "train.log").read_text()


def test_a_folder_that_hydra_cannot_make_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end:
        command(f"hydra.run.dir={tmp_path / 'file' / 'run'}", verb="prepare")
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith(f"hydra.run.dir={tmp_path / 'file' / 'run'} cannot be written (Not a directory);")
    assert "Traceback" not in said
