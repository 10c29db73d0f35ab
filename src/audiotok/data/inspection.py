"""Find out which listed files are usable, by decoding every one of them once.

A header tells neither silence nor a file that breaks off, and decoding costs 6-9 ms a clip and core:
20 thousand clips take about three minutes on one core, and the result is kept. Threads are enough,
since libsndfile works without Python's lock.
"""

import csv
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePath

import numpy as np
from tqdm import tqdm

from audiotok.data.audio import UnreadableError, read_mono
from audiotok.data.clip import Location
from audiotok.data.files import Files
from audiotok.data.layout.layout import layout_named
from audiotok.data.limits import Limits
from audiotok.store import StaleError, Store, content_key

_VERSION = 2  # raise it when a condition comes to mean something else: old results are then ignored


@dataclass(frozen=True, slots=True)
class Condition:
    """What was found in one file.

    Args:
        fault: "" or one of missing, empty, broken.
        detail: What the decoder said about a broken file.
        seconds: Length, s.
        peak: Loudest sample, 1.0 being full scale.
        digest: Of the bytes of the file: what is made from it is kept under this, not under its name.
    """

    fault: str = ""
    detail: str = ""
    seconds: float = 0.0
    peak: float = 0.0
    digest: str = ""

    def reason_to_skip(self, limits: Limits) -> tuple[str, str]:
        """Return why a clip cannot be used, as (kind, detail), or ("", "") where it can."""
        if self.fault:
            return self.fault, self.detail
        if self.seconds < limits.min_seconds:
            return "short", f"{self.seconds:.2f} s"
        if self.seconds > limits.max_seconds:
            return "long", f"{self.seconds:.2f} s"
        if self.peak < 10 ** (limits.silence_db / 20):
            return "silent", f"peak {self.peak:.1e}"
        return "", ""


def inspect(locations: list[Location | None], store: Store) -> list[Condition]:
    """Decode every file once and say what it is like; reuse what an earlier run found.

    Args:
        locations: Where clips are, None where one is not there.
        store: Where results are kept, under the names, sizes and times of the files.

    Returns:
        One condition for each location.
    """
    key = content_key([_VERSION, [_stamp(location) for location in locations]])

    def make(folder: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(_inspect_clip, locations)
            progress = tqdm(found, "Inspecting clips", len(locations), unit="clip", disable=None, leave=False)
            _write_conditions(folder / "conditions.csv", list(progress))

    def load(folder: Path) -> list[Condition]:
        return _read_conditions(folder / "conditions.csv", len(locations))

    return store.load_or_make("inspections", key, load, make)


def _stamp(location: Location | None) -> tuple[str, str, int, int] | None:
    """Say what tells a clip from another and from itself at another time, wherever its folder lies."""
    entry = Files().stat(location.path) if location else None
    if location is None or entry is None:
        return None
    return PurePath(location.path).name, location.entry, entry.size, entry.mtime_ns


def _inspect_clip(location: Location | None) -> Condition:
    if location is None or Files().stat(location.path) is None:
        return Condition("missing")
    try:
        content = layout_named(location.layout).read(location)
        if not content:
            return Condition("empty")
        samples, rate = read_mono(content)
        if not _is_complete_ogg_or_other(content):
            raise UnreadableError("the Ogg stream breaks off: its last page is missing")
    except OSError as error:
        return Condition("broken", error.strerror or str(error))
    except UnreadableError as error:
        return Condition("broken", str(error))
    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    if not np.isfinite(peak):
        return Condition("broken", "samples that are not finite")
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return Condition("", "", len(samples) / rate, peak, digest)


def _is_complete_ogg_or_other(content: bytes) -> bool:
    """Tell whether an Ogg file ends with a whole page that is marked as its last (RFC 3533, section 6).

    libsndfile reads an Ogg file that was cut short without a word, as a shorter one.
    """
    if not content.startswith(b"OggS"):
        return True
    page = content[content.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4:
        return False
    n_segments = page[26]
    return len(page) >= 27 + n_segments + sum(page[27 : 27 + n_segments])


def _write_conditions(path: Path, conditions: list[Condition]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Condition))
        writer.writerows(astuple(condition) for condition in conditions)


def _read_conditions(path: Path, n: int) -> list[Condition]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        conditions = [
            Condition(r["fault"], r["detail"], float(r["seconds"]), float(r["peak"]), r["digest"])
            for r in rows
        ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StaleError(f"conditions.csv cannot be read ({error!r})") from error
    if len(conditions) != n:
        raise StaleError(f"conditions.csv has {len(conditions)} rows for {n} clips")
    return conditions
