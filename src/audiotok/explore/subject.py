"""What the page is about: a finished run, with classes and a model, or a tokenizer alone."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from audiotok.data.clip import SoundClass
from audiotok.experiment.tokenizer import open_tokenizer
from audiotok.features.features import Features
from audiotok.features.logmel import LogMel
from audiotok.prediction.tagger import TrainedRun, load
from audiotok.run.folder import RunFolder
from audiotok.run.trained import is_tokenizer
from audiotok.tokens.quantizer import Quantizer


@dataclass(frozen=True)
class Subject:
    """A run or a tokenizer.

    Args:
        name: Of its folder.
        tokenizer: Fitted, on the CPU.
        clip_seconds: Length of clips, s.
        run: The run; None for a tokenizer.
    """

    name: str
    tokenizer: Quantizer
    clip_seconds: float
    run: TrainedRun | None = None

    @property
    def classes(self) -> Sequence[SoundClass]:
        """The classes that the run knows; none for a tokenizer."""
        return () if self.run is None else self.run.classes

    @property
    def shown(self) -> Features:
        """What clips are shown with: its own analysis, or mel frames where that is not of frequencies."""
        features = self.tokenizer.features
        return features if features.bin_hertz is not None else mel_frames(features.sample_rate)


def open_subject(path: Path, device: str, trust: Sequence[str]) -> Subject:
    """Read a run from its folder or from one of its checkpoints, or a tokenizer from its folder.

    Raises:
        UserError: It is none of these, or something in it is damaged.
    """
    name = (path if path.is_dir() else RunFolder.of_checkpoint(path).path).absolute().name
    if is_tokenizer(path):
        tokenizer = open_tokenizer(path, trust)
        assert tokenizer.clip_seconds is not None, "it was fitted before it was saved"
        return Subject(name, tokenizer, tokenizer.clip_seconds)
    run = load(path, device, trust)
    return Subject(name, deepcopy(run.tokenizer).cpu(), run.clip_seconds, run)  # tags need theirs elsewhere


def mel_frames(sample_rate: int) -> LogMel:
    """Return mel frames of about 46 ms for sounds of any rate, Hz."""
    n_fft = 2 ** max(8, round(0.046 * sample_rate).bit_length() - 1)
    return LogMel(sample_rate=sample_rate, n_fft=n_fft, hop_length=n_fft // 2, n_mels=48)
