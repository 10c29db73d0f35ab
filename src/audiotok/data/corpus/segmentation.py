"""Long files cut into segments, each of which is a clip: `data.segment_seconds`.

It comes between the listing of a source and its manifest, so that it is the same for all sources. The lengths
come from headers, which the store keeps; a file whose header does not tell is decoded once. The segments of a
file have its labels and its split.
"""

from collections.abc import Iterator, Set
from dataclasses import replace
from itertools import pairwise

import numpy as np

from audiotok.data.clip import Clip, Listing, id_of_stretch
from audiotok.data.corpus.catalogue import table_of
from audiotok.data.corpus.conditions import conditions_of, groups_of
from audiotok.data.source import Source
from audiotok.engine.engine import Engine
from audiotok.store import Store

_LEAST = 1e-3  # s; lengths are rounded to samples


def cut_long_files(listing: Listing, source: Source, store: Store, engine: Engine) -> Listing:
    """Replace files that are longer than `source.segment_seconds` by their segments.

    Clips that are listed as stretches stay as they are, and so do files that cannot be read.

    Args:
        listing: What `source.read` returned.
        source: Its settings.
        store: Where the lengths of files are kept.
        engine: Reads headers.

    Raises:
        UserError: The cache cannot be written, or a part fails.
    """
    length = source.segment_seconds
    if length is None:
        return listing
    clips = sorted(listing.clips, key=lambda clip: clip.id.encode())
    listed = table_of(clips)
    groups = groups_of(clips, listed, "header")
    seconds = conditions_of(listed, groups, "header", np.inf, store, engine)["seconds"].to_pylist()
    ids = {clip.id for clip in clips}
    cut: list[Clip] = []
    for clip, n_seconds in zip(clips, seconds, strict=True):
        cut.extend(_segments(clip, n_seconds, length, source.limits.min_seconds, ids))
    return replace(listing, clips=tuple(cut))


def _segments(clip: Clip, seconds: float, length: float, shortest: float, ids: Set[str]) -> Iterator[Clip]:
    """Yield the segments of a clip of a length in s, or the clip if there are not two of them."""
    times = times_of_segments(seconds, length, shortest)
    if clip.location is None or clip.location.is_stretch or len(times) < 2:
        yield clip
        return
    for start, end in times:
        id_ = id_of_stretch(clip.id, start, end)
        if id_ not in ids:  # a table may list this very stretch
            yield replace(clip, id=id_, location=replace(clip.location, start=start, end=end))


def times_of_segments(seconds: float, length: float, shortest: float) -> list[tuple[float, float | None]]:
    """Return where the segments of a file start and end, s; the last ends with the file: None.

    Args:
        seconds: Length of the file, s.
        length: Of a segment, s.
        shortest: A last segment that is shorter is left out, s.
    """
    n_whole = int((seconds + _LEAST) / length)
    bounds = [round(n * length, 6) for n in range(n_whole + 1)]
    times: list[tuple[float, float | None]] = [*pairwise(bounds)]
    if seconds - bounds[-1] >= max(shortest, _LEAST):
        times.append((bounds[-1], None))
    return times
