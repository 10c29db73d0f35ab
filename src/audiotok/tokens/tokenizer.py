"""The tokenizer: features and clustering in one module, fitted to clips, kept in a folder.

tokenizer = Tokenizer(LogMel(), Product()).fit("sounds")   # a folder, or a list of files
tokenizer.save("tokenizer")
tokenizer = Tokenizer.load("tokenizer")                    # or the folder of a run
tokens = tokenizer.encode("dawn.wav")                      # (T, Q); or an array with sample_rate=...
frames = tokenizer.decode(tokens)                          # (T, D)
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import Codebooks
from audiotok.data.recording import Recording, Sound
from audiotok.disk.keys import arrays_key, content_key, first_difference
from audiotok.disk.writing import complaint, replacing_folder
from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.errors.ranges import Seconds
from audiotok.features.features import Features
from audiotok.kinds import CENTROIDS
from audiotok.nodes.signature import check_value
from audiotok.store import StaleError
from audiotok.tokens.audio_files import AudioFiles, FileReader
from audiotok.tokens.folder import Stored, build_parts, read_folder, write_folder
from audiotok.tokens.measures import REPORTED, measure
from audiotok.tokens.quantizer import Quantizer
from audiotok.tokens.sample import ClipReader, Sampling, draw_sample
from audiotok.tokens.sidecar import SIDECAR, folder_of

log = logging.getLogger(__name__)


class Tokenizer(Quantizer):
    """Read waveforms as sentences.

    Args:
        features: Waveforms to frames.
        codebooks: Frames to tokens.
        sampling: How many frames both are fitted to; None for the default.

    Attributes:
        clip_seconds: Length of the clips that it is for, s: longer sounds are cut into such, shorter ones are
            padded; None before it is fitted.
        key: Digits that identify what it was fitted to, and how; "" before it is fitted.
        report: Figures of the fitting, by the names in `measures.REPORTED`.
    """

    def __init__(self, features: Features, codebooks: Codebooks, sampling: Sampling | None = None) -> None:
        super().__init__(features, codebooks)
        self.sampling = sampling or Sampling()
        self.clip_seconds: float | None = None
        self.key = ""
        self.report: dict[str, Any] = {}

    @property
    def settings(self) -> dict[str, object]:
        """Everything but the clips that the tokens depend on, flat: `features.hop_length` and so on."""
        parts = {"features": self.features.settings, "clustering": self.codebooks.settings}
        return {
            **{f"{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()},
            # The names that these two had in earlier versions, so that vocabularies and tokens in caches and
            # run folders keep their keys.
            "clustering.sample_frames": self.sampling.n_frames,
            "clustering.sample_clips": self.sampling.n_clips,
        }

    def fit(self, files: AudioFiles, clip_seconds: float = 10.0) -> Self:
        """Fit the features and the codebooks to audio files; return this tokenizer.

        Args:
            files: Audio files, or the folder that they are in.
            clip_seconds: Length that files are cropped or padded to, s; padding is not sampled.

        Raises:
            UserError: There are no files, a file cannot be read, or there are fewer frames than clusters.
        """
        return self.fit_to(FileReader(files, self.features, clip_seconds))

    def fit_to(self, clips: ClipReader, key: str | None = None) -> Self:
        """Fit the features and the codebooks to clips, and report on it; return this tokenizer.

        Args:
            clips: Those of a corpus, for example.
            key: Identifies them and the settings; None for the settings and what is found.

        Raises:
            UserError: There are fewer frames than clusters.
        """
        start = time.perf_counter()
        sample = draw_sample(self.features, self.codebooks, self.sampling, clips)
        n_clips = sample.n_clips
        log.info("Fitting centroids to %s frames of %s training clips.", f"{len(sample):,}", f"{n_clips:,}")
        self.features.fit(sample)
        frames = sample.project()
        del sample  # it would take memory while the frames are clustered
        self.codebooks.fit(frames)
        self.clip_seconds = clips.clip_seconds
        self.key = key or content_key([CENTROIDS.version, self.settings, self.clip_seconds, self.checksum()])
        self.report = {
            "n_clips": n_clips,
            "n_frames": len(frames),
            **measure(self.codebooks, torch.from_numpy(frames)),
            "seconds": round(time.perf_counter() - start, 2),
        }
        return self

    @overload
    def encode(self, sound: list[Sound], sample_rate: float | None = ...) -> list[Tensor]: ...

    @overload
    def encode(self, sound: Sound, sample_rate: float | None = ...) -> Tensor: ...

    def encode(self, sound: Sound, sample_rate: float | None = None) -> Any:
        """Return the tokens of a sound, int64 (T, Q), or of each sound in a list.

        A sound that is longer than the clips that the tokenizer is for is cut into such, one after the other,
        and a shorter one, as the rest of a long one, is padded as in training; padding gives no tokens. Files
        are read piece by piece: an hour takes no more memory than a minute.

        Args:
            sound: The path of an audio file, the bytes of one, or an array of numpy or torch, (S,) or
                (channels, S), of floats within -1 .. 1 or integers of 16 or 32 bits; or a list of these.
            sample_rate: Of arrays, Hz; files say their own.

        Raises:
            UserError: A sound cannot be read, or the tokenizer is not fitted.
        """
        if isinstance(sound, list | tuple):
            return [self.encode(one, sample_rate) for one in sound]
        return self.encode_recording(Recording.of(sound, sample_rate))

    def encode_recording(self, recording: Recording, watch: Callable[[float], object] = float) -> Tensor:
        """Return the tokens (T, Q) of a sound; see `encode`.

        Args:
            recording: The sound.
            watch: Called from time to time with the number of seconds that have been read.
        """
        self._check_fitted()
        assert self.clip_seconds is not None, "a fitted tokenizer knows the length of its clips"
        length = round(self.clip_seconds * self.features.sample_rate)
        device = self.codebooks.centroids.device
        made, n_samples = [], 0
        for clip in clips_of(recording.blocks(self.features.sample_rate), length):
            made.append(self.encode_clip(torch.from_numpy(clip).to(device), length).cpu())
            n_samples += len(clip)
            watch(n_samples / self.features.sample_rate)
        return torch.cat(made)

    def encode_clips(self, files: AudioFiles, clip_seconds: float | None = None) -> tuple[Tensor, Tensor]:
        """Tokenise audio files as clips of one length, which models read.

        Args:
            files: Audio files, or the folder that they are in.
            clip_seconds: Length that files are cropped to, at their middle, or padded to, s; None for that of
                the clips that the tokenizer is for.

        Returns:
            Tokens (files, T, Q), and how many positions of each file are not padding (files,).

        Raises:
            UserError: There are no files, a file cannot be read, or the tokenizer is not fitted.
        """
        self._check_fitted()
        clips = FileReader(files, self.features, clip_seconds or self.clip_seconds or 0)
        tokens, lengths = zip(
            *(self.tokens(*batch) for batch in clips.analyses(range(len(clips)))), strict=True
        )
        return torch.cat(tokens), torch.cat(lengths)

    def checksum(self) -> str:
        """Return 16 hex digits that identify what was fitted or drawn."""
        return arrays_key(self.arrays())

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer to a folder, which it replaces in one step, and from which `load` reads it.

        Raises:
            UserError: The tokenizer is not fitted, its features or clustering cannot be built from a file, or
                the folder cannot be written.
        """
        self._check_fitted()
        folder = Path(folder).expanduser()
        for name, part in (("features", self.features), ("clustering", self.codebooks)):
            if part.node is None:
                raise UserError(
                    f"{name}={type(part).__qualname__} cannot be built from a file; give it a module of its "
                    "own, and arguments that are numbers, text or lists."
                )
        if folder.exists() and not (folder / SIDECAR).is_file() and not _is_empty(folder):
            raise UserError(f"{folder} is not the folder of a tokenizer, and is not empty; give another.")
        try:
            with replacing_folder(folder) as temporary:
                self.write(temporary)
        except OSError as error:
            raise UserError(complaint(error, {"to": folder}) or f"{folder}: {error}.") from error

    def write(self, folder: Path) -> None:
        """Write the files of a tokenizer into an empty folder that nobody reads yet.

        Raises:
            OSError: The folder cannot be written, or the disk is full.
        """
        about = {
            "key": self.key,
            "checksum": self.checksum(),
            "features": self.features.node,
            "clustering": self.codebooks.node,
            "sample": asdict(self.sampling),
            "clip_seconds": self.clip_seconds,
            "settings": self.settings,
            "report": self.report,
        }
        write_folder(folder, self.arrays(), about)

    @classmethod
    def load(cls, path: str | Path, trust: Iterable[str] = ()) -> Self:
        """Read a tokenizer from its folder; no code is called but audiotok's.

        Args:
            path: The folder of a tokenizer, or of a run.
            trust: Further modules whose classes the folder may name.

        Raises:
            UserError: It is neither, is damaged, names other code, or was written by another version.
        """
        folder = folder_of(Path(path).expanduser())
        try:
            stored = read_folder(folder)
            tokenizer = cls(*build_parts(folder, stored.about, trust))
            tokenizer.restore(stored)
        except StaleError as reason:
            raise UserError(f"{folder}: {reason}; copy it again from where it was made.") from reason
        seconds: Any = stored.about.get("clip_seconds")
        check_value(f"{folder / SIDECAR}: clip_seconds", seconds, Seconds)
        n_samples = round(seconds * tokenizer.features.sample_rate)
        check_memory(8 * n_samples, f"{folder / SIDECAR}: clip_seconds={seconds}")
        tokenizer.clip_seconds = float(seconds)
        return tokenizer

    def restore(self, stored: Stored, key: str | None = None) -> None:
        """Take over what a folder holds.

        Args:
            stored: The content of the folder.
            key: That it must have; None for any.

        Raises:
            StaleError: It is of other settings or another key, or its parts do not belong together.
        """
        about, arrays = stored
        try:
            settings = {**about["settings"], "key": about["key"], **about["shapes"]}
            report, checksum = about["report"], about["checksum"]
            missing = (self.arrays().keys() - arrays.keys()) | (REPORTED - report.keys())
            if missing:
                raise KeyError(*sorted(missing))
        except (KeyError, TypeError, AttributeError) as error:
            raise StaleError(f"the centroids cannot be read ({error!r})") from error
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        expected = {**self.settings, "key": key or about["key"], **shapes}
        if difference := first_difference(expected, settings):
            raise StaleError(f"{SIDECAR} does not match: {difference}")
        try:
            self.load_arrays(arrays)
        except (ValueError, TypeError, RuntimeError) as error:
            raise StaleError(f"the centroids have another type or shape ({error})") from error
        if self.checksum() != checksum:
            raise StaleError(f"the centroids do not match the checksum in {SIDECAR}")
        self.key, self.report = str(about["key"]), report

    def _check_fitted(self) -> None:
        if not self.codebooks.centroids.numel():
            raise UserError("The tokenizer has no centroids yet; call fit(files) first.")


def clips_of(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut a waveform that comes in blocks (some,) into clips (length,), and a rest that may be shorter."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > length:
            yield held[:length]
            held = held[length:]
    if len(held):
        yield held


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
