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
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audiotok.data.audio import UnreadableError, read_mono
from audiotok.errors import UserError
from audiotok.store import StaleError, Store, content_key

_VERSION = 2  # raise it when a condition comes to mean something else: old results are then ignored


@dataclass(frozen=True, slots=True)
class Limits:
    """Which files are too short, too long or too quiet to be used.

    Args:
        min_seconds: Shorter files are skipped, s. Files between this and the clip length are padded.
        max_seconds: Longer files are skipped, s. Files between the clip length and this are cropped.
        silence_db: Files whose loudest sample is below this are skipped, dB of full scale.
    """

    min_seconds: float
    max_seconds: float
    silence_db: float

    def __post_init__(self) -> None:
        if not 0 <= self.min_seconds < self.max_seconds:
            raise UserError(
                f"data.limits.min_seconds={self.min_seconds} is not between 0 and "
                f"data.limits.max_seconds={self.max_seconds}; lower the first or raise the second."
            )


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


def inspect(paths: list[Path | None], store: Store) -> list[Condition]:
    """Decode every file once and say what it is like; reuse what an earlier run found.

    Args:
        paths: Files, None where a clip has none.
        store: Where results are kept, under the names, sizes and times of the files.

    Returns:
        One condition for each path.
    """
    stats = [_stat(path) for path in paths]
    key = content_key(
        [_VERSION, [(path.name, *stat) if path else None for path, stat in zip(paths, stats, strict=True)]]
    )

    def make(folder: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(_inspect_file, paths)
            progress = tqdm(found, "Inspecting clips", len(paths), unit="clip", disable=None, leave=False)
            _write_conditions(folder / "conditions.csv", list(progress))

    def load(folder: Path) -> list[Condition]:
        return _read_conditions(folder / "conditions.csv", len(paths))

    return store.load_or_make("inspections", key, load, make)


def _stat(path: Path | None) -> tuple[int, int]:
    try:
        stat = path.stat() if path else None
    except OSError:
        return 0, 0
    return (stat.st_size, stat.st_mtime_ns) if stat else (0, 0)


def _inspect_file(path: Path | None) -> Condition:
    if path is None or not path.is_file():
        return Condition("missing")
    if path.stat().st_size == 0:
        return Condition("empty")
    try:
        samples, rate = read_mono(path)
        if not _is_complete_ogg_or_other(path):
            raise UnreadableError("the Ogg stream breaks off: its last page is missing")
    except UnreadableError as error:
        return Condition("broken", str(error))
    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    if not np.isfinite(peak):
        return Condition("broken", "samples that are not finite")
    digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return Condition("", "", len(samples) / rate, peak, digest)


def _is_complete_ogg_or_other(path: Path) -> bool:
    """Tell whether an Ogg file ends with a whole page that is marked as its last (RFC 3533, section 6).

    libsndfile reads an Ogg file that was cut short without a word, as a shorter one.
    """
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return True
        file.seek(max(0, path.stat().st_size - 2 * 65_307))  # a page has 65,307 bytes at most
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
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
