"""What both models of transformers share: waveforms in, by a feature extractor, and tokens out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from transformers import BatchFeature, FeatureExtractionMixin, PretrainedConfig
from transformers.utils import ModelOutput

from audiotok.export.parts import class_of
from audiotok.tokens.quantizer import Quantizer


class AudiotokFeatureExtractor(FeatureExtractionMixin):
    """Pad sounds to one length.

    Args:
        sampling_rate: The only rate that sounds may come at, Hz.
        clip_seconds: The least length that they are padded to, s.
        others: Arguments of `FeatureExtractionMixin`.
    """

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012  # as transformers has it

    def __init__(self, sampling_rate: int = 22050, clip_seconds: float = 10.0, **others: Any) -> None:
        super().__init__(**others)
        self.sampling_rate, self.clip_seconds = sampling_rate, clip_seconds

    def __call__(
        self,
        sounds: np.ndarray | Tensor | Sequence[Any],
        sampling_rate: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Return `input_values`, float32 (B, S), and `attention_mask`, 1 where a sample is not padding.

        Args:
            sounds: One of shape (S,), or several.
            sampling_rate: Theirs, Hz; None says that it is right.
            return_tensors: "pt", "np" or None, as everywhere in transformers.

        Raises:
            ValueError: The rate is another one, or a sound has several channels or no samples.
        """
        if sampling_rate not in (None, self.sampling_rate):
            raise ValueError(
                f"sampling_rate={sampling_rate} is not the {self.sampling_rate} Hz that this model was "
                "trained at; resample the sound."
            )
        if not len(sounds):
            raise ValueError("sounds is empty; give at least one sample.")
        several = [sounds] if np.ndim(sounds[0]) == 0 else sounds
        waves = [np.asarray(sound, np.float32) for sound in several]
        for wave in waves:
            if wave.ndim != 1 or not len(wave):
                raise ValueError(f"A sound is of the shape {wave.shape}; give one channel of samples, (S,).")
        length = max(round(self.clip_seconds * self.sampling_rate), *map(len, waves))
        values = np.stack([np.pad(wave, (0, length - len(wave))) for wave in waves])
        inside = np.stack([np.arange(length) < len(wave) for wave in waves]).astype(np.int64)
        return BatchFeature({"input_values": values, "attention_mask": inside}, tensor_type=return_tensors)


@dataclass
class AudiotokTokens(ModelOutput):
    """Tokens of sounds.

    Args:
        audio_codes: int64 (B, Q, T), codebooks before time; -1 behind the end of a sound.
    """

    audio_codes: Tensor | None = None


def built(part: dict[str, Any], **derived: Any) -> Any:
    """Build what a part names in `_target_`, with its other values as arguments."""
    arguments = {name: value for name, value in part.items() if name != "_target_"}
    return class_of(part["_target_"])(**arguments, **derived)


def quantizer_of(config: PretrainedConfig) -> Quantizer:
    """Build the features and the codebooks that a configuration names, with room for the arrays to load."""
    quantizer = Quantizer(built(config.features), built(config.clustering))
    quantizer.codebooks.load_arrays({name: np.zeros(shape) for name, shape in config.codebooks.items()})
    return quantizer


def save_all_buffers(model: nn.Module) -> None:
    """Save every buffer with the weights: transformers leaves the others uninitialised at loading."""
    for part in model.modules():
        part._non_persistent_buffers_set.clear()


def unpadded(input_values: Tensor, attention_mask: Tensor | None) -> list[Tensor]:
    """Return the waveforms (some,) of a batch (B, S) without padding."""
    if attention_mask is None:
        return list(input_values)
    lengths = attention_mask.sum(1).tolist()
    return [wave[:length] for wave, length in zip(input_values, lengths, strict=True)]
