"""Tag audio files with a finished run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiotok.data.audio import EXTENSIONS, UnreadableError, read_waveform_blocks
from audiotok.data.clip import SoundClass
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
    before it if the file would leave it short. The probability of a class is its maximum over the clips. The
    file is read clip by clip, so its length does not matter to the memory that this takes.

    Args:
        run: A finished run.
        path: An audio file.

    Raises:
        UserError: The file cannot be read, or is a folder.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the files in it.")
    rate = run.tokenizer.features.sample_rate
    length = round(run.clip_seconds * rate)
    try:
        clips = _clips(read_waveform_blocks(path, rate), length)
        logits = [_logits(run, torch.from_numpy(clip), length) for clip in clips]
    except UnreadableError as error:
        raise UserError(
            f"{path} cannot be read as audio ({error}); give one of {', '.join(EXTENSIONS)}."
        ) from error
    if not logits:
        raise UserError(f"{path} contains no samples; give another file.")
    probabilities = run.calibration.probabilities(torch.cat(logits)).amax(0)  # (clips, C), then (C,)
    order = probabilities.argsort(descending=True).tolist()
    return [Tag(run.classes[i], float(probabilities[i])) for i in order]


def _clips(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut a waveform that comes in blocks (some,) into clips (length,); the last one overlaps if it must.

    A waveform that is shorter than a clip is yielded as it is, an empty one not at all.
    """
    ahead = np.zeros(0, np.float32)  # read, and not yet in a clip
    before = ahead  # the clip before
    for block in blocks:
        ahead = np.concatenate([ahead, block])
        while len(ahead) > length:
            before, ahead = ahead[:length], ahead[length:]
            yield before
    if len(ahead):
        yield np.concatenate([before, ahead])[-length:]


def _logits(run: Restored, clip: Tensor, length: int) -> Tensor:
    """Return the logits (1, C) of a clip (S,) that is padded with zeros to a length in samples."""
    padded = torch.nn.functional.pad(clip, (0, length - len(clip)))
    analysis, n_slices = run.tokenizer.features.analyze(padded[None], torch.tensor([len(clip)]))
    return run.model(*run.tokenizer.read(analysis, n_slices, run.model.reads))
