"""HDF5 files of mp3 files, as packed by PaSST (github.com/kkoutini/PaSST, `audioset/prepare_scripts`).

Datasets: `audio_name` (clips,) such as b"Y<id>.mp3" or b"07/Y<id>.mp3", `mp3` (clips,) of uint8 with variable
length, and `target`, which is not read, as in `hdf5`.

The bytes are taken from the file by this module where PaSST's own form allows it (contiguous references into
a global heap): over a damaged heap, the HDF5 library 2.0.0 runs for ever.
"""

import struct
from typing import Any

import numpy as np

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.layout.hdf5 import HDF5, is_called_mp3
from audiotok.data.reading.files import Files

# A reference, a collection and an object of the HDF5 file format 3.0, III.E and IV.A.2.d, with offsets of
# eight bytes.
_REFERENCE = struct.Struct("<IQI")  # length, address of the collection, index of the object in it
_COLLECTION = struct.Struct("<4s4xQ")  # GCOL, size with this header
_OBJECT = struct.Struct("<HHIQ")  # index, 0 for free space; references; reserved; size


class HDF5MP3(HDF5):
    """Mp3 files in the rows of HDF5 files."""

    name = "hdf5_mp3"
    dataset = "mp3"
    content = "the bytes of an mp3 file (uint8, variable length)"

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether any sub-folder has an HDF5 file whose name says mp3."""
        return any(is_called_mp3(path) for path in cls.paths(files, folder))

    def row_of(self, rows: Any, location: Location) -> Any:
        """Return the bytes of an mp3 file as uint8 (bytes,)."""
        number, start = int(location.entry), rows.id.get_offset()
        plain = rows.file.id.get_create_plist().get_sizes() == (8, 8) and not rows.file.userblock_size
        if start is None or not plain or not 0 <= number < len(rows):
            return super().row_of(rows, location)
        return np.frombuffer(_read_object(location.path, start + number * _REFERENCE.size), np.uint8)

    def to_file(self, row: np.ndarray, sample_rate: int) -> bytes:
        """Return the bytes of an mp3 file, which has its own sample rate."""
        return row.tobytes()

    def fits(self, data: Any) -> bool:
        """Tell whether the rows of a dataset are uint8 with variable length."""
        import h5py

        return data.ndim == 1 and h5py.check_vlen_dtype(data.dtype) == np.uint8


def _read_object(path: str, place: int) -> bytes:
    """Return the object of a global heap that the reference at a place of a file leads to."""
    try:
        length, address, index = _REFERENCE.unpack(Files().read(path, place, _REFERENCE.size))
        if not length:
            return b""
        mark, size = _COLLECTION.unpack(Files().read(path, address, _COLLECTION.size))
        heap = Files().read(path, address, size) if mark == b"GCOL" else b""
        at = _COLLECTION.size
        while at + _OBJECT.size <= len(heap):
            found, _, _, n_bytes = _OBJECT.unpack_from(heap, at)
            if found == index and length <= n_bytes <= len(heap) - at - _OBJECT.size:
                return heap[at + _OBJECT.size :][:length]
            if not found:
                break
            at += _OBJECT.size + (n_bytes + 7) // 8 * 8
    except (struct.error, OverflowError) as error:
        raise UnreadableError(f"the file is damaged ({error})") from error
    raise UnreadableError("the file is damaged: the bytes of the clip are not where it says")
