"""Tag audio files with a finished run."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiotok.data.clip import SoundClass
from audiotok.data.reading.audio import EXTENSIONS, UnreadableError, read_waveform
from audiotok.errors import UserError
from audiotok.experiment import Restored


@dataclass(frozen=True, slots=True)
class Tag:
    """A class and its probability."""

    sound_class: SoundClass
    probability: float


@torch.no_grad()
def tag(run: Restored, path: Path) -> list[Tag]:
    """Tag an audio file, the most probable class first.

    A file longer than the clips of the run is cut into clips of that length; the last clip overlaps the one
    before it if the file would leave it short. The probability of a class is its maximum over the clips.

    Args:
        run: A finished run.
        path: An audio file.

    Raises:
        UserError: The file cannot be read, or is a folder.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the files in it.")
    rate = run.tokenizer.features.sample_rate
    try:
        waveform = torch.from_numpy(read_waveform(path, rate))
    except UnreadableError as error:
        raise UserError(
            f"{path} cannot be read as audio ({error}); give one of {', '.join(EXTENSIONS)}."
        ) from error
    if not len(waveform):
        raise UserError(f"{path} contains no samples; give another file.")
    length = round(run.clip_seconds * rate)
    starts = [*range(0, len(waveform) - length, length), max(0, len(waveform) - length)]
    clips = [waveform[start : start + length] for start in starts]
    logits = torch.cat([_logits(run, clip, length) for clip in clips])  # (clips, C)
    probabilities = logits.sigmoid().amax(0)
    order = probabilities.argsort(descending=True).tolist()
    return [Tag(run.classes[i], float(probabilities[i])) for i in order]


def _logits(run: Restored, clip: Tensor, length: int) -> Tensor:
    """Return the logits (1, C) of a clip (S,) that is padded with zeros to a length in samples."""
    padded = torch.nn.functional.pad(clip, (0, length - len(clip)))
    analysis, n_slices = run.tokenizer.features.analyze(padded[None], torch.tensor([len(clip)]))
    return run.model(*run.tokenizer.read(analysis, n_slices, run.model.reads))
