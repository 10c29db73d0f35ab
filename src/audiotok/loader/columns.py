# ruff: noqa
# mypy: ignore-errors
"""Interim, until clips come as a Catalogue."""

import numpy as np


def digests_of(clips):
    return np.array([int(clip.digest, 16) for clip in clips], np.uint64)


def seconds_of(clips):
    return np.array([clip.seconds for clip in clips])


def labels_of(clips):
    counts = np.array([len(clip.labels) for clip in clips], np.int64)
    return np.concatenate([[0], counts.cumsum()]), np.array([l for c in clips for l in c.labels], np.int64)
