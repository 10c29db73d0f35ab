"""The kinds of entry that a store keeps: their folders, sidecars and versions.

An entry lies in `<cache_dir>/<name>/<key>/`. Its version is part of its key, or stands in its sidecar: raise
it when the content comes to mean something else, so that programs of two versions each read their own.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entry.

    Args:
        name: Folder of the store.
        version: What its content means.
        sidecar: JSON file that says what an entry is made of; "" where there is none.
    """

    name: str
    version: int | str
    sidecar: str = ""


SYNTHETIC = Kind("synthetic", 1)  # the embedded dataset, as audio files
INSPECTIONS = Kind("inspections", 5)  # of a few hundred clips: whether they can be read, length, digest, ...
# A manifest holds what inspection found, so that it is stale when either part of its version differs.
MANIFESTS = Kind("manifests", f"1.{INSPECTIONS.version}", "manifest.json")
FRAMES = Kind("frames", 3, "about.json")  # mel frames, a row for each clip
TOKENS = Kind("tokens", 2, "about.json")  # tokens, a row for each clip
CENTROIDS = Kind("centroids", 4, "vocabulary.json")  # fitted tokenizers

KINDS = {kind.name: kind for kind in (CENTROIDS, MANIFESTS, FRAMES, TOKENS, INSPECTIONS, SYNTHETIC)}
ROWS = (FRAMES.name, TOKENS.name)  # kinds whose entries are rows, read by `audiotok.loader.rows`
