"""HDF5 files of mp3 files, as packed by PaSST (github.com/kkoutini/PaSST, `audioset/prepare_scripts`).

Datasets: `audio_name` (clips,) such as b"Y<id>.mp3" or b"07/Y<id>.mp3", `mp3` (clips,) of uint8 with variable
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
    content = "the bytes of an mp3 file (uint8, variable length)"

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether any sub-folder has an HDF5 file whose name says mp3."""
        return any(is_called_mp3(path) for path in cls.paths(files, folder))

    def to_file(self, row: np.ndarray, sample_rate: int) -> bytes:
        """Return the bytes of an mp3 file, which has its own sample rate."""
        return row.tobytes()

    def fits(self, data: Any) -> bool:
        """Tell whether the rows of a dataset are uint8 with variable length."""
        import h5py

        return data.ndim == 1 and h5py.check_vlen_dtype(data.dtype) == np.uint8
