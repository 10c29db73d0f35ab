"""What tokens stand for: frames and spectra, decoded from them or measured on clips."""

import numpy as np
import pytest
import torch
from tiny import CLUSTERINGS, build_tiny_tokenizer

from audiotok.tokens.spectra import MeanSpectra, token_frames


@pytest.mark.parametrize("clustering", ["kmeans", "product", "residual"])
def test_a_frame_of_a_token_is_the_mean_of_all_frames_that_are_decoded_with_it(clustering):
    kind, arguments = CLUSTERINGS[clustering]
    n_books = 2 if "n_codebooks" in arguments else 1
    codebooks = kind(n_clusters=3, seed=0, **(arguments | ({"n_codebooks": n_books} if n_books > 1 else {})))
    codebooks.fit(np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32))
    every = torch.cartesian_prod(*[torch.arange(3)] * n_books).reshape(-1, n_books)
    decoded = codebooks.decode(every)
    found = token_frames(codebooks)
    for book in range(n_books):
        for token in range(3):
            expected = decoded[every[:, book] == token].mean(0)
            torch.testing.assert_close(found[book, token], expected, atol=1e-5, rtol=1e-5)


def test_a_measured_spectrum_is_the_mean_over_its_moments():
    rng = np.random.default_rng(0)
    spectra, tokens = rng.standard_normal((50, 6)), rng.integers(0, 4, (50, 2))
    tokens[:, 1] = np.minimum(tokens[:, 1], 2)
    mean = MeanSpectra(2, 4, 6)
    for part in np.array_split(np.arange(50), 3):
        mean.add(spectra[part], tokens[part])
    for book in range(2):
        for token in np.unique(tokens[:, book]):
            expected = spectra[tokens[:, book] == token].mean(0)
            np.testing.assert_allclose(mean.mean()[book, token], expected, rtol=1e-5)
    assert np.isnan(mean.mean()[1, 3]).all()
    assert mean.counts.sum(1).tolist() == [50, 50]


def test_centres_of_mel_bins_are_those_of_their_filters():
    spectrogram = build_tiny_tokenizer().features.spectrogram
    filters = spectrogram.mel_filters[::2].numpy()  # one row for each frequency bin
    hertz = np.arange(len(filters)) * 8000 / spectrogram.n_fft
    step = hertz[1]
    wide = filters.sum(0) > 3  # others have too few bins for their peak to be seen
    assert np.abs(hertz[filters.argmax(0)] - spectrogram.centres)[wide].max() <= step
