import random
import zipfile

import pytest
import torch

from audiotok.errors import UserError
from audiotok.run.checkpoint import load_checkpoint, load_to_resume, read_checkpoint
from audiotok.run.folder import RunFolder


def written(folder, content: bytes):
    path = RunFolder(folder).best
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_what_was_saved_is_read(tmp_path):
    path = written(tmp_path, b"")
    torch.save({"state_dict": {"a": torch.arange(3)}, "classes": [["/m/0a", "Tone"]]}, path)
    checkpoint = read_checkpoint(RunFolder(tmp_path).best, "RUN")
    assert torch.equal(checkpoint["state_dict"]["a"], torch.arange(3))
    assert checkpoint["classes"] == [["/m/0a", "Tone"]]


def test_a_truncated_or_foreign_file_is_one_sentence(tmp_path):
    path = written(tmp_path, b"")
    torch.save({"state_dict": {"a": torch.arange(3000)}}, path)
    for content in (path.read_bytes()[:200], b"", b"no checkpoint at all"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"^RUN has a .*best\.ckpt that cannot be read .*; copy it again"):
            read_checkpoint(RunFolder(tmp_path).best, "RUN")


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


def test_code_in_a_checkpoint_is_not_run(tmp_path, capsys):
    torch.save({"state_dict": Harmful()}, written(tmp_path, b""))
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(RunFolder(tmp_path).best, "RUN")
    assert "executed" not in capsys.readouterr().out


# ---- damage ----


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small checkpoint. Do not change it."""
    path = tmp_path_factory.mktemp("whole") / "a.ckpt"
    weights = {name: torch.randn(5) for name in "abc"}
    torch.save({"state_dict": weights, "epoch": 3, "classes": [["a", "A"]]}, path)
    return path


def test_a_flipped_bit_changes_no_weight_in_silence(whole, tmp_path):
    content, wanted, path = whole.read_bytes(), load_checkpoint(whole), tmp_path / "a.ckpt"
    n_refused = 0
    for bit in random.Random(0).sample(range(8 * len(content)), 300):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            read = load_checkpoint(path)
        except (OSError, ValueError):
            n_refused += 1
            continue
        assert str(read) == str(wanted), f"bit {bit}"
    assert n_refused > 150  # the others are in padding, and in dates of the archive


def test_a_member_that_is_marked_as_a_folder_is_refused(whole, tmp_path):
    """Torch returns whatever is in memory for it."""
    content = whole.read_bytes()
    entry = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    path = tmp_path / "a.ckpt"
    path.write_bytes(content[: entry + 38] + b"\x10" + content[entry + 39 :])
    with pytest.raises(ValueError, match="marked as a folder"):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_refused(whole, tmp_path):
    content, path = whole.read_bytes(), tmp_path / "a.ckpt"
    for n_bytes in range(0, len(content), 61):
        path.write_bytes(content[:n_bytes])
        with pytest.raises(ValueError, match="damaged"):
            load_checkpoint(path)


def test_a_checkpoint_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**7))
    with pytest.raises(ValueError, match="compressed"):
        load_checkpoint(path)


def test_training_resumes_only_from_a_checkpoint_of_training(whole):
    with pytest.raises(UserError, match=f"^ckpt_path={whole} is not a checkpoint of training"):
        load_to_resume(whole)
