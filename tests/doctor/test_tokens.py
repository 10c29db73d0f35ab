"""What tokens tell, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from audiotok.doctor.tokens import mutual_information


def test_mutual_information_is_scikit_learn_s_in_bits():
    rng = np.random.default_rng(0)
    words, labels = rng.random((80, 7)) < [0, 0.05, 0.3, 0.5, 0.7, 0.95, 1], rng.random((80, 4)) < 0.3
    words[:, 3] = labels[:, 0]
    found = mutual_information(torch.from_numpy(words), torch.from_numpy(labels))
    for w in range(7):
        for c in range(4):
            expected = mutual_info_score(words[:, w], labels[:, c]) / np.log(2)
            assert found[w, c].item() == pytest.approx(expected, abs=1e-9)


def test_a_word_that_is_the_label_tells_all_of_it():
    label = torch.tensor([True, False] * 8)[:, None]
    assert mutual_information(label, label).item() == pytest.approx(1.0)
    assert mutual_information(~label, label).item() == pytest.approx(1.0)
