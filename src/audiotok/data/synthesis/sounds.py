"""AudioSet classes whose sounds can be synthesised exactly.

For every class here, synthesis produces the sound itself and not an imitation: a dial tone *is* 350 Hz and
440 Hz, a smoke alarm *is* three half-second tones. The classes form families with a common spectrum that
differ in time (dial tone, busy signal, ringtone; siren, civil defense siren, chirp; clicking, tick-tock,
static; ping, beep, reversing beeps, smoke alarm; mains hum, buzzer, throbbing), so that a model needs order
and rhythm, which an average over time does not contain.

Pitch, tempo, duration and timbre are drawn from the given generator, within the range of the class. Sounds
need a sample rate of at least 8000 Hz.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audiotok.data.synthesis.waves import (
    arrange,
    clock,
    fade,
    glide,
    harmonics,
    log_uniform,
    noise,
    normalise,
    partials,
    repeat,
    tone,
)

# ITU-T Recommendation Q.23: the low and the high group of a push-button telephone, in Hz.
DTMF_LOW_HZ = (697.0, 770.0, 852.0, 941.0)
DTMF_HIGH_HZ = (1209.0, 1336.0, 1477.0)

# Frequencies of call progress tones, in Hz: North America (Precise Tone Plan), and Europe (ITU-T E.180).
DIAL_TONES_HZ = ((350.0, 440.0), (425.0,))
BUSY_TONES_HZ = ((480.0, 620.0), (425.0,))

# The partials that bell founders tune, relative to the prime: hum, prime, tierce, quint, nominal and above.
BELL_PARTIALS = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.667, 3.0, 4.0)

MINOR_PENTATONIC = (0, 3, 5, 7, 10)  # semitones above the root


@dataclass(frozen=True)
class Sound:
    """A class of sound: its AudioSet id and display name, and the function that makes one example of it.

    `synthesise(generator, sample_rate in Hz)` returns a mono float32 waveform (S,) of 0.1 to 6 seconds whose
    peak is 1. The same generator state gives the same waveform.
    """

    mid: str
    name: str
    synthesise: Callable[[np.random.Generator, int], np.ndarray]


# ---- steady tones and noises ----


def _sine_wave(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Hold one frequency."""
    return normalise(tone([log_uniform(rng, 200, 3500)], rng.uniform(1.0, 6.0), sample_rate))


def _white_noise(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Hold a flat spectrum."""
    return normalise(fade(noise(rng, rng.uniform(1.0, 6.0), sample_rate), sample_rate, 0.02))


def _pink_noise(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Hold a spectrum that falls by 3 dB per octave."""
    return normalise(fade(noise(rng, rng.uniform(1.0, 6.0), sample_rate, 1.0), sample_rate, 0.02))


def _static(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Crackle: impulses at random times, some much louder than others, over a little hiss."""
    n_samples = round(rng.uniform(1.0, 6.0) * sample_rate)
    impulses = rng.random(n_samples) < log_uniform(rng, 80, 800) / sample_rate
    loudness = np.minimum(rng.standard_exponential(n_samples), 3.0) * rng.choice((-1.0, 1.0), n_samples)
    # Each impulse lasts as long as the filter of the receiver rings: about half a millisecond.
    ring = partials([log_uniform(rng, 700, 2500)], [1.0], 0.0004, 0.002, sample_rate)
    crackle = np.convolve(impulses * loudness, ring)[:n_samples]
    return normalise(fade(crackle + rng.uniform(0.01, 0.03) * rng.standard_normal(n_samples), sample_rate))


def _mains_hum(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Hum at 50 or 60 Hz and its harmonics, the even ones (of rectifiers and cores) louder."""
    order = np.arange(1, 13)
    amplitudes = rng.uniform(0.3, 1.0, 12) * order ** -rng.uniform(0.6, 1.4) * np.where(order % 2, 0.5, 1.0)
    amplitudes *= rng.choice((-1.0, 1.0), 12)
    mains = float(rng.choice((50.0, 60.0)))
    wave = partials(mains * order, amplitudes, np.inf, rng.uniform(2.5, 6.0), sample_rate)
    return normalise(fade(wave, sample_rate, 0.1))


def _buzzer(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Press a harsh low tone one to three times."""
    fundamental, slope = log_uniform(rng, 90, 300), rng.uniform(0.2, 0.8)
    seconds, pause_seconds = rng.uniform(0.3, 1.2), rng.uniform(0.1, 0.6)
    press = fade(harmonics(fundamental, slope, 40, seconds, sample_rate), sample_rate)
    return normalise(repeat(press, int(rng.integers(1, 4)), seconds + pause_seconds, sample_rate))


def _throbbing(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Swell a low tone up and down a few times per second."""
    seconds, rate = rng.uniform(2.5, 6.0), log_uniform(rng, 1.5, 5.0)
    hum = harmonics(log_uniform(rng, 45, 160), rng.uniform(0.8, 1.6), 8, seconds, sample_rate)
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * rate * clock(seconds, sample_rate))
    return normalise(fade(hum * swell ** rng.uniform(1.0, 3.0), sample_rate))


# ---- telephones ----


def _dial_tone(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Hold the tone of a free line."""
    frequencies = DIAL_TONES_HZ[rng.integers(2)]
    return normalise(tone(frequencies, rng.uniform(1.5, 6.0), sample_rate))


def _busy_signal(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Repeat the tone of a busy line, on and off for 0.25 s or 0.5 s each."""
    seconds = float(rng.choice((0.25, 0.5))) * rng.uniform(0.95, 1.05)
    n_tones = round(rng.uniform(2.5, 5.5) / (2 * seconds))
    beep = tone(BUSY_TONES_HZ[rng.integers(2)], seconds, sample_rate)
    return normalise(repeat(beep, n_tones, 2 * seconds, sample_rate))


def _dtmf(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Dial 3 to 11 digits, each the sum of a low and a high frequency."""
    n_digits = int(rng.integers(3, 12))
    pressed = rng.uniform(0.06, 0.2) * rng.uniform(0.9, 1.1, n_digits)
    released = rng.uniform(0.05, 0.2) * rng.uniform(0.8, 1.3, n_digits)
    keys = list(zip(rng.choice(DTMF_LOW_HZ, n_digits), rng.choice(DTMF_HIGH_HZ, n_digits), strict=True))
    tones = [tone(key, seconds, sample_rate) for key, seconds in zip(keys, pressed, strict=True)]
    onsets = np.cumsum(pressed + released) - pressed - released
    return normalise(arrange(onsets, tones, sample_rate))


def _ringtone(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Warble between two pitches, as an electronic ringer does, with pauses between the rings."""
    low, warble_hz = log_uniform(rng, 400, 1000), rng.uniform(8.0, 24.0)
    seconds, pause_seconds = rng.uniform(0.6, 1.4), rng.uniform(0.2, 0.8)
    upper = np.sin(2 * np.pi * warble_hz * clock(seconds, sample_rate)) > 0
    frequency = np.where(upper, low * rng.uniform(1.15, 1.5), low)
    ring = fade(glide(frequency, (1.0, *rng.uniform(0.0, 0.3, 2)), sample_rate), sample_rate)
    return normalise(repeat(ring, int(rng.integers(1, 4)), seconds + pause_seconds, sample_rate))


# ---- tones that glide ----


def _chirp_tone(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Sweep over one to three octaves, up or down, one to three times."""
    seconds, pause_seconds = rng.uniform(0.3, 1.5), rng.uniform(0.05, 0.5)
    octaves = rng.uniform(1.2, 3.0) * np.linspace(0.0, 1.0, round(seconds * sample_rate))
    frequency = log_uniform(rng, 250, 450) * 2**octaves
    chirp = glide(frequency if rng.random() < 0.5 else frequency[::-1], (1.0,), sample_rate)
    return normalise(
        repeat(fade(chirp, sample_rate), int(rng.integers(1, 4)), seconds + pause_seconds, sample_rate)
    )


def _siren(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Wail, yelp, or alternate between two pitches, as emergency vehicles do."""
    slowest, fastest = ((0.3, 0.6), (2.0, 5.0), (0.6, 1.2))[kind := int(rng.integers(3))]  # Hz
    time = clock(rng.uniform(3.0, 6.0), sample_rate)
    swing = np.sin(2 * np.pi * (rng.uniform(slowest, fastest) * time + rng.random()))
    if kind == 2:
        octaves = np.sign(swing) * rng.uniform(0.2, 0.3)
    else:
        octaves = np.arcsin(swing) / np.pi * rng.uniform(0.8, 1.4)  # a triangle
    amplitudes = np.arange(1, 6) ** -rng.uniform(0.8, 2.0)
    wave = glide(log_uniform(rng, 600, 1000) * 2**octaves, amplitudes, sample_rate)
    return normalise(fade(wave, sample_rate))


def _civil_defense_siren(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Spin a rotor up and let it run down once, in about five seconds."""
    seconds, peak = rng.uniform(4.5, 6.0), rng.uniform(0.35, 0.65)
    place = clock(seconds, sample_rate) / seconds
    rise = 1 - np.exp(-4 * np.minimum(place / peak, 1.0))
    fall = np.exp(-rng.uniform(1.0, 2.0) * np.maximum(place - peak, 0.0) / (1 - peak))
    frequency = log_uniform(rng, 450, 900) * (0.3 + 0.7 * rise * fall)
    wave = glide(frequency, np.arange(1, 6) ** -rng.uniform(0.8, 2.0), sample_rate)
    return normalise(fade(wave, sample_rate, 0.3))


def _theremin(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Glide from note to note without a pause, with a vibrato of 5 to 7 Hz."""
    n_notes, note_seconds = int(rng.integers(3, 8)), rng.uniform(0.4, 0.8)
    time = clock(n_notes * note_seconds, sample_rate)
    notes = np.cumsum(rng.integers(-5, 6, n_notes)) / 12
    held = np.arange(n_notes)[:, None] + (0.0, rng.uniform(0.4, 0.7))  # (notes, start and end of each hold)
    octaves = np.interp(time / note_seconds, held.ravel(), np.repeat(notes, 2))
    octaves += rng.uniform(0.15, 0.5) / 12 * np.sin(2 * np.pi * rng.uniform(5.0, 7.0) * time)
    frequency = np.clip(log_uniform(rng, 350, 800) * 2**octaves, 150, 2000)
    wave = glide(frequency, (1.0, rng.uniform(0.1, 0.4), 0.1), sample_rate)
    return normalise(fade(wave, sample_rate, 0.1))


# ---- tones that come and go ----


def _beep(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Sound one to four short tones of one pitch, plain or square."""
    seconds, pause_seconds = rng.uniform(0.1, 0.25), rng.uniform(0.06, 0.25)
    beep = harmonics(log_uniform(rng, 600, 3400), rng.uniform(1.0, 5.0), 5, seconds, sample_rate)
    n_beeps = int(rng.integers(1, 5))
    return normalise(repeat(fade(beep, sample_rate), n_beeps, seconds + pause_seconds, sample_rate))


def _reversing_beeps(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Beep three to five times, about once per second, on as long as off."""
    period, frequency = rng.uniform(0.7, 1.1), log_uniform(rng, 900, 3000)
    beep = harmonics(frequency, rng.uniform(1.5, 5.0), 5, period * rng.uniform(0.4, 0.55), sample_rate)
    return normalise(repeat(fade(beep, sample_rate), int(rng.integers(3, 6)), period, sample_rate))


def _smoke_detector(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Sound the temporal-three evacuation signal (ISO 8201): three tones of 0.5 s, then 1.5 s of silence."""
    n_tones, pace = int(rng.integers(3, 6)), rng.uniform(0.9, 1.05)
    beep = harmonics(log_uniform(rng, 2700, 3500), rng.uniform(2.0, 5.0), 2, 0.5 * pace, sample_rate)
    onsets = pace * np.array((0.0, 1.0, 2.0, 4.0, 5.0))[:n_tones]
    return normalise(arrange(onsets, [fade(beep, sample_rate)] * n_tones, sample_rate))


def _ping(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Strike a high note that rings out, one to three times."""
    frequencies = log_uniform(rng, 600, 3400) * np.array((1.0, 2.76))  # the first two modes of a bar
    decay = log_uniform(rng, 0.08, 0.4)
    amplitudes, decays = (1.0, rng.uniform(0.0, 0.3)), (decay, decay / 3)
    note = partials(frequencies, amplitudes, decays, 5 * decay, sample_rate)
    return normalise(repeat(note, int(rng.integers(1, 4)), rng.uniform(0.4, 1.2), sample_rate))


# ---- clicks, strings, bells and drums ----


def _click(rng: np.random.Generator, frequency: float, sample_rate: int) -> np.ndarray:
    """Return one click (S,) of 20 ms: two short resonances and a breath of noise."""
    decays = rng.uniform(0.001, 0.003, 2)
    wave = partials((frequency, 2.3 * frequency), (1.0, rng.uniform(0.2, 0.8)), decays, 0.02, sample_rate)
    hiss = rng.standard_normal(len(wave)) * np.exp(-np.arange(len(wave)) / (0.001 * sample_rate))
    return wave + 0.3 * hiss


def _clicking(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Click 5 to 24 times at uneven intervals."""
    mean_interval, frequency = log_uniform(rng, 0.08, 0.3), log_uniform(rng, 700, 3000)
    intervals = 0.03 + np.minimum(rng.exponential(mean_interval, rng.integers(4, 24)), 0.6)
    onsets = np.append(0.0, np.cumsum(intervals))
    onsets = onsets[onsets < 5.0]
    clicks = [_click(rng, frequency, sample_rate) * rng.uniform(0.5, 1.0) for _ in onsets]
    return normalise(arrange(onsets, clicks, sample_rate))


def _tick_tock(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Alternate between a higher and a lower click at a steady pace, like a pendulum clock."""
    period, frequency = rng.uniform(0.22, 0.6), log_uniform(rng, 900, 3000)
    tick = _click(rng, frequency, sample_rate)
    tock = _click(rng, frequency * rng.uniform(0.55, 0.85), sample_rate)
    n_pairs = int(rng.uniform(2.5, 5.8) / (2 * period))
    return normalise(arrange(np.arange(2 * n_pairs) * period, [tick, tock] * n_pairs, sample_rate))


def _pluck(
    rng: np.random.Generator, frequency: float, decay: float, seconds: float, sample_rate: int
) -> np.ndarray:
    """Return one plucked string (S,) after Karplus and Strong, Computer Music Journal 7(2), 1983.

    Averaging neighbours scales bin h of a period of P samples by cos(pi h / P), so that the k-th period has
    the spectrum of the first times cos(pi h / P)^k: all periods are one batch of inverse FFTs. The pitch is
    that of the nearest whole P.
    """
    period = round(sample_rate / frequency)
    n_periods = 1 + round(seconds * sample_rate) // period
    first = np.fft.rfft(rng.uniform(-1, 1, period))
    first[0] = 0.0
    loss = decay * np.cos(np.pi * np.arange(len(first)) / period)
    wave = np.fft.irfft(first * loss ** np.arange(n_periods)[:, None], period)  # (periods, P)
    return fade(wave.ravel(), sample_rate, 0.002)


def _plucked_string(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Pluck a melody of 3 to 8 notes."""
    n_notes, step = int(rng.integers(3, 9)), rng.uniform(0.15, 0.45)
    scale = np.concatenate([np.add(MINOR_PENTATONIC, 12 * octave) for octave in range(2)])
    pitches = log_uniform(rng, 80, 200) * 2 ** (rng.choice(scale, n_notes) / 12)
    decay, seconds = rng.uniform(0.985, 0.998), rng.uniform(0.6, 1.5)
    notes = [_pluck(rng, pitch, decay, seconds, sample_rate) for pitch in pitches]
    return normalise(arrange(np.arange(n_notes) * step, notes, sample_rate))


def _church_bell(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Toll a bell one to three times: inharmonic partials, the lower ones ringing longer."""
    ratios = np.array(BELL_PARTIALS) * rng.uniform(0.995, 1.005, len(BELL_PARTIALS))
    amplitudes = rng.uniform(0.3, 1.0, len(ratios))
    decays = rng.uniform(0.7, 1.6) / np.sqrt(ratios)
    toll = partials(log_uniform(rng, 250, 700) * ratios, amplitudes, decays, 2.5, sample_rate)
    toll *= np.linspace(1.0, 0.0, len(toll))
    return normalise(repeat(toll, int(rng.integers(1, 4)), rng.uniform(1.0, 1.7), sample_rate))


def _snare_drum(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Beat a rhythm of eighths with rests: the skin rings at two low modes, the wires rattle as noise."""
    eighth, mode = rng.uniform(0.15, 0.3), log_uniform(rng, 160, 260)
    played = np.append(True, rng.random(rng.integers(3, 13)) < 0.6)
    decay = rng.uniform(0.03, 0.09)
    skin = partials((mode, 1.6 * mode), (1.0, 0.6), 0.05, 0.3, sample_rate)
    wires = np.exp(-clock(0.3, sample_rate) / decay) * rng.uniform(0.4, 0.9)
    onsets = np.flatnonzero(played) * eighth
    hits = [(skin + wires * rng.standard_normal(len(skin))) * rng.uniform(0.5, 1.0) for _ in onsets]
    return normalise(arrange(onsets, hits, sample_rate))


SOUNDS: tuple[Sound, ...] = (
    Sound("/m/01v_m0", "Sine wave", _sine_wave),
    Sound("/m/0chx_", "White noise", _white_noise),
    Sound("/m/0cj0r", "Pink noise", _pink_noise),
    Sound("/m/07rgkc5", "Static", _static),
    Sound("/m/06xkwv", "Mains hum", _mains_hum),
    Sound("/m/030rvx", "Buzzer", _buzzer),
    Sound("/m/07p_0gm", "Throbbing", _throbbing),
    Sound("/m/015jpf", "Dial tone", _dial_tone),
    Sound("/m/01z47d", "Busy signal", _busy_signal),
    Sound("/m/02c8p", "Telephone dialing, DTMF", _dtmf),
    Sound("/m/01hnzm", "Ringtone", _ringtone),
    Sound("/m/0hdsk", "Chirp tone", _chirp_tone),
    Sound("/m/03kmc9", "Siren", _siren),
    Sound("/m/0dgbq", "Civil defense siren", _civil_defense_siren),
    Sound("/m/07kc_", "Theremin", _theremin),
    Sound("/m/02fs_r", "Beep, bleep", _beep),
    Sound("/m/02rhddq", "Reversing beeps", _reversing_beeps),
    Sound("/m/01y3hg", "Smoke detector, smoke alarm", _smoke_detector),
    Sound("/m/07qwdck", "Ping", _ping),
    Sound("/m/07qc9xj", "Clicking", _clicking),
    Sound("/m/07qjznl", "Tick-tock", _tick_tock),
    Sound("/m/0fx80y", "Plucked string instrument", _plucked_string),
    Sound("/m/03w41f", "Church bell", _church_bell),
    Sound("/m/06rvn", "Snare drum", _snare_drum),
)
