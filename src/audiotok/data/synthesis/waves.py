"""The elements of synthetic sounds: partials, glides and noise, and their arrangement in time.

Waveforms are mono (S,); frequencies are in Hz, times in s.
"""

from collections.abc import Sequence

import numpy as np


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniformly distributed, as suits pitches and rates."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def clock(seconds: float, sample_rate: int) -> np.ndarray:
    """Return the time of every sample in seconds (S,)."""
    return np.arange(round(seconds * sample_rate)) / sample_rate


def normalise(wave: np.ndarray) -> np.ndarray:
    """Scale a waveform (S,) to a peak of 1 and return it as float32."""
    return (wave / np.abs(wave).max()).astype(np.float32)


def fade(wave: np.ndarray, sample_rate: int, seconds: float = 0.005) -> np.ndarray:
    """Fade a waveform (S,) in and out in place, so that its ends do not click, and return it."""
    n = min(round(seconds * sample_rate), len(wave) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, n)) ** 2
    wave[:n] *= ramp
    wave[len(wave) - n :] *= ramp[::-1]
    return wave


def partials(
    frequencies: Sequence[float] | np.ndarray,
    amplitudes: Sequence[float] | np.ndarray,
    decay_seconds: Sequence[float] | np.ndarray | float,
    seconds: float,
    sample_rate: int,
) -> np.ndarray:
    """Add up sines that decay exponentially; leave out those above the Nyquist frequency.

    Sample 256 i + j of a partial is the product of two powers of its pole, so that all partials together are
    one product of two small matrices, many times faster than sine by sine.

    Args:
        frequencies: Frequency of each partial, Hz.
        amplitudes: Amplitude of each partial.
        decay_seconds: Time to fall to 1/e, s, of each partial or of all; `np.inf` does not decay.
        seconds: Length, s.
        sample_rate: Sample rate, Hz.

    Returns:
        Waveform (S,).
    """
    hz = np.asarray(frequencies, dtype=float)
    heard = hz < sample_rate / 2
    exponent = (2j * np.pi * hz - 1 / np.broadcast_to(decay_seconds, hz.shape))[heard] / sample_rate
    n_samples = round(seconds * sample_rate)
    coarse = np.exp(np.outer(np.arange(0, n_samples, 256), exponent)) * np.asarray(amplitudes)[heard]
    fine = np.exp(np.outer(exponent, np.arange(256)))
    return (coarse.real @ fine.imag + coarse.imag @ fine.real).ravel()[:n_samples]


def tone(frequencies: Sequence[float] | np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    """Return equally loud steady sines of the given Hz, faded at both ends (S,)."""
    wave = partials(frequencies, np.ones(len(frequencies)), np.inf, seconds, sample_rate)
    return fade(wave, sample_rate)


def harmonics(
    fundamental: float, slope: float, n_harmonics: int, seconds: float, sample_rate: int
) -> np.ndarray:
    """Return a steady harmonic tone (S,): harmonic k of the fundamental (Hz) has the amplitude k^-slope."""
    order = np.arange(1, n_harmonics + 1)
    return partials(fundamental * order, order**-slope, np.inf, seconds, sample_rate)


def glide(frequency: np.ndarray, amplitudes: Sequence[float] | np.ndarray, sample_rate: int) -> np.ndarray:
    """Follow a changing frequency (S,) in Hz with harmonics of the given amplitudes, and return (S,)."""
    n_harmonics = min(len(amplitudes), int(sample_rate / 2 / frequency.max()))
    turn = np.exp(2j * np.pi / sample_rate * np.cumsum(frequency))
    # The sum of a_k sin(k phase) is a polynomial in e^(i phase), which Horner's rule evaluates.
    return np.polyval([*amplitudes[:n_harmonics][::-1], 0.0], turn).imag


def noise(rng: np.random.Generator, seconds: float, sample_rate: int, slope: float = 0.0) -> np.ndarray:
    """Return noise (S,) whose power falls as 1/f^slope above 20 Hz: 0 is white, 1 is pink."""
    n_samples = round(seconds * sample_rate)
    if slope == 0:
        return rng.standard_normal(n_samples)
    n_fft = 1024 * (1 + n_samples // 1024)  # lengths with large prime factors are slow
    return np.fft.irfft(noise_spectrum(rng, n_fft, sample_rate, slope), n_fft)[:n_samples]


def noise_spectrum(rng: np.random.Generator, n_fft: int, sample_rate: int, slope: float) -> np.ndarray:
    """Return the spectrum (n_fft // 2 + 1,) of noise whose power falls as 1/f^slope above 20 Hz."""
    real, imaginary = rng.standard_normal((2, n_fft // 2 + 1))
    hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    return (real + 1j * imaginary) * np.maximum(hz, 20.0) ** (-slope / 2)


def arrange(
    onsets: Sequence[float] | np.ndarray, waves: Sequence[np.ndarray], sample_rate: int
) -> np.ndarray:
    """Start each waveform at its onset (s), add where they overlap, and return (S,)."""
    starts = [round(onset * sample_rate) for onset in onsets]
    total = np.zeros(max(start + len(wave) for start, wave in zip(starts, waves, strict=True)))
    for start, wave in zip(starts, waves, strict=True):
        total[start : start + len(wave)] += wave
    return total


def repeat(wave: np.ndarray, n_times: int, period_seconds: float, sample_rate: int) -> np.ndarray:
    """Start a waveform (S,) n times, once in each period, and return (S,)."""
    return arrange(np.arange(n_times) * period_seconds, [wave] * n_times, sample_rate)
