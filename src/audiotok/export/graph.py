"""A tagger as one graph, from waveforms to scores and tokens, whose every step ONNX knows."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from audiotok.features.spectrogram import MelSpectrogram
from audiotok.prediction.tagger import TrainedRun


class Graph(nn.Module):
    """Compute scores and tokens of clips of one length.

    Mel frames are computed in float64: they are rounded to a sixteenth of a dB, and with float32 another
    order of additions, as another runtime has it, would round some of them to the other side.

    Args:
        run: A finished run, which stays as it is.
    """

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.quantizer, self.model = deepcopy(run.tokenizer), run.model
        self.calibration = run.calibration
        for part in self.quantizer.modules():
            if isinstance(part, MelSpectrogram):
                part.double()
        self.eval()

    @torch.no_grad()
    def forward(self, waveform: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read clips.

        Args:
            waveform: (B, S) at the rate of the run, padded with zeros to the length of its clips.
            n_samples: How many samples of each are not padding, int64 (B,).

        Returns:
            Probabilities (B, C); tokens, int64 (B, T, Q); and how many positions of each clip are not
            padding, int64 (B,).
        """
        analysis, n_slices = self.quantizer.features.analyze(waveform, n_samples)
        frames, n_tokens = self.quantizer.read(analysis, n_slices, "frames")
        tokens = self.quantizer.codebooks.encode(frames)
        if self.model.reads == "analysis":
            inputs, lengths = self.quantizer.read(analysis, n_slices, "analysis")
        else:
            inputs, lengths = tokens if self.model.reads == "tokens" else frames, n_tokens
        return self.calibration.probabilities(self.model(inputs, lengths)), tokens, n_tokens
