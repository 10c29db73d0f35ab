"""The folder of a tokenizer, enough by itself: a cached vocabulary, `vocabulary/` of a run, one of its own.

It holds `centroids.npy` (Q, K, dimensions of a codebook), one `.npy` for each further array of the
clustering and of the features (`mean.npy` and `components.npy` of a projection), `vocabulary.json`, and
`checksums.json`, which is compared when they are read. `vocabulary.json` has the number of its format, the
class and the arguments of features and clustering, how many frames of how many clips they were fitted to, the
length of these clips, and a report of the fitting. Folders of before format 1 say nothing of classes, and
those of earlier versions have no checksums.

A folder may come from anybody: no pickle is written or read, and no code is called but audiotok's and that of
modules that the user trusts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiotok.clustering.codebooks import Codebooks
from audiotok.disk.arrays import read_array, write_array
from audiotok.disk.checksum import CHECKSUMS, check_checksums, write_checksums
from audiotok.disk.writing import write_json
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.nodes.building import build_stored
from audiotok.nodes.signature import check_signature
from audiotok.store import StaleError
from audiotok.tokens.sample import Sampling
from audiotok.tokens.sidecar import FORMAT, SIDECAR, read_about


class Stored(NamedTuple):
    """What a folder holds.

    Args:
        about: The content of `vocabulary.json`.
        arrays: By their names.
    """

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Parts(NamedTuple):
    """What a tokenizer is built from, not yet fitted."""

    features: Features
    codebooks: Codebooks
    sampling: Sampling


def write_folder(folder: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write arrays and what is said about them into a folder that nobody reads yet.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        write_array(folder / f"{name}.npy", array)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    write_json(folder / SIDECAR, {"format": FORMAT, **about, "shapes": shapes})
    write_checksums(folder)


def read_folder(folder: Path) -> Stored:
    """Read a folder, and compare it with its checksums.

    Raises:
        StaleError: A file is missing or damaged, or a later version has written it.
    """
    try:
        if (folder / CHECKSUMS).exists():  # otherwise an earlier version wrote it
            check_checksums(folder)
        about = read_about(folder)
        names = list(about["shapes"])
        if not all(name.isidentifier() for name in names):
            raise ValueError("an array has a name that is not one")
        return Stored(about, {name: read_array(folder / f"{name}.npy") for name in names})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StaleError(f"the centroids cannot be read ({error!r})") from error


def build_parts(folder: Path, about: Mapping[str, Any], trust: Iterable[str] = ()) -> Parts:
    """Build features, clustering and sampling of a folder, not yet fitted.

    Args:
        folder: For errors.
        about: The content of its `vocabulary.json`.
        trust: Modules whose classes it may name.

    Raises:
        UserError: It does not name them, or names other code.
    """
    path, trust = folder / SIDECAR, tuple(trust)
    if about.get("format", 0) < 1:
        raise UserError(
            f"{folder} was written by an earlier version, without the class of its features; give the folder "
            "of the run that it is in."
        )
    sample = about.get("sample")
    key = f"{path}: sample"
    if not isinstance(sample, dict):
        raise UserError(f"{key} is missing; copy it again from where it was made.")
    check_signature(key, {**sample, "_target_": f"{Sampling.__module__}.{Sampling.__name__}"})
    return Parts(
        build_stored(path, "features", about.get("features"), Features, trust),
        build_stored(path, "clustering", about.get("clustering"), Codebooks, trust),
        Sampling(**sample),
    )
