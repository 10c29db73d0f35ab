"""The cost of clips that are stretches of one long recording, against the same clips as files.

    python benchmarks/stretches.py                                        3 hours of WAV, 500 stretches of 5 s
    python benchmarks/stretches.py --format flac --stretches 20           also ogg, mp3

The recording is synthetic: tones and noise, mono, 16 kHz. A new process for each side inspects the clips, as
`audiotok prepare` does, and then reads and analyses every clip once in random order, as the first epoch of a
training does whose tokens are not cached yet. One process, one thread. Needs Linux.

- `stretches_prepare_seconds`, `files_prepare_seconds`: CPU time of the inspection.
- `stretches_epoch_seconds`, `files_epoch_seconds`: CPU time of the visit.
- `stretches_mb`, `files_mb`: by how much resident memory peaks above its level before.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiotok.data.audio import read_mono
from audiotok.data.clip import Clip, Listing, Location, SoundClass
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.manifest import update_manifest
from audiotok.data.reading.files import Files, fingerprint
from audiotok.data.source import Source
from audiotok.engine.local import Local
from audiotok.store import Store

RATE, SECONDS = 16_000, 5.0  # Hz, and s of a stretch


@dataclass(frozen=True, kw_only=True)
class Stretches(Source):
    """Clips at given times of one recording, or each in a file of its own.

    Args:
        root: Folder of the sounds.
        name: The recording; "" for files.
        starts: Where the clips start, s.
    """

    root: str
    name: str
    starts: tuple[float, ...]

    def fingerprint_of_tables(self) -> str:
        """Return a name for no tables."""
        return ""

    def fingerprint_of_audio(self) -> str:
        """Return a name for the files."""
        return fingerprint(Files().walk(self.root))

    def read(self) -> Listing:
        """List the clips."""
        locations = [
            Location("folders", f"{self.root}/{self.name}", "", start, start + SECONDS)
            if self.name
            else Location("folders", f"{self.root}/{number}.wav")
            for number, start in enumerate(self.starts)
        ]
        clips = (Clip(f"{n}", location, (0,), "train") for n, location in enumerate(locations))
        return Listing((SoundClass("a", "A"),), tuple(clips))


def write_recording(path: Path, hours: float) -> None:
    """Write tones and noise, a second at a time."""
    rng, t = np.random.default_rng(0), np.arange(RATE) / RATE
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(round(hours * 3600)):
            tone = 0.2 * np.sin(2 * np.pi * rng.uniform(200, 4000) * t)
            file.write((tone + 0.05 * rng.standard_normal(RATE)).astype(np.float32))


def measure_stretches(kind: str, hours: float, n_stretches: int) -> dict[str, float]:
    """Return the figures of both sides."""
    with tempfile.TemporaryDirectory() as folder:
        recordings, files = Path(folder, "recording"), Path(folder, "files")
        recordings.mkdir()
        files.mkdir()
        name = f"a.{kind}"
        write_recording(recordings / name, hours)
        latest = hours * 3600 - SECONDS
        starts = np.random.default_rng(1).uniform(0, latest, n_stretches).round(3).tolist()
        for number, start in enumerate(starts):
            soundfile.write(files / f"{number}.wav", read_mono(recordings / name, start, SECONDS)[0], RATE)
        found: dict[str, float] = {}
        for side, root, inside in (("stretches", recordings, name), ("files", files, "")):
            request = json.dumps([str(root), inside, starts])
            command = [sys.executable, __file__, "--side"]
            output = subprocess.run(command, input=request, check=True, capture_output=True, text=True).stdout
            found |= {f"{side}_{key}": value for key, value in json.loads(output).items()}
    return found


def measure_side(root: str, name: str, starts: Sequence[float]) -> dict[str, float]:
    """Inspect clips and visit each once: CPU seconds, and MB of memory at the peak."""
    import torch

    from audiotok.features.logmel import LogMel
    from audiotok.loader.waveforms import WaveformReader

    torch.set_num_threads(1)
    features, before = LogMel(sample_rate=RATE), resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        source = Stretches(root=root, name=name, starts=tuple(starts))
        clips = Catalogue(update_manifest(source, Store(folder), Local(1)).table)
    prepared = time.process_time()
    reader = WaveformReader(clips, SECONDS, features)
    for place in np.random.default_rng(0).permutation(len(clips)):
        reader.analysis(np.array([place]), np.zeros(1, int))
    ended = time.process_time()
    return {
        "prepare_seconds": round(prepared - begun, 2),
        "epoch_seconds": round(ended - prepared, 2),
        "mb": round((resident("VmHWM") - before) / 1000, 1),
    }


def resident(key: str) -> int:
    """Return a line of this process's memory, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--format", default="wav", help="wav, flac, ogg or mp3; the files are WAV")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--stretches", type=int, default=500)
    parser.add_argument("--side", action="store_true", help="what the processes are started with")
    options = parser.parse_args(arguments)
    if options.side:
        found = measure_side(*json.load(sys.stdin))
        print(json.dumps(found))
    else:
        found = measure_stretches(options.format, options.hours, options.stretches)
        for key, value in found.items():
            print(f"{key:28} {value}")
    return found


if __name__ == "__main__":
    main()
