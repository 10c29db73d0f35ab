"""How the audio encoders of transformers are called, and where in time their hidden states lie.

Clips are read without padding, so a clip has the same hidden states in every batch: the models were trained
with different rules for padding, and some have no mask at all.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.pretrained import Pretrained

_LONGEST = 1 << 20  # samples that the shortest readable waveform may have


class AudioEncoder(nn.Module, ABC):
    """A frozen encoder: waveforms of one length to hidden states.

    Args:
        loaded: The model.
    """

    input_name: ClassVar[str] = "input_values"  # what the feature extractor calls the model's input

    def __init__(self, loaded: Pretrained) -> None:
        super().__init__()
        self.model, self.extractor = loaded.model, loaded.extractor
        self.sample_rate = int(loaded.extractor.sampling_rate)  # Hz
        self.width = int(self.model.config.hidden_size)
        self.n_layers = int(self.model.config.num_hidden_layers)

    @abstractmethod
    def n_slices(self, n_samples: int) -> int:
        """Return how many hidden states in time a waveform gives, 1 or more."""

    @abstractmethod
    def forward(self, waveforms: Tensor, layer: int | None) -> Tensor:
        """Return the hidden states (B, slices, width) of a layer for waveforms (B, S) without padding."""

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def states(self, waveforms: Tensor, layer: int | None) -> Tensor:
        """Call the model on what its feature extractor makes of waveforms (B, S): (B, positions, width)."""
        sounds = [waveform.numpy() for waveform in waveforms.float().cpu()]
        made = self.extractor(sounds, sampling_rate=self.sample_rate, return_tensors="pt")
        inputs = made[self.input_name].to(waveforms.device)
        with torch.autocast(waveforms.device.type, enabled=False):
            found = self.model(inputs, output_hidden_states=layer is not None, return_dict=True)
        return found.last_hidden_state if layer is None else found.hidden_states[layer]


class WaveformEncoder(AudioEncoder):
    """HuBERT, WavLM, wav2vec 2.0, data2vec-audio, UniSpeech, SEW: convolutions over the whole waveform."""

    def __init__(self, loaded: Pretrained) -> None:
        super().__init__(loaded)
        self.n_shortest = next(n for n in range(1, _LONGEST) if self._n_positions(n) >= 1)

    def _n_positions(self, n_samples: int) -> int:
        return int(self.model._get_feat_extract_output_lengths(torch.tensor(n_samples)))

    def n_slices(self, n_samples: int) -> int:
        """Return the positions of the last convolution, of which the shortest waveform has one."""
        return max(1, self._n_positions(n_samples))

    def forward(self, waveforms: Tensor, layer: int | None) -> Tensor:
        """Read waveforms (B, S) whole; those that are too short are padded with zeros."""
        lacking = max(0, self.n_shortest - waveforms.shape[1])
        return self.states(nn.functional.pad(waveforms, (0, lacking)), layer)[
            :, : self.n_slices(waveforms.shape[1])
        ]


class WindowEncoder(AudioEncoder):
    """An encoder of windows of one length: longer waveforms are cut, and the last window is filled up.

    The feature extractor fills it up as the model was trained; hidden states of what it added are left out.
    """

    window: int  # samples

    @abstractmethod
    def n_in_window(self, n_samples: int) -> int:
        """Return how many hidden states in time the first `n_samples` of a window give, 1 or more."""

    @abstractmethod
    def in_time(self, states: Tensor) -> Tensor:
        """Return hidden states (B, positions, width) as (B, slices in a window, width)."""

    def n_slices(self, n_samples: int) -> int:
        """Return the hidden states of all windows."""
        n_whole, rest = divmod(n_samples, self.window)
        return n_whole * self.n_in_window(self.window) + (self.n_in_window(rest) if rest else 0)

    def forward(self, waveforms: Tensor, layer: int | None) -> Tensor:
        """Read one window of waveforms (B, S) after the other."""
        parts = []
        for window in waveforms.split(self.window, 1):
            states = self.in_time(self.states(self.filled(window), layer))
            parts.append(states[:, : self.n_in_window(window.shape[1])])
        return torch.cat(parts, 1)

    def filled(self, window: Tensor) -> Tensor:
        """Return a window (B, samples) as long as the feature extractor needs it at least."""
        return window


class WhisperEncoder(WindowEncoder):
    """The encoder of Whisper, which reads 30 s at a time: a hidden state every 20 ms."""

    input_name = "input_features"

    def __init__(self, loaded: Pretrained) -> None:
        super().__init__(loaded)
        self.model = self.model.get_encoder()
        self.window = int(loaded.extractor.n_samples)
        self._n_most = int(self.model.config.max_source_positions)

    def n_in_window(self, n_samples: int) -> int:
        """Return the share of the positions that have sound."""
        return -(-n_samples * self._n_most // self.window)

    def in_time(self, states: Tensor) -> Tensor:
        """Return the states (B, positions, width) as they are."""
        return states


class PatchEncoder(WindowEncoder):
    """The audio spectrogram transformer (AST): the mean of the patches of a moment, 10.24 s at a time."""

    def __init__(self, loaded: Pretrained) -> None:
        super().__init__(loaded)
        config = self.model.config
        self._patch, self._stride = config.patch_size, config.time_stride
        self._n_bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        self._hop, self._shortest = self.sample_rate // 100, self.sample_rate // 40  # 10 and 25 ms, of Kaldi
        self.window = config.max_length * self._hop

    def n_in_window(self, n_samples: int) -> int:
        """Return the patches in time that lie in the sound."""
        n_frames = 1 + (n_samples - self._shortest) // self._hop
        n_whole = 1 + (self.model.config.max_length - self._patch) // self._stride
        return min(n_whole, max(1, 1 + (n_frames - self._patch) // self._stride))

    def in_time(self, states: Tensor) -> Tensor:
        """Leave out the two tokens before the patches, and average over bands."""
        return states[:, 2:].unflatten(1, (self._n_bands, -1)).mean(1)

    def filled(self, window: Tensor) -> Tensor:
        """Return a window (B, samples) that has at least a mel frame of Kaldi's."""
        return nn.functional.pad(window, (0, max(0, self._shortest - window.shape[1])))


def audio_encoder(key: str, name: str | None, loaded: Pretrained) -> AudioEncoder:
    """Return a model as an encoder.

    Raises:
        UserError: It is not an audio encoder whose hidden states lie in time in a way that is known here.
    """
    model = loaded.model
    if loaded.kind == "whisper":
        return WhisperEncoder(loaded)
    if loaded.kind == "audio-spectrogram-transformer":
        return PatchEncoder(loaded)
    is_whole = hasattr(model, "_get_feat_extract_output_lengths") and not model.config.is_encoder_decoder
    if not is_whole or loaded.extractor.model_input_names[0] != "input_values":
        raise UserError(
            f"{key}={name} is a {loaded.kind} model, not an audio encoder that is known here; give HuBERT, "
            "WavLM, wav2vec 2.0, data2vec-audio, UniSpeech, SEW, AST or Whisper."
        )
    return WaveformEncoder(loaded)
