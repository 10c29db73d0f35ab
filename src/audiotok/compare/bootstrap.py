"""Bootstrap: how much the mAP of a run depends on which clips were drawn for testing.

Runs that were tested on the same clips share their resamples of these clips, with replacement, so that the
difference of two runs is paired: subtract one run's resamples from the other's (Efron & Tibshirani, An
Introduction to the Bootstrap, 1993, chapters 6 and 13). A clip that is drawn twice is a clip of weight two:
scores are sorted once for each class, not for each resample.
"""

import numpy as np

N_RESAMPLES = 400
# Size of one intermediate result; it is small enough that float32 counts clips without error.
MAX_BYTES = 2**26


def draw_resamples(n_clips: int, n_resamples: int = N_RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draw how often each clip is in each resample: (clips, resamples), float32; columns sum to n_clips."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_clips, np.full(n_clips, 1 / n_clips), size=n_resamples)
    return np.ascontiguousarray(counts.T.astype(np.float32))


def resampled_map(scores: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mAP of every resample, over the classes with a positive in it.

    Between two clips with the class, in the order of scores, the other clips only need to be counted. For all
    resamples at once this is a product with a sparse matrix: one pass over clips, classes and resamples.

    Args:
        scores: (clips, C).
        targets: (clips, C), bool.
        counts: How often each clip occurs in each resample, (clips, resamples), float32.

    Returns:
        (resamples,); NaN for a resample without any positive.
    """
    n_clips, n_resamples = counts.shape
    occurring = targets.any(0)
    if not occurring.any():
        return np.full(n_resamples, np.nan)
    n_classes_at_once = max(1, MAX_BYTES // (4 * n_clips * n_resamples))
    total, n_present = np.zeros(n_resamples), np.zeros(n_resamples)
    columns = np.flatnonzero(occurring)
    for start in range(0, len(columns), n_classes_at_once):
        some = columns[start : start + n_classes_at_once]
        precision, positives = _average_precision(scores[:, some], targets[:, some], counts)
        total += precision.sum(0)
        n_present += (positives > 0).sum(0)
    return np.divide(total, n_present, out=np.full(n_resamples, np.nan), where=n_present > 0)


def _average_precision(
    scores: np.ndarray, targets: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return average precision (0 without positives) and positives of classes that occur, (C, resamples).

    A step is a sequence of clips, best first, that ends after a clip with the class and all clips of the same
    score, or at the last clip.
    """
    from scipy.sparse import csr_array

    n_clips, n_classes = scores.shape
    order = np.argsort(-scores, axis=0, kind="stable").T  # (C, clips)
    ranked = np.take_along_axis(scores.T, order, axis=1)
    hits = np.take_along_axis(targets.T, order, axis=1).ravel()
    last_of_ties = np.ones((n_classes, n_clips), dtype=bool)
    last_of_ties[:, :-1] = ranked[:, :-1] != ranked[:, 1:]
    ends = np.flatnonzero(last_of_ties)
    found = hits.cumsum()
    steps = ends[(np.diff(found[ends], prepend=0) > 0) | (ends % n_clips == n_clips - 1)]
    first = np.searchsorted(steps, np.arange(n_classes) * n_clips)  # the first step of each class

    def counted(clips: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """Sum the counts of the clips of every step: (steps, resamples)."""
        ones, begins = np.ones(len(clips), dtype=np.float32), np.concatenate([[0], stops])
        return csr_array((ones, clips, begins), shape=(len(stops), n_clips)) @ counts

    def accumulate(counted_: np.ndarray) -> np.ndarray:
        """Add to every step, in place, the steps before it in its class."""
        # A cumsum over all classes, minus the sum before each class, takes four times as long.
        for step in following:
            counted_[step] += counted_[step - 1]
        return counted_

    clips, following = order.ravel(), np.setdiff1d(np.arange(len(steps)), first).tolist()
    new_hits = counted(clips[hits], found[steps])
    positives = np.add.reduceat(new_hits, first, axis=0)
    all_clips = accumulate(counted(clips, steps + 1))
    area = accumulate(new_hits.copy())
    area /= np.maximum(all_clips, 1, out=all_clips)  # precision at each step
    area *= new_hits
    return np.add.reduceat(area, first, axis=0) / np.maximum(positives, 1), positives
