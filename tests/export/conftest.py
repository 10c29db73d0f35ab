"""Sounds for exported models."""

import numpy as np
import pytest
from tiny import tones


@pytest.fixture(scope="session")
def sounds() -> list[np.ndarray]:
    """Sounds at 8 kHz: of the length of a clip, shorter, very short, and of two and a half clips."""
    rng = np.random.default_rng(1)
    long = np.concatenate([tones([hz], rng) for hz in (250.0, 800.0, 2500.0)])
    return [tones([440.0, 1500.0], rng), long[:5000], long[:700], long[:20000]]
