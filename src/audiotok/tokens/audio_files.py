"""Audio files as clips, for a tokenizer that is fitted and used without a corpus."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.data.audio import EXTENSIONS, UnreadableError, read_header, read_waveform
from audiotok.errors import UserError
from audiotok.features.features import Features

AudioFiles = str | Path | Sequence[str | Path]  # a folder, one file, or several files
_BATCH = 8  # clips that are read at a time


class FileReader:
    """Read the analysis of audio files, each cropped to its middle or padded to one length.

    Args:
        files: Audio files, or the folder that they are in.
        features: Analyses them.
        clip_seconds: Length of a clip, s.

    Raises:
        UserError: There are no files.
    """

    n_workers = 0

    def __init__(self, files: AudioFiles, features: Features, clip_seconds: float) -> None:
        self.paths, self.features, self.clip_seconds = audio_files(files), features, clip_seconds

    def __len__(self) -> int:
        return len(self.paths)

    def order(self, chosen: np.ndarray) -> np.ndarray:
        """Return the order of some of the files, bool (files,): they are read as they are listed."""
        return np.arange(np.count_nonzero(chosen))

    def analyses(self, clips: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the analysis of files in batches (B, slices, bins), and how many slices count (B,).

        Raises:
            UserError: A file cannot be read as audio.
        """
        for start in range(0, len(clips), _BATCH):
            made = [self._analysis(self.paths[clip]) for clip in clips[start : start + _BATCH]]
            analysis, n_slices = zip(*made, strict=True)
            yield torch.cat(analysis), torch.cat(n_slices)

    def _analysis(self, path: Path) -> tuple[Tensor, Tensor]:
        rate, n_samples = self.features.sample_rate, round(self.clip_seconds * self.features.sample_rate)
        try:
            surplus = max(0.0, read_header(path).seconds - self.clip_seconds)
            sound = read_waveform(path, rate, surplus / 2, self.clip_seconds)[:n_samples]
        except UnreadableError as error:
            raise UserError(f"{path} cannot be read as audio ({error}); leave it out.") from error
        waveform = F.pad(torch.from_numpy(sound), (0, n_samples - len(sound)))
        return self.features.analyze(waveform[None], torch.tensor([len(sound)]))


def labelled_files(folder: str | Path) -> tuple[list[Path], Tensor, list[str]]:
    """List the audio files below a folder in which every class has a folder of its name.

    Args:
        folder: Has the files of a class in `<class>/` or below it.

    Returns:
        The files, the class of each, int64 (files,), and the names of the classes (C).

    Raises:
        UserError: There are no audio files.
    """
    files = audio_files(folder)
    names = [file.relative_to(folder).parts[0] for file in files]
    classes = sorted(set(names))
    return files, torch.tensor([classes.index(name) for name in names]), classes


def audio_files(files: AudioFiles) -> list[Path]:
    """Return a list of files as paths, or the audio files in a folder and its subfolders, sorted.

    Raises:
        UserError: There are none.
    """
    if not isinstance(files, str | Path):
        paths = [Path(file) for file in files]
    elif Path(files).is_dir():
        suffixes = {f".{extension}" for extension in EXTENSIONS}
        paths = sorted(path for path in Path(files).rglob("*") if path.suffix.lower() in suffixes)
    else:
        paths = [Path(files)]
    if not paths:
        raise UserError(f"files={files} has no audio file; give a list of files, or their folder.")
    return paths
