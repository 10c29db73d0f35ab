"""The kinds of entry that a store keeps: their folders, sidecars and versions.

An entry is the folder `<cache_dir>/<name>/<key>/`. Its version is part of its key or of its sidecar: raise it
whenever the meaning of the content changes, so that programs of different versions do not share entries.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entry.

    Args:
        name: Folder of the store.
        version: Version of the meaning of its content.
        sidecar: JSON file that says what an entry is made of; "" if it has none.
    """

    name: str
    version: int | str
    sidecar: str = ""


SYNTHETIC = Kind("synthetic", 1)  # the embedded dataset, as audio files
INSPECTIONS = Kind("inspections", 6)  # of a few hundred clips: whether they can be read, length, digest, ...
# A manifest holds what inspection found, so that it is stale when either part of its version differs.
MANIFESTS = Kind("manifests", f"2.{INSPECTIONS.version}", "manifest.json")
FRAMES = Kind("frames", 4, "about.json")  # mel frames, a row for each clip
TOKENS = Kind("tokens", 3, "about.json")  # tokens, a row for each clip
CENTROIDS = Kind("centroids", 4, "vocabulary.json")  # fitted tokenizers

KINDS = {kind.name: kind for kind in (CENTROIDS, MANIFESTS, FRAMES, TOKENS, INSPECTIONS, SYNTHETIC)}
ROWS = (FRAMES.name, TOKENS.name)  # kinds whose entries are rows, read by `audiotok.loader.rows`
