"""How tokens are used: how often, how long, one after another, and in clips of which classes."""

from collections.abc import Sequence

import numpy as np

_AT_LEAST = 3  # clips that a pair of tokens must occur in
_MOST_PAIRS = 20_000  # in a codebook
LONGEST = 12  # tokens; longer runs are counted with these
N_BANDS = 24  # rows and columns of a table of transitions
SIGNIFICANT = 2.0  # standard deviations


def presence(tokens: Sequence[np.ndarray], n_clusters: int) -> np.ndarray:
    """Return which tokens each clip has: bool (n, Q K), codebook by codebook.

    Args:
        tokens: Of each clip (T, Q).
        n_clusters: K.
    """
    n_books = tokens[0].shape[1]
    found = np.zeros((len(tokens), n_books * n_clusters), bool)
    for row, codes in zip(found, tokens, strict=True):
        row[(codes + n_clusters * np.arange(n_books)).ravel()] = True
    return found


def n_recordings(found: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Count the recordings that each token occurs in.

    Args:
        found: Which tokens each clip has, bool (n, tokens).
        recordings: The number of the recording of each clip (n,).
    """
    by_recording = np.zeros((recordings.max() + 1, found.shape[1]), bool)
    np.logical_or.at(by_recording, recordings, found)
    return by_recording.sum(0)


def z_scores(with_class: np.ndarray, with_any: np.ndarray, sizes: np.ndarray, n_clips: int) -> np.ndarray:
    """Compare the share of clips that have something between a class and the other clips.

    It is the test of two proportions with a pooled variance; half a clip is added to each side, so that what
    occurs once says little.

    Args:
        with_class: Clips of each class that have it (C, things).
        with_any: Clips that have it (things,).
        sizes: Clips of each class (C,).
        n_clips: All clips.

    Returns:
        Standard deviations (C, things): positive where a class has more of it.
    """
    sizes = sizes[:, None].astype(float)
    inside = (with_class + 0.5) / (sizes + 1)
    outside = (with_any - with_class + 0.5) / (n_clips - sizes + 1)
    pooled = (with_any + 1) / (n_clips + 2)
    return (inside - outside) / np.sqrt(pooled * (1 - pooled) * (1 / (sizes + 1) + 1 / (n_clips - sizes + 1)))


def pairs(tokens: Sequence[np.ndarray], targets: np.ndarray, n_clusters: int) -> tuple[np.ndarray, ...]:
    """Count pairs of different tokens, one after the other in a codebook, by clips and classes.

    Args:
        tokens: Of each clip (T, Q).
        targets: Labels, bool (n, C).
        n_clusters: K.

    Returns:
        Pairs in several clips (pairs, 3): codebook, first and second token; in how many clips of each class
        they are (C, pairs); and in how many of all (pairs,).
    """
    n_books = tokens[0].shape[1]
    kept, by_class, by_any = [], [], []
    for book in range(n_books):
        codes = [np.unique(_pairs_of(clip[:, book], n_clusters)) for clip in tokens]
        rows = np.repeat(np.arange(len(codes)), [len(clip) for clip in codes])
        all_codes = np.concatenate(codes)
        values, index, counts = np.unique(all_codes, return_inverse=True, return_counts=True)
        often = np.flatnonzero(counts >= _AT_LEAST)
        often = often[counts[often].argsort(kind="stable")[::-1][:_MOST_PAIRS]]
        place = np.full(len(values), -1)
        place[often] = np.arange(len(often))
        inside = place[index] >= 0
        counted = np.zeros((targets.shape[1], len(often)), np.int32)
        for sound_class in range(targets.shape[1]):
            of_class = inside & targets[rows, sound_class]
            counted[sound_class] = np.bincount(place[index[of_class]], minlength=len(often))
        first, second = np.divmod(values[often], n_clusters)
        kept.append(np.stack([np.full(len(often), book), first, second], 1))
        by_class.append(counted)
        by_any.append(counts[often])
    return np.concatenate(kept), np.concatenate(by_class, 1), np.concatenate(by_any)


def run_lengths(tokens: Sequence[np.ndarray]) -> np.ndarray:
    """Count runs of one token by their length: (Q, LONGEST), the last for all that are longer too."""
    counts = np.zeros((tokens[0].shape[1], LONGEST), int)
    for clip in tokens:
        for book, codes in enumerate(clip.T):
            ends = np.flatnonzero(np.diff(codes, append=-1) != 0)
            lengths = np.diff(ends, prepend=-1)
            counts[book] += np.bincount(np.minimum(lengths, LONGEST) - 1, minlength=LONGEST)
    return counts


def transitions(tokens: Sequence[np.ndarray], order: np.ndarray) -> np.ndarray:
    """Count which tokens follow which, in bands of similar tokens: (Q, bands, bands), from rows to columns.

    Args:
        tokens: Of each clip (T, Q).
        order: The ranks of tokens by likeness (Q, K).
    """
    n_books, n_clusters = order.shape
    n_bands = min(N_BANDS, n_clusters)
    bands = order * n_bands // n_clusters
    counts = np.zeros((n_books, n_bands, n_bands), int)
    for clip in tokens:
        for book, codes in enumerate(clip.T):
            of_bands = bands[book, codes]
            np.add.at(counts[book], (of_bands[:-1], of_bands[1:]), 1)
    return counts


def _pairs_of(codes: np.ndarray, n_clusters: int) -> np.ndarray:
    changes = codes[:-1] != codes[1:]
    return (codes[:-1] * n_clusters + codes[1:])[changes]
