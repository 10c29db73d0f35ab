"""A finished run, ready to use on other sounds: tags, tokens and embeddings.

    run = audiotok.load("outputs/2026-11-28/16-36-15")
    scores = run.predict("dawn.wav")  # or an array with sample_rate=...
    scores.tags(5), scores.detections(run.thresholds)

Sounds are read piece by piece, so the length of a file does not matter to the memory that this takes. What a
window gives does not depend on the windows that are computed with it, but for the last bits of a float. The
windows of several short sounds are computed together.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice, pairwise, starmap
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.data.clip import SoundClass
from audiotok.data.recording import Recording, Sound, cut
from audiotok.errors import UserError
from audiotok.experiment.restoration import Restored, restore
from audiotok.prediction.results import Embeddings, Scores, Tokens, Windows
from audiotok.tokens.quantizer import Stage

_TOGETHER = 16  # windows that a model reads at a time
_LEAST = 0.01  # s; of a window, and from one to the next
Result = TypeVar("Result", bound=Windows)
Read = Callable[[Tensor, Tensor], tuple[Tensor, ...]]  # inputs and lengths of windows to what is wanted


class Cutting(NamedTuple):
    """How a sound is cut into windows.

    Args:
        length: Of a window, samples.
        step: From the start of a window to that of the next, samples.
    """

    length: int
    step: int


def load(path: str | Path, device: str | torch.device = "auto", trust: Sequence[str] = ()) -> "TrainedRun":
    """Load a finished run, to use it on other sounds.

    Args:
        path: The folder of a run of `audiotok train`, or one of its checkpoints.
        device: "cpu", "cuda" and so on; "auto" is a GPU if there is one.
        trust: Modules of your own whose classes the run's configuration may name; without it, no code is
            called but audiotok's.

    Raises:
        UserError: It is neither, something in it is damaged, or the device does not exist.
    """
    return TrainedRun(restore(Path(path).expanduser(), trust), device_of(device))


class TrainedRun:
    """A finished run: its tokenizer, its model, and the classes that it knows.

    A sound is the path of an audio file, its bytes, or an array of numpy or torch, (S,) or (channels, S), of
    floats within -1 .. 1 or integers of 16 or 32 bits, whose `sample_rate` must be given. Channels are
    averaged and rates converted. A list of sounds gives a list of results.

    A sound is read in windows; the last one ends where the sound does. A window that is shorter than the
    clips of the run is padded as short clips are in training.

    Args:
        restored: What the run has left.
        device: Where it computes.
    """

    def __init__(self, restored: Restored, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.tokenizer = restored.tokenizer.to(self.device).eval()
        self.model = restored.model.to(self.device).eval()
        self.calibration = restored.calibration
        self.classes: tuple[SoundClass, ...] = tuple(restored.classes)
        self.clip_seconds = restored.clip_seconds

    @property
    def sample_rate(self) -> int:
        """Rate at which the run hears sounds, Hz."""
        return self.tokenizer.features.sample_rate

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The probability above which each class counts as heard, (C,)."""
        return self.calibration.thresholds

    def key(self) -> str:
        """Return 16 hex digits that identify weights, centroids and calibration: equal keys, equal scores."""
        weights = {name: weight.cpu().numpy() for name, weight in self.model.state_dict().items()}
        digest = hashlib.sha256(repr(self.calibration).encode())
        for name, array in {**weights, **self.tokenizer.arrays()}.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    @overload
    def predict(
        self,
        sound: list[Sound],
        sample_rate: float | None = ...,
        *,
        window: float | None = ...,
        overlap: float = ...,
    ) -> list[Scores]: ...

    @overload
    def predict(
        self,
        sound: Sound,
        sample_rate: float | None = ...,
        *,
        window: float | None = ...,
        overlap: float = ...,
    ) -> Scores: ...

    def predict(
        self,
        sound: Sound,
        sample_rate: float | None = None,
        *,
        window: float | None = None,
        overlap: float = 0.0,
    ) -> Any:
        """Return the probability of every class in every window of a sound.

        Args:
            sound: A path or an array, or a list of them.
            sample_rate: Of arrays, Hz; files say their own.
            window: Length of a window, s, at most that of the run's clips, which it is by default.
            overlap: What neighbouring windows share, s; less than a window.

        Raises:
            UserError: A sound cannot be read, or a number is impossible.
        """
        return self._each(sound, sample_rate, window, overlap, self._scores)

    def tokens(
        self,
        sound: Sound,
        sample_rate: float | None = None,
        *,
        window: float | None = None,
        overlap: float = 0.0,
    ) -> Any:
        """Return the `Tokens` of every window of a sound; arguments and errors as for `predict`."""
        return self._each(sound, sample_rate, window, overlap, self._tokens)

    def embed(
        self,
        sound: Sound,
        sample_rate: float | None = None,
        *,
        window: float | None = None,
        overlap: float = 0.0,
    ) -> Any:
        """Return `Embeddings`: the vector of every window of a sound that the last layer of the model reads.

        Arguments and errors as for `predict`; the model must have a layer `classifier`, as all of audiotok's
        have.
        """
        return self._each(sound, sample_rate, window, overlap, self._embeddings)

    def cutting(self, window: float | None = None, overlap: float = 0.0) -> Cutting:
        """Return how sounds are cut.

        Args:
            window: Length of a window, s; None for that of the run's clips.
            overlap: What neighbouring windows share, s.

        Raises:
            UserError: A number is impossible.
        """
        seconds = self.clip_seconds if window is None else window
        if not _LEAST <= seconds <= self.clip_seconds:
            raise UserError(
                f"window={seconds:g} is not a length that the run can hear; choose {_LEAST:g} to "
                f"{self.clip_seconds:g} s, the length of its clips."
            )
        if not 0 <= overlap <= seconds - _LEAST:
            raise UserError(
                f"overlap={overlap:g} leaves no step from a window of {seconds:g} s to the next; choose 0 or "
                f"more, and at most {seconds - _LEAST:g} s."
            )
        length = round(seconds * self.sample_rate)
        return Cutting(length, max(1, length - round(overlap * self.sample_rate)))

    def scores(
        self, recording: Recording, cutting: Cutting, watch: Callable[[float], object] = float
    ) -> Scores:
        """Return the probability of every class in every window of a recording.

        Args:
            recording: The sound.
            cutting: From `cutting`.
            watch: Called from time to time with the number of seconds that have been read.

        Raises:
            UserError: The sound cannot be read.
        """

        return self._scores([recording], cutting, watch)[0]

    @torch.no_grad()
    def logits(self, waveforms: Sequence[np.ndarray]) -> Tensor:
        """Return the logits of clips, not calibrated: float32 (B, C), on the CPU.

        Args:
            waveforms: At the rate of the run, each (S,), of at most the length of its clips.
        """
        inputs, lengths = self._inputs(waveforms, self.model.reads)
        return self.model(inputs[:, : int(lengths.max())], lengths).float().cpu()

    def _scores(
        self, recordings: Sequence[Recording], cutting: Cutting, watch: Callable[[float], object] = float
    ) -> list[Scores]:
        def read(inputs: Tensor, lengths: Tensor) -> tuple[Tensor]:
            logits = self.model(inputs[:, : int(lengths.max())], lengths)  # padding changes nothing
            return (self.calibration.probabilities(logits.float()),)

        found = self._read(recordings, cutting, self.model.reads, read, watch)
        activation = self.calibration.activation
        return [Scores(*windows, self.classes, scores, activation) for windows, (scores,) in found]

    def _tokens(self, recordings: Sequence[Recording], cutting: Cutting) -> list[Tokens]:
        found = self._read(recordings, cutting, "tokens", lambda *batch: batch)
        return [Tokens(*windows, *arrays) for windows, arrays in found]

    def _embeddings(self, recordings: Sequence[Recording], cutting: Cutting) -> list[Embeddings]:
        classifier = getattr(self.model, "classifier", None)
        if not isinstance(classifier, torch.nn.Module):
            raise UserError(f"The model {type(self.model).__name__} has no layer `classifier` to embed with.")
        seen: list[Tensor] = []
        hook = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

        def read(inputs: Tensor, lengths: Tensor) -> tuple[Tensor]:
            self.model(inputs[:, : int(lengths.max())], lengths)
            return (seen.pop().float(),)

        try:
            found = self._read(recordings, cutting, self.model.reads, read)
        finally:
            hook.remove()
        return [Embeddings(*windows, vectors) for windows, (vectors,) in found]

    def _each(
        self,
        sound: Sound,
        sample_rate: float | None,
        window: float | None,
        overlap: float,
        results: Callable[[Sequence[Recording], Cutting], list[Result]],
    ) -> Result | list[Result]:
        """Return the result of a sound, or of each in a list."""
        cutting = self.cutting(window, overlap)
        if not isinstance(sound, list | tuple):
            return results([Recording.of(sound, sample_rate)], cutting)[0]
        return results([Recording.of(one, sample_rate) for one in sound], cutting)

    @torch.no_grad()
    def _read(
        self,
        recordings: Sequence[Recording],
        cutting: Cutting,
        stage: Stage,
        read: Read,
        watch: Callable[[float], object] = float,
    ) -> list[tuple[tuple[str, np.ndarray, np.ndarray], list[np.ndarray]]]:
        """Read recordings window by window, the windows of neighbours together.

        Args:
            recordings: The sounds.
            cutting: Their windows.
            stage: How far windows are processed before they are read.
            read: Called with the inputs and lengths of some windows.
            watch: As for `scores`.

        Returns:
            For each recording, the arguments of `Windows`, and for each tensor of `read` an array with a row
            for each window.
        """
        windows = (
            (number, start, samples)
            for number, recording in enumerate(recordings)
            for start, samples in cut(recording.blocks(self.sample_rate), *cutting)
        )
        bounds: list[tuple[int, int, int]] = []
        read_so_far: list[list[np.ndarray]] = []
        while some := list(islice(windows, _TOGETHER)):
            bounds += [(number, start, start + len(samples)) for number, start, samples in some]
            made = read(*self._inputs([samples for *_, samples in some], stage))
            read_so_far.append([tensor.cpu().numpy() for tensor in made])
            watch(bounds[-1][2] / self.sample_rate)
        if not bounds:
            return []
        owners, starts, ends = np.array(bounds).T
        arrays = [np.concatenate(parts) for parts in zip(*read_so_far, strict=True)]
        firsts = np.searchsorted(owners, range(len(recordings) + 1))
        return [
            (
                (recording.source, starts[rows] / self.sample_rate, ends[rows] / self.sample_rate),
                [array[rows] for array in arrays],
            )
            for recording, rows in zip(recordings, starmap(slice, pairwise(firsts.tolist())), strict=True)
        ]

    def _inputs(self, windows: Sequence[np.ndarray], stage: Stage) -> tuple[Tensor, Tensor]:
        """Return what a model reads of windows (some,): inputs (B, T, ...) and lengths (B,).

        On a CPU they are processed one by one, as clips are in training, so that tokens are the same to the
        bit; this is faster, too, as it stays in the CPU's caches.
        """
        length = round(self.clip_seconds * self.sample_rate)
        waveforms = [F.pad(torch.from_numpy(window), (0, length - len(window))) for window in windows]
        groups = [[i] for i in range(len(windows))] if self.device.type == "cpu" else [[*range(len(windows))]]
        made = []
        for group in groups:
            stacked = torch.stack([waveforms[i] for i in group]).to(self.device)
            n_samples = torch.tensor([len(windows[i]) for i in group], device=self.device)
            analysis = self.tokenizer.features.analyze(stacked, n_samples)
            made.append(self.tokenizer.read(*analysis, stage))
        inputs, lengths = zip(*made, strict=True)
        return torch.cat(inputs), torch.cat(lengths)


def device_of(device: str | torch.device) -> torch.device:
    """Return a device by its name; "auto" is a GPU if there is one.

    Raises:
        UserError: The device does not exist.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={device} is not there; choose auto, or cpu.") from error
    return chosen
