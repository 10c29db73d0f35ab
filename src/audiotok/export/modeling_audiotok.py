"""A tagger of audiotok as transformers wants it: configuration and model, and the feature extractor.

    from transformers import pipeline
    tagger = pipeline("audio-classification", model=FOLDER, trust_remote_code=True)
    tagger({"raw": samples, "sampling_rate": 44100})

The extractor pads sounds; mel frames, tokens and scores are made by the model. A sound longer than the clips
that the model was trained on is cut into clips, and the score of a class is its highest in any of them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from audiotok.export.waveforms import (
    AudiotokFeatureExtractor,
    AudiotokTokens,
    built,
    quantizer_of,
    save_all_buffers,
    unpadded,
)
from audiotok.model.model import Sizes

__all__ = ["AudiotokConfig", "AudiotokFeatureExtractor", "AudiotokForAudioClassification", "AudiotokTokens"]


class AudiotokConfig(PretrainedConfig):
    """What a tagger is made of.

    Args:
        features: The class that makes frames of waveforms (`_target_`), and its arguments.
        clustering: The class that makes tokens of frames, and its arguments.
        tagger: The class that makes logits of tokens, and its arguments.
        codebooks: The shape of each array that the clustering has fitted.
        clip_seconds: Length of the clips of training, s.
        class_ids: Ids of the classes (C,); `id2label` has their names.
        thresholds: Probability above which each class counts as heard, (C,).
        others: Arguments of `PretrainedConfig`.
    """

    model_type = "audiotok"

    def __init__(
        self,
        features: dict[str, Any] | None = None,
        clustering: dict[str, Any] | None = None,
        tagger: dict[str, Any] | None = None,
        codebooks: dict[str, list[int]] | None = None,
        clip_seconds: float = 10.0,
        class_ids: Sequence[str] = (),
        thresholds: Sequence[float] = (),
        **others: Any,
    ) -> None:
        self.features, self.clustering, self.tagger = features or {}, clustering or {}, tagger or {}
        self.codebooks, self.clip_seconds = codebooks or {}, clip_seconds
        self.class_ids, self.thresholds = list(class_ids), list(thresholds)
        super().__init__(**others)


class AudiotokForAudioClassification(PreTrainedModel):
    """Sounds to mel frames, tokens, and logits.

    Args:
        config: What it is made of.
    """

    config_class = AudiotokConfig
    main_input_name = "input_values"
    scale: Tensor
    offset: Tensor

    def __init__(self, config: AudiotokConfig) -> None:
        super().__init__(config)
        with torch.device("cpu"):  # transformers builds on "meta", where mel filters cannot be computed
            self.quantizer = quantizer_of(config)
            sizes = Sizes.of(self.quantizer, config.num_labels, config.clip_seconds)
            self.tagger = built(config.tagger, sizes=sizes)
            self.register_buffer("scale", torch.ones(config.num_labels))  # of the calibration
            self.register_buffer("offset", torch.zeros(config.num_labels))
        save_all_buffers(self)
        self.post_init()
        self.eval()

    @property
    def n_samples(self) -> int:
        """Length of a clip, samples."""
        return round(self.config.clip_seconds * self.quantizer.features.sample_rate)

    @torch.no_grad()
    def forward(
        self, input_values: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        """Return calibrated logits (B, C): the pipeline applies sigmoid or softmax, as the config says.

        Args:
            input_values: Waveforms (B, S), at the rate of the feature extractor.
            attention_mask: 1 where a sample is not padding, (B, S); None where none is.
        """
        logits = torch.stack([self._logits(wave) for wave in unpadded(input_values, attention_mask)])
        return SequenceClassifierOutput(logits=logits)

    @torch.no_grad()
    def encode(self, input_values: Tensor, attention_mask: Tensor | None = None) -> AudiotokTokens:
        """Return the tokens of sounds of at most the length of a clip; arguments as for `forward`.

        Raises:
            ValueError: A sound is longer.
        """
        waves = unpadded(input_values, attention_mask)
        if max(map(len, waves)) > self.n_samples:
            raise ValueError(f"A sound is longer than a clip of {self.config.clip_seconds} s; cut it.")
        tokens = nn.utils.rnn.pad_sequence(
            [self._read(wave, "tokens")[0][0] for wave in waves], batch_first=True, padding_value=-1
        )
        return AudiotokTokens(audio_codes=tokens.mT)

    def _logits(self, wave: Tensor) -> Tensor:
        """Return the logits (C,) of a sound (S,): the highest of any clip."""
        starts = range(0, max(1, len(wave) - self.n_samples + 1), self.n_samples)
        clips = [wave[start : start + self.n_samples] for start in starts]
        if len(wave) > starts[-1] + self.n_samples:
            clips.append(wave[-self.n_samples :])
        read = [self.tagger(*self._read(clip, self.tagger.reads)) for clip in clips]
        logits = torch.cat(read).float() * self.scale + self.offset
        if self.config.problem_type == "single_label_classification":
            logits = logits.log_softmax(-1)  # so that the highest is that of the highest probability
        return logits.amax(0)

    def _read(self, clip: Tensor, stage: Any) -> tuple[Tensor, Tensor]:
        """Return the input of the tagger for a clip (at most S,), without padding, and its length (1,).

        Clips are read one by one: the last bits of a matrix product, and with them the choice between two
        centroids that are equally near, may depend on what else is in a batch.
        """
        padded = nn.functional.pad(clip.float(), (0, self.n_samples - len(clip)))[None]
        n_samples = torch.tensor([len(clip)], device=clip.device)
        values, lengths = self.quantizer.read(*self.quantizer.features.analyze(padded, n_samples), stage)
        return values[:, : int(lengths)], lengths
