"""A tagger of audiotok as transformers wants it: configuration, feature extractor and model.

    from transformers import pipeline
    tagger = pipeline("audio-classification", model=FOLDER, trust_remote_code=True)
    tagger({"raw": samples, "sampling_rate": 44100})

The extractor pads sounds; mel frames, tokens and scores are made by the model. A sound longer than the clips
that the model was trained on is cut into clips, and the score of a class is its highest in any of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BatchFeature, FeatureExtractionMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import ModelOutput

from audiotok.export.parts import class_of
from audiotok.model.model import Sizes
from audiotok.tokens.quantizer import Quantizer


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
            raise ValueError("There is no sound; give at least one sample.")
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
            self.quantizer = Quantizer(_built(config.features), _built(config.clustering))
            self.quantizer.codebooks.load_arrays(
                {name: np.zeros(shape) for name, shape in config.codebooks.items()}
            )
            sizes = Sizes.of(self.quantizer, config.num_labels, config.clip_seconds)
            self.tagger = _built(config.tagger, sizes=sizes)
            self.register_buffer("scale", torch.ones(config.num_labels))  # of the calibration
            self.register_buffer("offset", torch.zeros(config.num_labels))
        for part in self.modules():  # every buffer is saved; loading would fill the others with anything
            part._non_persistent_buffers_set.clear()
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
        logits = torch.stack([self._logits(wave) for wave in _unpadded(input_values, attention_mask)])
        return SequenceClassifierOutput(logits=logits)

    @torch.no_grad()
    def encode(self, input_values: Tensor, attention_mask: Tensor | None = None) -> AudiotokTokens:
        """Return the tokens of sounds of at most the length of a clip; arguments as for `forward`.

        Raises:
            ValueError: A sound is longer.
        """
        waves = _unpadded(input_values, attention_mask)
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


def _built(part: dict[str, Any], **derived: Any) -> Any:
    arguments = {name: value for name, value in part.items() if name != "_target_"}
    return class_of(part["_target_"])(**arguments, **derived)


def _unpadded(input_values: Tensor, attention_mask: Tensor | None) -> list[Tensor]:
    if attention_mask is None:
        return list(input_values)
    lengths = attention_mask.sum(1).tolist()
    return [wave[:length] for wave, length in zip(input_values, lengths, strict=True)]
