"""A tokenizer of audiotok as transformers wants it: waveforms to tokens, and back.

from transformers import AutoFeatureExtractor, AutoModelForAudioTokenization
tokenizer = AutoModelForAudioTokenization.from_pretrained(FOLDER, trust_remote_code=True)
extractor = AutoFeatureExtractor.from_pretrained(FOLDER, trust_remote_code=True)
codes = tokenizer.encode(**extractor(samples, sampling_rate=22050, return_tensors="pt")).audio_codes
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.modeling_utils import PreTrainedAudioTokenizerBase

from audiotok.export.waveforms import (
    AudiotokFeatureExtractor,
    AudiotokTokens,
    quantizer_of,
    save_all_buffers,
    unpadded,
)

__all__ = ["AudiotokFeatureExtractor", "AudiotokTokenizer", "AudiotokTokenizerConfig", "AudiotokTokens"]


class AudiotokTokenizerConfig(PretrainedConfig):
    """What a tokenizer is made of.

    Args:
        features: The class that makes frames of waveforms (`_target_`), and its arguments.
        clustering: The class that makes tokens of frames, and its arguments.
        codebooks: The shape of each array that the clustering has fitted.
        clip_seconds: Length of the clips that it is for, s: longer sounds are cut into such.
        others: Arguments of `PretrainedConfig`.
    """

    model_type = "audiotok-tokenizer"

    def __init__(
        self,
        features: dict[str, Any] | None = None,
        clustering: dict[str, Any] | None = None,
        codebooks: dict[str, list[int]] | None = None,
        clip_seconds: float = 10.0,
        **others: Any,
    ) -> None:
        self.features, self.clustering = features or {}, clustering or {}
        self.codebooks, self.clip_seconds = codebooks or {}, clip_seconds
        super().__init__(**others)


class AudiotokTokenizer(PreTrainedAudioTokenizerBase):
    """Sounds to tokens, as `audiotok.Tokenizer.encode` makes them.

    Args:
        config: What it is made of.
    """

    config_class = AudiotokTokenizerConfig
    main_input_name = "input_values"

    def __init__(self, config: AudiotokTokenizerConfig) -> None:
        super().__init__(config)
        with torch.device("cpu"):  # transformers builds on "meta", where mel filters cannot be computed
            self.quantizer = quantizer_of(config)
        save_all_buffers(self)
        self.post_init()
        self.eval()

    @property
    def n_samples(self) -> int:
        """Length of the clips that the tokenizer is for, samples."""
        return round(self.config.clip_seconds * self.quantizer.features.sample_rate)

    @torch.no_grad()
    def encode(
        self, input_values: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any
    ) -> AudiotokTokens:
        """Return the tokens of sounds of any length, codebooks before time.

        Args:
            input_values: Waveforms (B, S) or (B, 1, S), at the rate of the feature extractor.
            attention_mask: 1 where a sample is not padding, (B, S); None where none is.
        """
        waves = input_values.reshape(len(input_values), -1).float()
        length = self.n_samples
        made = [
            torch.cat([self.quantizer.encode_clip(clip, length) for clip in wave.split(length)])
            for wave in unpadded(waves, attention_mask)
        ]
        tokens = nn.utils.rnn.pad_sequence(made, batch_first=True, padding_value=-1)
        return AudiotokTokens(audio_codes=tokens.mT)

    @torch.no_grad()
    def decode(self, audio_codes: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return the waveforms (B, S) that tokens (B, Q, T) stand for, padded with zeros.

        Raises:
            UserError: The features cannot be turned back into sound.
        """
        waves = []
        for tokens in audio_codes.mT:
            tokens = tokens[(tokens >= 0).all(1)]
            clips = tokens.split(self.quantizer.n_tokens(self.config.clip_seconds))
            made = [self.quantizer.resynthesize(clip[None], torch.tensor([len(clip)])) for clip in clips]
            waves.append(torch.cat([wave[0, : self.n_samples] for wave in made]))
        return nn.utils.rnn.pad_sequence(waves, batch_first=True)

    def forward(self, input_values: Tensor, attention_mask: Tensor | None = None, **_: Any) -> AudiotokTokens:
        """Return what `encode` returns."""
        return self.encode(input_values, attention_mask)
