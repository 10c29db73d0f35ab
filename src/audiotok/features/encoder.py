"""Hidden states of a pretrained audio encoder: HuBERT, WavLM, wav2vec 2.0, data2vec-audio, AST, Whisper."""

import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Text, Whole
from audiotok.features.audio_encoder import audio_encoder
from audiotok.features.stacking import StackedFeatures
from audiotok.pretrained import load_pretrained


class Encoder(StackedFeatures):
    """The hidden states of one layer, averaged over `pool` neighbours in time.

    K-means of a layer gives the units of HuBERT (W.-N. Hsu et al., TASLP 2021). Waveforms come at the rate of
    the model's feature extractor. The model stays as it is: frozen, without dropout, in float32.

    Args:
        name: Folder of a model as transformers writes it, or its name on the Hugging Face Hub.
        layer: Layer whose outputs are taken, 0 for the inputs of the first; None for the last hidden state,
            which in some models is normalised once more.
        pool: Neighbouring hidden states that are averaged into one.
        n_components: Principal components kept of a hidden state; None keeps all dimensions.
        whiten: Scale every principal component to unit variance.

    Raises:
        UserError: The model cannot be read, is not an audio encoder, or has no such layer.
    """

    analysis_dtype = torch.float32
    analysis_name = "hidden states"
    is_portable = False

    def __init__(
        self,
        *,
        name: Text | None = None,
        layer: Whole | None = None,
        pool: Count = 1,
        n_components: Count | None = None,
        whiten: bool = False,
    ) -> None:
        loaded = load_pretrained("features.name", name)
        encoder = audio_encoder("features.name", name, loaded)
        if layer is not None and layer > encoder.n_layers:
            raise UserError(
                f"features.layer={layer} is beyond the {encoder.n_layers} layers of features.name={name}; "
                "choose one of them, 0 for their inputs, or null for the last hidden state."
            )
        super().__init__(
            n_stacked=encoder.width, stacked_key="name", n_components=n_components, whiten=whiten
        )
        self.encoder, self.layer, self.pool = encoder, layer, pool
        self.sample_rate, self.n_bins = encoder.sample_rate, encoder.width
        self._analysis_settings: dict[str, object] = {
            "kind": "encoder",
            "weights": loaded.checksum,
            "sample_rate": encoder.sample_rate,
            "layer": layer,
            "pool": pool,
        }
        self._settings = {**self._analysis_settings, "n_components": n_components, "whiten": whiten}

    @property
    def settings(self) -> dict[str, object]:
        """The checksum of the model, which its name does not determine, and the other arguments."""
        return self._settings

    @property
    def analysis_settings(self) -> dict[str, object]:
        """What the hidden states depend on."""
        return self._analysis_settings

    def n_slices(self, n_samples: int) -> int:
        """Return how many averaged hidden states a waveform of `n_samples` gives."""
        return -(-self.encoder.n_slices(n_samples) // self.pool)

    @torch.no_grad()
    def analyze(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Compute hidden states of waveforms (B, S), padded with zeros behind n_samples (B,).

        Clips of the same length are read together, and without their padding.

        Returns:
            (B, slices, width) in float32, 0 in padding, and how many slices of each count (B,).
        """
        shape = len(waveforms), self.n_slices(waveforms.shape[1]), self.n_bins
        analysis = waveforms.new_zeros(shape, dtype=torch.float32)
        n_slices = torch.zeros_like(n_samples)
        for length in n_samples.unique().tolist():
            same = n_samples == length
            states = self.encoder(waveforms[same, :length], self.layer)
            pooled = F.avg_pool1d(states.mT, self.pool, ceil_mode=True, count_include_pad=False).mT
            analysis[same, : pooled.shape[1]] = pooled
            n_slices[same] = pooled.shape[1]
        return analysis, n_slices
