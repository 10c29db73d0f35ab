"""HDF5 of mp3 files, as PaSST packs them (github.com/kkoutini/PaSST, `audioset/prepare_scripts`).

Datasets: `audio_name` (clips,) such as b"Y<id>.mp3" or b"07/Y<id>.mp3", `mp3` (clips,) of uint8 of any
length, and `target`, which is not read, as in `hdf5`.
"""

from typing import Any

import numpy as np

from audiotok.data.layout.hdf5 import HDF5, is_called_mp3
from audiotok.data.reading.files import Files


class HDF5MP3(HDF5):
    """Mp3 files in the rows of HDF5 files."""

    name = "hdf5_mp3"
    dataset = "mp3"
    content = "the uint8 of a file"

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether there is an HDF5 file in any sub-folder that is called one of mp3."""
        return any(is_called_mp3(path) for path in cls.paths(files, folder))

    def to_file(self, row: np.ndarray, sample_rate: int) -> bytes:
        """Return the bytes of an mp3 file; it knows its own rate."""
        return row.tobytes()

    def fits(self, data: Any) -> bool:
        """Tell whether a dataset has uint8 of any length in each row."""
        import h5py

        return data.ndim == 1 and h5py.check_vlen_dtype(data.dtype) == np.uint8
