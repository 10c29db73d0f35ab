"""Which clips a page holds with their sound: extremes of every class, then those with the most new tokens."""

import numpy as np

from audiotok.explore.clips import Clips


def choose(clips: Clips, presence: np.ndarray, n_heard: int) -> list[int]:
    """Choose clips, so that as many tokens as possible can be heard.

    Half of them at most are the best and the worst scored clip of each class. Each further one has the most
    tokens that none before it has. Clips that the run was not trained on come first.

    Args:
        clips: To choose from.
        presence: Which tokens each has, bool (n, Q K).
        n_heard: How many.

    Returns:
        Their places, ascending.
    """
    candidates = (
        clips.is_new if clips.is_new.sum() >= min(n_heard, len(presence)) else np.ones(len(presence), bool)
    )
    chosen: list[int] = []
    for place in _extremes(clips, candidates):
        if len(chosen) < n_heard // 2 and place not in chosen:
            chosen.append(place)
    heard = presence[chosen].any(0) if chosen else np.zeros(presence.shape[1], bool)
    left = candidates.copy()
    left[chosen] = False
    while len(chosen) < n_heard and left.any():
        new = np.where(left, (presence & ~heard).sum(1), -1)
        place = int(new.argmax())
        chosen.append(place)
        heard |= presence[place]
        left[place] = False
    return sorted(chosen)


def ranked(clips: Clips, sound_class: int) -> list[int]:
    """Return the clips of a class by their score for it, best first, without those that were trained on.

    Where all were trained on, all are ranked; without scores, none.
    """
    has = clips.targets[:, sound_class]
    places = np.flatnonzero(has & clips.is_new)
    places = places if len(places) else np.flatnonzero(has)
    if sound_class >= clips.scores.shape[1]:
        return []
    return places[(-clips.scores[places, sound_class]).argsort(kind="stable")].tolist()


def _extremes(clips: Clips, candidates: np.ndarray) -> list[int]:
    """Return the best clip of each class, then the worst one of each."""
    orders = [[p for p in ranked(clips, c) if candidates[p]] for c in range(clips.targets.shape[1])]
    return [order[end] for end in (0, -1) for order in orders if order]
