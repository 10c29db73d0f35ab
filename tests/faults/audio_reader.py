"""Read damaged audio files in a process of its own: `python audio_reader.py FOLDER`, a line of JSON for each.

A file's name is printed before it is read, so that a crash or a hang names it. The last line is what the
reading took of memory beyond what the imports had taken.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from tiny import file_at

from audiotok.data.audio import UnreadableError, read_mono
from audiotok.data.clip import Location
from audiotok.data.inspection import Condition, inspect_clip

LONGEST = 3600.0  # s; damaged headers promise more


def read(source: Path | bytes, start: float = 0.0, seconds: float | None = None) -> np.ndarray | str:
    """Return the waveform, or why there is none."""
    try:
        return read_mono(source, start, seconds)[0]
    except UnreadableError as error:
        return str(error)


def faults_of(path: Path) -> list[str]:
    """Return where reading and inspection of a file disagree, each as a sentence."""
    whole, from_bytes = read(path), read(path.read_bytes())
    decoded, header = (inspect_clip(file_at(path), check, LONGEST) for check in ("decode", "header"))
    faults = []
    if not equal(whole, from_bytes):
        faults.append(f"path: {shown(whole)}, bytes: {shown(from_bytes)}")
    is_long = not decoded.fault and np.isnan(decoded.peak)  # known by its header, and not decoded
    if is_long:
        return faults
    if isinstance(whole, str) != bool(decoded.fault):
        faults.append(f"reading: {shown(whole)}, inspection: {decoded}")
    if not isinstance(whole, str) and not decoded.fault:
        if round(decoded.seconds * decoded.rate) != len(whole):
            faults.append(f"reading: {shown(whole)}, inspection: {decoded}")
        if facts(header) != facts(decoded):
            faults.append(f"by header: {header}, by decoding: {decoded}")
        start, seconds = decoded.seconds / 3, decoded.seconds / 4
        first = round(start * decoded.rate)
        segment = whole[first : first + round(seconds * decoded.rate)]
        if not equal(read(path, start, seconds), segment):
            faults.append(f"a segment of {shown(segment)} is {shown(read(path, start, seconds))}")
        stretch = inspect_clip(Location("folders", str(path), "", start, start + seconds), "decode")
        if round(stretch.seconds * decoded.rate) != len(segment):
            faults.append(f"a stretch of {shown(segment)} is inspected as {stretch}")
    return faults


def facts(condition: Condition) -> tuple[str, float, int, int]:
    """Return what both ways of inspecting a file find."""
    return condition.fault, condition.seconds, condition.rate, condition.channels


def equal(one: np.ndarray | str, other: np.ndarray | str) -> bool:
    """Tell whether two readings give the same samples, or both none."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=1e-6)  # 100 channels are rounded


def shown(waveform: np.ndarray | str) -> str:
    """Return a reading in words."""
    return waveform if isinstance(waveform, str) else f"{len(waveform)} samples"


def memory() -> int:
    """Return the most memory that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """Read every file of a folder."""
    read(next(folder.iterdir()))  # imports what is imported late
    before = memory()
    for path in sorted(folder.iterdir()):
        report(json.dumps({"name": path.name}))
        start = time.monotonic()
        faults = faults_of(path)
        is_read = not isinstance(read(path), str)
        seconds = time.monotonic() - start
        found = {"name": path.name, "faults": faults, "is_read": is_read, "seconds": seconds}
        report(json.dumps(found))
    report(json.dumps({"memory": memory() - before}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
