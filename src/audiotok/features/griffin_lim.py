"""Waveforms from mel spectrograms: the power of every frequency, and phases that fit it."""

import torch
from torch import Tensor
from torchaudio.functional import griffinlim

from audiotok.features.spectrogram import MelSpectrogram
from audiotok.padding import is_position

# Distance of the result's mel spectrogram, ESC-10: 1.05 dB after 10 iterations, 0.82 after 50; 3.07 with the
# pseudo-inverse of the filters, cut at 0, and 1.27 with 50 iterations of least squares.
_N_UNMIX = 30
_N_PHASES = 32  # 1.33 dB after 8 iterations, 1.05 after 32, 0.96 after 64
_SILENT = 1e-30


def synthesize(mel: Tensor, n_slices: Tensor, spectrogram: MelSpectrogram) -> Tensor:
    """Find waveforms that have these mel spectrograms; the same call gives the same sound.

    Source: D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier transform", 1984, in
    torchaudio's fast form (N. Perraudin, P. Balazs, P. Søndergaard, "A fast Griffin-Lim algorithm", 2013).

    Args:
        mel: (B, slices, M), dB.
        n_slices: (B,), slices of each that are not padding.
        spectrogram: What they are spectrograms of.

    Returns:
        (B, (slices - 1) * hop_length), float32, silent where there is padding.
    """
    counts = is_position(n_slices, mel.shape[1])
    power = frequencies(10 ** (mel.float() / 10) * counts[..., None], spectrogram)
    hop, n_fft = spectrogram.hop_length, spectrogram.n_fft
    with torch.random.fork_rng([mel.device] if mel.is_cuda else []):  # phases start at random
        torch.manual_seed(0)
        waveforms = griffinlim(
            power.mT, spectrogram.window.float(), n_fft, hop, n_fft, 2.0, _N_PHASES, 0.99, None, True
        )
    return waveforms * is_position((n_slices - 1) * hop, waveforms.shape[1])


def frequencies(power: Tensor, spectrogram: MelSpectrogram) -> Tensor:
    """Find powers of all frequencies whose sums over the mel filters are `power`.

    Source: L. Lucy, "An iterative technique for the rectification of observed distributions", 1974.

    Args:
        power: (..., M), 0 or more.
        spectrogram: Has the filters.

    Returns:
        (..., frequency bins), 0 or more.
    """
    filters = spectrogram.mel_filters[::2].float()  # (frequency bins, M)
    heard = filters.sum(1).clamp(min=1e-9)
    found = (power / filters.sum(0)) @ (filters / heard[:, None]).mT
    for _ in range(_N_UNMIX):
        found = found * ((power / (found @ filters).clamp(min=_SILENT)) @ filters.mT / heard)
    return found
