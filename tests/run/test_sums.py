"""A run's text files are compared with their checksums; a kill at any moment leaves files that match."""

import json

import pytest

from audiotok.run import sums
from audiotok.run.folder import RunFolder
from audiotok.run.history import read_history, write_history
from audiotok.run.reader import read_run
from audiotok.run.sums import DamagedError, read_summed, write_summed


def test_what_was_written_is_read_and_what_was_changed_is_not(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_metrics({"test/mAP": 0.5})
    write_history(folder.history, [{"epoch": 0, "val/mAP": 0.25}])
    assert folder.read_metrics() == {"test/mAP": 0.5}
    assert read_history(folder.history) == [{"epoch": 0.0, "val/mAP": 0.25}]
    folder.metrics.write_text(folder.metrics.read_text().replace("0.5", "0.6"))
    folder.history.write_text(folder.history.read_text().replace("0.25", "0.85"))
    for read in (folder.read_metrics, lambda: read_history(folder.history)):
        with pytest.raises(ValueError, match="does not match its checksum"):
            read()


def test_a_file_without_a_checksum_is_read_as_before(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.write_text('{"test/mAP": 0.5}')
    assert folder.read_metrics() == {"test/mAP": 0.5}
    folder.write_error("stopped")
    assert folder.read_metrics() == {"test/mAP": 0.5}


@pytest.mark.parametrize("dies", ["record", "write_text"])
def test_a_kill_between_two_files_leaves_files_that_match(tmp_path, monkeypatch, dies):
    path = tmp_path / "history.csv"
    write_summed(path, "first")
    write_summed(path, "second")

    def die(*_):
        raise KeyboardInterrupt

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(sums, dies, die)
            with pytest.raises(KeyboardInterrupt):
                write_summed(path, "third")
        assert read_summed(path) == b"second"
    write_summed(path, "fourth")
    assert read_summed(path) == b"fourth"
    path.write_text("first")
    with pytest.raises(DamagedError):
        read_summed(path)


def test_a_changed_configuration_is_read_and_noted(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_config("seed: 1\n")
    assert not folder.config_is_changed
    folder.config.write_text("seed: 2\n")
    assert folder.config_is_changed
    assert folder.read_config()["seed"] == 2
    assert any("was changed" in note for note in read_run(folder, "run").notes)


def test_damaged_checksums_are_noted_and_hide_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_metrics({"test/mAP": 0.5})
    [path] = tmp_path.glob("checksums*")
    for text in ("", "[]", '{"files": {"metrics.json": 3}}', "{" * 2000):
        path.write_text(text)
        run = read_run(folder, "run")
        assert run.metrics == {"test/mAP": 0.5}
        assert any("checksums.json cannot be read" in note for note in run.notes)


def test_what_hydra_has_written_is_compared_too(tmp_path):
    folder = RunFolder(tmp_path)
    folder.overrides.parent.mkdir()
    folder.overrides.write_text("- seed=1\n")
    folder.write_config("seed: 1\n")
    assert folder.read_overrides() == {"seed": "1"}
    folder.overrides.write_text("- seed=2\n")
    with pytest.raises(ValueError, match="checksum"):
        folder.read_overrides()
    folder.overrides.write_text("3")
    with pytest.raises(ValueError, match=r"checksum|list"):
        folder.read_overrides()


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    secret, folder = tmp_path / "secret.json", RunFolder(tmp_path / "run")
    folder.path.mkdir()
    secret.write_text(json.dumps({"key": "secret"}))
    folder.metrics.symlink_to(secret)
    folder.error.symlink_to(secret)
    with pytest.raises(ValueError, match="link"):
        folder.read_metrics()
    assert "secret" not in folder.read_error()
