"""HDF5 files of waveforms, as packed by PANNs.

Source of the format: github.com/qiuqiangkong/audioset_tagging_cnn, `utils/dataset.py`.
Datasets: `audio_name` (clips,) such as b"Y<id>.wav", `waveform` (clips, S) int16 or, earlier, float32, and
`target` (clips, 527); `sample_rate` is an attribute, 32,000 Hz if absent. A clip that was missing when the
file was packed is a row of zeros with an empty name. Labels come from the CSVs, because the file does not say
which class table `target` refers to.
"""

import struct
from collections.abc import Iterable
from pathlib import PurePosixPath
from textwrap import shorten
from typing import Any, ClassVar

import numpy as np

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.layout.containers import Containers, Opened
from audiotok.data.layout.layout import Found
from audiotok.data.reading.files import Files, as_text, is_url
from audiotok.errors import UserError

_N_OPEN = 64  # files in each process: AudioSet has 43, and an open file takes little memory
_SAMPLE_RATE = 32_000  # Hz
_WAV_FORMATS = {"int16": 1, "float32": 3}
_MOST_SAMPLES = 2**27  # of a row: 70 minutes at 32 kHz
_MOST_NAMES = 2**30  # bytes of all names of a file
# What h5py raises for data that is missing or damaged, and struct for a rate that no file can have.
_FAULTS = (
    KeyError,
    ValueError,
    IndexError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


class HDF5(Containers):
    """Waveforms in the rows of HDF5 files."""

    name = "hdf5"
    extensions = (".h5", ".hdf5", ".hdf")
    dataset: ClassVar[str] = "waveform"
    content: ClassVar[str] = "a row of int16 or float32 samples"

    def __init__(self) -> None:
        self._rows = Opened(self._open_rows, _N_OPEN)

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether any sub-folder has an HDF5 file whose name does not say mp3."""
        return any(not is_called_mp3(path) for path in cls.paths(files, folder))

    @classmethod
    def paths(cls, files: Files, folder: str) -> Iterable[str]:
        """List the HDF5 files of a folder and its sub-folders."""
        return (e.path for e in files.walk(folder) if e.path.lower().endswith(cls.extensions))

    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the rows that have a name.

        Raises:
            UserError: h5py is not installed, the file is truncated, or its datasets have other shapes.
        """
        for row, name in enumerate(self._names(path)):
            if name:
                yield Found(PurePosixPath(name).stem, Location(self.name, path, str(row)))

    def read(self, location: Location) -> bytes:
        """Return a row as the bytes of an audio file."""
        try:
            rows, sample_rate = self._rows(location.path)
            return self.to_file(self.row_of(rows, location), sample_rate)
        except _FAULTS as error:
            raise UnreadableError(str(error) or type(error).__name__) from error

    def row_of(self, rows: Any, location: Location) -> Any:
        """Return a row of the dataset."""
        return rows[int(location.entry)]

    def to_file(self, row: np.ndarray, sample_rate: int) -> bytes:
        """Return a row, and its rate in Hz, as the bytes of an audio file."""
        return wav(row, sample_rate)

    def fits(self, data: Any) -> bool:
        """Tell whether a dataset has the form that `content` describes."""
        return data.ndim == 2 and data.dtype.name in _WAV_FORMATS and data.shape[1] <= _MOST_SAMPLES

    def _names(self, path: str) -> list[str]:
        try:
            with self._open(path) as file:
                if "index_in_hdf5" in _inside(file) and self.dataset not in _inside(
                    file
                ):  # PANNs' index of the other files
                    return []
                self._check(path, file)
                names = file["audio_name"][:]
        except OSError as error:
            raise UserError(f"{path} cannot be read as HDF5 ({error}); pack or download it again.") from error
        return [name if isinstance(name, str) else name.decode("utf-8", "replace") for name in names]

    def _check(self, path: str, file: Any) -> None:
        names, data = _dataset(file, "audio_name"), _dataset(file, self.dataset)
        if names is None or data is None or data.shape[:1] != names.shape or not self.fits(data):
            raise self._refusal(path, file)
        if names.dtype.kind not in "SO" or names.nbytes > _MOST_NAMES:
            raise self._refusal(path, file)

    def _refusal(self, path: str, file: Any) -> UserError:
        existing = [
            f"{as_text(name)} {getattr(item, 'dtype', '')} {getattr(item, 'shape', '')}"
            for name, item in ((name, file[name]) for name in _inside(file))
        ]
        return UserError(
            f"{path} has {shorten(', '.join(existing), 500) or 'nothing'}, but "
            f"data.layout={self.name} needs audio_name (bytes) and, for each name, {self.content} in "
            f"{self.dataset}, inside the file; choose another data.layout, or "
            "move the file out of data.audio_folder."
        )

    def _open_rows(self, path: str) -> tuple[Any, int]:
        file = self._open(path)  # stays open as long as its dataset is used
        rows = _dataset(file, self.dataset)
        if rows is None:
            raise KeyError(f"{self.dataset} is not in the file")
        return rows, int(file.attrs.get("sample_rate", _SAMPLE_RATE))

    def _open(self, path: str) -> Any:
        try:
            import h5py
        except ModuleNotFoundError as error:
            raise UserError(f"data.layout={self.name} needs h5py; pip install 'audiotok[hdf5]'.") from error
        # readers need no lock, and many shared file systems have none
        return h5py.File(Files().open(path), "r") if is_url(path) else h5py.File(path, "r", locking=False)


def _dataset(file: Any, name: str) -> Any:
    """Return a dataset whose data is in the file itself, or None: a link may lead to any file, or a pipe."""
    import h5py

    found = file[name] if name in _inside(file) else None
    is_inside = isinstance(found, h5py.Dataset) and not found.external and not found.is_virtual
    return found if is_inside else None


def _inside(file: Any) -> list[str]:
    """Return the names that are not links: h5py would open what a link points to."""
    import h5py

    links = file.id.links
    kinds = {name: links.get_info(name.encode("utf-8", "surrogateescape")).type for name in file}
    return [name for name, kind in kinds.items() if kind == h5py.h5l.TYPE_HARD]


def is_called_mp3(path: str) -> bool:
    """Tell whether a name ends in mp3, as PaSST's do (`balanced_train_segments_mp3.hdf`), unlike PANNs'."""
    return PurePosixPath(path).stem.lower().endswith("mp3")


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """Return a mono WAV file with the given samples, int16 or float32 (S,), and sample rate, Hz.

    Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991.
    """
    data = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
    width = data.itemsize
    kind = (_WAV_FORMATS[data.dtype.name], 1, sample_rate, sample_rate * width, width, 8 * width)
    header = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + data.nbytes, b"WAVEfmt ", 16, *kind)
    return b"".join((header, struct.pack("<4sI", b"data", data.nbytes), data.data))
