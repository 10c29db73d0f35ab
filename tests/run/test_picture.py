"""Pictures of clips and vocabularies: one axis of time for the analysis and the tokens."""

import numpy as np

from audiotok.run.picture import clip_picture, vocabulary_picture
from audiotok.tokens.likeness import token_colours

CENTROIDS = np.arange(8.0)[None, :, None].repeat(2, 0)
HERTZ = np.geomspace(60, 8000, 16)


def changes(row: np.ndarray) -> list[int]:
    """Return where a row of pixels changes its colour."""
    return np.flatnonzero((row[1:] != row[:-1]).any(1)).tolist()


def test_the_tokens_are_as_wide_as_the_spectrogram_and_change_when_it_does():
    analysis = np.full((100, 16), -80.0)
    analysis[50:] = -10.0
    tokens = np.zeros((10, 2), int)
    tokens[5:] = 7
    pixels = np.asarray(clip_picture(analysis, tokens, CENTROIDS, 2.0, HERTZ, "a clip"))
    spectrogram, strip = pixels[160, 66:966], pixels[400, 66:966]
    assert changes(spectrogram) == changes(strip) == [449]
    assert [tuple(strip[0]), tuple(strip[-1])] == [
        tuple(colour) for colour in token_colours(np.array([[0, 0], [7, 7]]), CENTROIDS)[0]
    ]


def test_axes_say_seconds_and_hertz():
    silent, tokens = np.zeros((20, 16)), np.zeros((5, 2), int)
    with_hertz = np.asarray(clip_picture(silent, tokens, CENTROIDS, 5.0, HERTZ))
    without = np.asarray(clip_picture(silent, tokens, CENTROIDS, 5.0, None))
    assert with_hertz.shape == without.shape
    left = slice(0, 66)
    assert (with_hertz[30:290, left] != without[30:290, left]).any()
    ticks = with_hertz[506]  # just below the plots
    dark = [x for x in changes(ticks) if x >= 64]
    assert len(dark) >= 6 * 2 - 1, "a tick for each of 0 to 5 s"


def test_a_vocabulary_is_drawn_in_the_order_of_likeness():
    spectra = np.repeat(np.arange(8.0)[::-1][None, :, None], 16, 2).repeat(2, 0)
    pixels = np.asarray(vocabulary_picture(spectra, CENTROIDS, HERTZ), dtype=int)
    columns = pixels[60, 66:966].sum(1)[::120]
    assert (np.diff(columns) <= 0).all() or (np.diff(columns) >= 0).all()
