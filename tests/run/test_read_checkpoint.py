import pytest
import torch

from audiotok.errors import UserError
from audiotok.run.checkpoint import read_checkpoint
from audiotok.run.folder import RunFolder


def written(folder, content: bytes):
    path = RunFolder(folder).best
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_what_was_saved_is_read(tmp_path):
    path = written(tmp_path, b"")
    torch.save({"state_dict": {"a": torch.arange(3)}, "classes": [["/m/0a", "Tone"]]}, path)
    checkpoint = read_checkpoint(RunFolder(tmp_path), "RUN")
    assert torch.equal(checkpoint["state_dict"]["a"], torch.arange(3))
    assert checkpoint["classes"] == [["/m/0a", "Tone"]]


def test_a_truncated_or_foreign_file_is_one_sentence(tmp_path):
    path = written(tmp_path, b"")
    torch.save({"state_dict": {"a": torch.arange(3000)}}, path)
    for content in (path.read_bytes()[:200], b"", b"no checkpoint at all"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"^RUN has a .*best\.ckpt that cannot be read .*; copy it again"):
            read_checkpoint(RunFolder(tmp_path), "RUN")


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


def test_code_in_a_checkpoint_is_not_run(tmp_path, capsys):
    torch.save({"state_dict": Harmful()}, written(tmp_path, b""))
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(RunFolder(tmp_path), "RUN")
    assert "executed" not in capsys.readouterr().out
