"""Log-mel frames, stacked over a little time and turned onto their principal components."""

import warnings
from typing import Literal

import torch
from torch import Tensor, nn
from torchaudio.functional import compute_deltas, melscale_fbanks

from audiotok.errors import UserError
from audiotok.features.projection import Projection
from audiotok.padding import is_position

_FLOAT32_DB = 300.0  # power between minus and plus this, dB, is a float32
_N_BLOCKS = 4  # parts of the mel filters, each a product with the few frequency bins that it covers
Normalization = Literal["none", "clip_minmax", "clip_max", "corpus"]


class LogMel(nn.Module):
    """Waveforms to mel frames, and mel frames to frames, on any device and in any process.

    A mel spectrogram (Hann window, centred, power, HTK mel scale, triangular filters of height 1) in dB;
    `context` neighbouring mel frames are stacked into one vector every `stride` mel frames, and turned onto
    principal components. Several contexts give several sets of components side by side, of the same moment
    at several scales of time.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        n_fft: Length of the analysis window, samples.
        hop_length: From one mel frame to the next, samples.
        n_mels: Mel bins, M.
        f_min: Lower edge of the lowest bin, Hz.
        f_max: Upper edge of the highest bin, Hz; None for half the sample rate.
        floor_db: Power below this counts as this, dB.
        range_db: What is further below a clip's loudest bin counts as that far below, dB; None for no limit.
        normalization: "none" keeps dB; "clip_minmax" maps each clip's own range to 0 .. 1; "clip_max" makes
            each clip's loudest bin 0 dB; "corpus" gives every dimension of a stacked frame mean 0 and
            deviation 1 over the training sample.
        deltas: 1 appends the slope of every mel bin over five mel frames, 2 the slope of that slope too.
        context: Mel frames stacked into one vector; several numbers for several scales of time.
        stride: Mel frames from one vector to the next: the time resolution of tokens.
        n_components: Principal components kept, one number for each context, D in all; None keeps the
            stacked frame as it is.
        bands: Groups of neighbouring mel bins, each with principal components of its own, which share out
            those of a context: what sounds in one band leaves the others' components alone. One number for
            all contexts, or one for each.
        whiten: Give every principal component unit variance.

    Raises:
        UserError: The numbers contradict each other, or a mel filter covers no frequency bin.
    """

    window: Tensor
    mel_filters: Tensor  # (2 * frequency bins, M): equal rows for the real and the imaginary part of a bin

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        n_mels: int,
        f_min: float,
        f_max: float | None,
        floor_db: float,
        range_db: float | None,
        normalization: Normalization,
        deltas: int,
        context: int | list[int],
        stride: int,
        n_components: int | list[int] | None,
        bands: int | list[int],
        whiten: bool,
    ) -> None:
        super().__init__()
        self.analysis: dict[str, object] = {
            "kind": "logmel",
            "sample_rate": sample_rate,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "n_mels": n_mels,
            "f_min": f_min,
            "f_max": f_max,
            "floor_db": floor_db,
        }
        self.settings: dict[str, object] = {
            **self.analysis,
            "range_db": range_db,
            "normalization": normalization,
            "deltas": deltas,
            "context": context,
            "stride": stride,
            "n_components": n_components,
            "bands": bands,
            "whiten": whiten,
        }
        contexts = _as_list(context)
        f_max = sample_rate / 2 if f_max is None else f_max
        _check_counts(
            sample_rate=sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels, stride=stride
        )
        _check_counts(context=min(contexts, default=0))
        _check_analysis(sample_rate, n_fft, hop_length, f_min, f_max)
        _check_levels(floor_db, range_db)
        if deltas not in (0, 1, 2):
            raise UserError(f"features.deltas={deltas} is none of 0, 1 and 2; choose one of these.")
        self.sample_rate, self.hop_length, self.n_mels = sample_rate, hop_length, n_mels
        self.n_fft = n_fft
        self.floor_db, self.range_db, self.normalization = floor_db, range_db, normalization
        self.deltas, self.context, self.stride = deltas, max(contexts), stride
        self.register_buffer("window", torch.hann_window(n_fft))
        filters = _mel_filters(n_fft, f_min, f_max, n_mels, sample_rate).repeat_interleave(2, 0)
        self.register_buffer("mel_filters", filters)
        self._blocks = _blocks(filters)
        self.projection = Projection(
            n_mels=n_mels,
            n_channels=1 + deltas,
            contexts=contexts,
            n_components=None if n_components is None else _as_list(n_components),
            bands=[bands] * len(contexts) if isinstance(bands, int) else bands,
            whiten=whiten,
            standardize=normalization == "corpus",
        )

    @property
    def n_dimensions(self) -> int:
        """Dimensions of a frame that goes into clustering, D."""
        return self.projection.n_outputs

    def n_mel_frames(self, n_samples: int) -> int:
        """Return how many mel frames a waveform of so many samples gives."""
        return n_samples // self.hop_length + 1

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames, T, a waveform of so many samples gives."""
        return -(-self.n_mel_frames(n_samples) // self.stride)

    def log_mel(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mel spectrograms in dB: what does not depend on any corpus, and may be cached.

        Args:
            waveforms: (B, S), padded with zeros.
            n_samples: (B,), samples of each that are not padding.

        Returns:
            (B, mel frames, M) in float16, to a sixteenth of a dB (an eighth below -128 dB), so that what is
            kept equals what is computed; and how many mel frames of each clip are not padding (B,).
        """
        if waveforms.shape[1] <= self.n_fft // 2:
            raise UserError(
                f"features.n_fft={self.n_fft} is too long for clips of {waveforms.shape[1]} samples; "
                "shorten it, or lengthen data.clip_seconds."
            )
        margin = self.n_fft // 2
        before, after = waveforms[:, 1 : margin + 1].flip(1), waveforms[:, -margin - 1 : -1].flip(1)
        reflected = torch.cat([before, waveforms, after], 1)  # torch's own padding takes three times as long
        windows = reflected.unfold(1, self.n_fft, self.hop_length)  # (B, mel frames, n_fft), not a copy
        squares = torch.view_as_real(torch.fft.rfft(windows * self.window)).flatten(2).square_()
        mel = windows.new_empty(*windows.shape[:2], self.n_mels)
        for parts, mels in self._blocks:  # real and imaginary parts stand in turn; the filters add them up
            torch.matmul(squares[..., parts], self.mel_filters[parts, mels], out=mel[..., mels])
        decibels = mel.clamp_(min=10 ** (self.floor_db / 10)).log10_().mul_(10)
        return decibels.half(), n_samples // self.hop_length + 1

    def normalize(self, mel: Tensor, n_mel: Tensor) -> Tensor:
        """Limit the range of mel frames (B, mel frames, M) and bring every clip to its own scale."""
        if self.range_db is None and self.normalization in {"none", "corpus"}:
            return mel
        padding = ~is_position(n_mel, mel.shape[1])[..., None]
        high = mel.masked_fill(padding, -torch.inf).amax((1, 2), keepdim=True)
        if self.range_db is not None:
            mel = mel.maximum(high - self.range_db)
        if self.normalization == "clip_max":
            return mel - high
        if self.normalization == "clip_minmax":
            low = mel.masked_fill(padding, torch.inf).amin((1, 2), keepdim=True)
            return ((mel - low) / (high - low).clamp(min=1e-8)).clamp(0, 1)  # a constant clip becomes 0
        return mel

    def stack(self, mel: Tensor, n_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the frames before they are projected: what the projection is fitted on.

        Args:
            mel: (B, mel frames, M), dB.
            n_mel: (B,), mel frames of each that are not padding.

        Returns:
            Stacked mel frames (B, T, context * M * (1 + deltas)), the first centred on the clip's beginning
            and edges repeated, and how many of each clip are not padding (B,).
        """
        mel = self.normalize(mel.float(), n_mel)
        channels = [mel]
        for _ in range(self.deltas):
            channels.append(compute_deltas(channels[-1].transpose(1, 2)).transpose(1, 2))
        mel = torch.cat(channels, 2)
        before = (self.context - 1) // 2
        after = self.context - 1 - before
        mel = torch.cat([mel[:, :1].expand(-1, before, -1), mel, mel[:, -1:].expand(-1, after, -1)], 1)
        n_inputs = self.context * mel.shape[2]
        frames = mel.flatten(1).unfold(1, n_inputs, self.stride * mel.shape[2])  # overlapping, not a copy
        return frames, self.n_frames_of(n_mel)

    def n_frames_of(self, n_mel: Tensor) -> Tensor:
        """Return how many frames are not padding where so many mel frames (B,) are not."""
        return (n_mel + self.stride - 1) // self.stride

    def forward(self, mel: Tensor, n_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Turn mel frames (B, mel frames, M) with n_mel (B,) into frames (B, T, D) with n_frames (B,)."""
        frames, n_frames = self.stack(mel, n_mel)
        return self.projection(frames), n_frames


def _as_list(numbers: int | list[int]) -> list[int]:
    return [numbers] if isinstance(numbers, int) else numbers


def _check_counts(**counts: int) -> None:
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"features.{key}={value} is too small; choose 1 or more.")


def _check_levels(floor_db: float, range_db: float | None) -> None:
    if not -_FLOAT32_DB <= floor_db <= _FLOAT32_DB:
        raise UserError(
            f"features.floor_db={floor_db} is beyond what float32 holds; choose -{_FLOAT32_DB:g} to "
            f"{_FLOAT32_DB:g}."
        )
    if range_db is not None and range_db <= 0:
        raise UserError(
            f"features.range_db={range_db} leaves no range; choose more than 0, or null for no limit."
        )


def _check_analysis(sample_rate: int, n_fft: int, hop_length: int, f_min: float, f_max: float) -> None:
    if n_fft % 2:
        raise UserError(f"features.n_fft={n_fft} is odd; choose an even number of samples.")
    if hop_length > n_fft:
        raise UserError(
            f"features.hop_length={hop_length} is longer than features.n_fft={n_fft}, so samples would be "
            "left out; shorten the hop or lengthen the window."
        )
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise UserError(
            f"features.f_min={f_min} and features.f_max={f_max} do not lie in this order between 0 and "
            f"{sample_rate / 2:g} Hz, half of features.sample_rate={sample_rate}; "
            "move them, or raise the rate."
        )


def _blocks(filters: Tensor) -> list[tuple[slice, slice]]:
    """Cut filters (rows, M) into a few groups of neighbours, with the rows that each group is not 0 in."""
    blocks = []
    for mels in torch.arange(filters.shape[1]).chunk(_N_BLOCKS):
        rows = filters[:, mels].any(1).nonzero()
        blocks.append((slice(int(rows[0]), int(rows[-1]) + 1), slice(int(mels[0]), int(mels[-1]) + 1)))
    return blocks


def _mel_filters(n_fft: int, f_min: float, f_max: float, n_mels: int, sample_rate: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchaudio warns of empty filters; we refuse them below
        filters = melscale_fbanks(n_fft // 2 + 1, f_min, f_max, n_mels, sample_rate)
    n_empty = int((filters.amax(0) == 0).sum())
    if n_empty:
        raise UserError(
            f"features.n_mels={n_mels} leaves {n_empty} mel filters without a frequency bin at "
            f"features.n_fft={n_fft} and {sample_rate} Hz; lower n_mels or raise n_fft."
        )
    return filters
