"""Arrays of strangers: headers are compared with the bytes there are, and members with their checksums."""

import io
import zipfile

import numpy as np
import pytest

from audiotok.disk.arrays import check_archive, read_array, read_arrays


def npy(shape, descr="<f4", content=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.zeros((0, 4), bool)]
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_they_were_written(tmp_path, array, save):
    save(tmp_path / "a.npz", x=array, f=np.asfortranarray(np.eye(3)[:2]))
    np.save(tmp_path / "a.npy", array)
    found = read_arrays(tmp_path / "a.npz", ["x", "f"])
    for read in (found["x"], read_array(tmp_path / "a.npy")):
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype
    np.testing.assert_array_equal(found["f"], np.eye(3)[:2])


@pytest.mark.parametrize(
    "content",
    [
        npy((10**12,)),
        npy((2, -2), content=b"\0" * 16),
        npy((10**30, 0)),
        npy((2,), "|O", b"\0" * 16),
        npy((2,), "<U0"),
        npy((1,), content=b"\0" * 5),
        npy((1,))[:30],
        b"",
        b"PK",
        npy((1,), content=b"\0" * 4).replace(b"(1,)", b"((((", 1),
    ],
)
def test_a_header_that_does_not_fit_the_file_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(ValueError, match=r"."):
        read_array(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"."):
        read_arrays(tmp_path / "a.npz", ["x"])


def test_every_flipped_byte_of_an_archive_is_noticed_or_without_effect(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(20))
    sound = path.read_bytes()
    outcomes = set()
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_arrays(path, ["x"])["x"], np.arange(20))
            outcomes.add("without effect")
        except ValueError:
            outcomes.add("noticed")
    assert outcomes == {"without effect", "noticed"}


def test_a_missing_array_and_a_compressed_checkpoint_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(20))
    with pytest.raises(ValueError, match=r"y\.npy"):
        read_arrays(path, ["y"])
    with pytest.raises(ValueError, match="compressed"):
        check_archive(path)


def test_an_archive_that_claims_more_than_it_can_hold_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros(10))
    content = path.read_bytes()
    size = (128 + 80).to_bytes(4, "little")
    assert size in content
    path.write_bytes(content.replace(size, (2**31).to_bytes(4, "little")))
    with pytest.raises(ValueError, match="claims"):
        read_arrays(path, ["x"])
