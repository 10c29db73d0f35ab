"""Sound for the browser: MP3, which all of them play, at a sixth of the size of samples."""

import base64
import io

import numpy as np
import soundfile

from audiotok.data.audio import resample

_RATES = (8000, 11025, 12000, 16000, 22050, 24000)  # Hz, of MPEG layer 3; higher ones take twice the space
_COMPRESSION = 0.7  # of libsndfile, 0 .. 1: 57 kbit/s; beyond, its files no longer say how long they are
N_PEAKS = 300  # of a waveform


def as_mp3(waveform: np.ndarray, rate: int) -> str:
    """Return a waveform (S,), float32 within -1 .. 1, as MP3 in base64.

    Args:
        waveform: What is louder is clipped.
        rate: Hz; one that is not in `_RATES` is converted to the next one above, or to the last.
    """
    if rate not in _RATES:
        new = next((known for known in _RATES if known >= rate), _RATES[-1])
        waveform, rate = resample(waveform, rate, new), new
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        waveform.clip(-1, 1),
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_COMPRESSION,
    )
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def peaks(waveform: np.ndarray) -> np.ndarray:
    """Return the greatest level in each of `N_PEAKS` parts of a waveform (S,): uint8, 255 for 1."""
    parts = np.array_split(np.abs(waveform), N_PEAKS)
    return np.array([255 * min(1.0, float(part.max(initial=0.0))) for part in parts]).round().astype(np.uint8)
