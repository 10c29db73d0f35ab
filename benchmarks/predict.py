"""What tagging a long recording takes: seconds and memory of `audiotok.load(RUN).predict(FILE)` on one core.

    python benchmarks/predict.py RUN                   an hour, and ten hours, of 48 kHz stereo
    python benchmarks/predict.py RUN --hours 0.1       something shorter

RUN is the folder of a finished run. The recordings are WAV files of noise and tones (RF64, 0.7 GB an hour),
written first, read once for each figure, and deleted. Memory is the peak of the process above what importing
audiotok and torch, loading the run and tagging one second takes. `first_line_seconds` is the time from the
command `audiotok predict RUN FILE` to its first line, for ten seconds of sound.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from report import show, write_json

RATE = 48_000  # Hz
TAGGING = """
import json, os, resource, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
import numpy as np, torch
import audiotok
torch.set_num_threads(1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
run = audiotok.load(sys.argv[1], "cpu")
run.predict(np.zeros(run.sample_rate, np.float32), run.sample_rate)
before, start, cpu = peak(), time.perf_counter(), time.process_time()
scores = run.predict(sys.argv[2])
print(json.dumps({
    "seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu,
    "mb": peak() - before, "mb_before": before, "windows": len(scores),
}))
"""  # fmt: skip
COMMAND = "import sys; sys.argv[0] = 'audiotok'; from audiotok.cli import app; app()"


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print and return the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 10.0], help="lengths of recordings")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"
        for hours in given.hours:
            write_recording(path, 3600 * hours)
            command = [sys.executable, "-c", TAGGING, str(given.run), str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results |= {f"predict_{hours:g}h_{key}": value for key, value in json.loads(done.stdout).items()}
        write_recording(path, 10.0)
        results["first_line_seconds"] = seconds_to_first_line(given.run, path)
    show(results, "Tagging a long recording")
    write_json(results, given.json)
    return results


def write_recording(path: Path, seconds: float) -> None:
    """Write noise with a tone that changes every second, 48 kHz, two channels, 16 bits."""
    rng = np.random.default_rng(0)
    times = np.arange(RATE)[:, None] / RATE
    hertz = 100 + 370 * np.arange(20)
    tones = [0.3 * np.sin(2 * np.pi * f * times) + 0.02 * rng.standard_normal((RATE, 2)) for f in hertz]
    pcm = [(2**15 * tone).astype(np.int16) for tone in tones]
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16", format="RF64") as file:
        for i in range(max(1, round(seconds))):
            file.write(pcm[i % len(pcm)])


def seconds_to_first_line(run: Path, path: Path) -> float:
    """Return the time from the start of the command to its first line, s."""
    start = time.perf_counter()
    command = [sys.executable, "-c", COMMAND, "predict", str(run), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
