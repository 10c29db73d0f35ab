"""Every figure that needs a GPU, on a machine without a network, in one command of at most six minutes.

    make gpu-kit                                 where there is a network; then copy the checkout and gpu-kit/
    python benchmarks/gpu.py --json FILE         on the machine with the GPU
    python benchmarks/gpu.py --json FILE --tiny  the same steps, shrunk to a minute or two on a CPU

The machine needs Python 3.12 and what `gpu_kit.MACHINE` lists. The kit goes into a temporary folder that the
steps find on their PYTHONPATH; nothing is installed on the machine, and nothing is left on it. The steps are
the modules of `gpu_steps`, whose first lines say what each of them measures. Every step is a process of its
own with a share of the time that is left, so that one that fails or hangs costs the others nothing. The file
is written again whenever a step has found something: a run that is cut off leaves what it had.

This file imports the standard library alone: it starts before the kit is there.
"""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).absolute().parent
ROOT = HERE.parent
FOUND = "found: "  # begins the lines in which a step prints its results, as JSON
STEPS = {  # shares of the time; what a step leaves over goes to those after it
    "machine": 40,
    "tests": 90,
    "tokens": 40,
    "speed": 100,
    "kmeans": 25,
    "epoch": 70,
    "devices": 20,
}
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Exit|Interrupt)\b")
Results = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> Results:
    """Install the kit, run the steps, print a table, and return what was found."""
    options = parse(arguments)
    deadline = time.monotonic() + 60 * options.minutes
    results: Results = {"command": shlex.join(sys.argv), "tiny": options.tiny, "steps": {}}

    def save() -> None:
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    save()
    with tempfile.TemporaryDirectory(prefix="audiotok-gpu-") as folder:
        environment = environment_of_steps(Path(folder), options.device)
        if options.kit:
            results["kit"] = install(options.kit, Path(folder) / "site", deadline)
            print(f"kit: {results['kit']['status']}", flush=True)
        for name in options.steps:
            limit = share_of_time(name, options.steps, deadline - time.monotonic())
            step = results["steps"][name] = {"status": "running"}
            command = command_of(name, options, Path(folder), limit)
            run_step(command, environment, limit, step, save)
            save()
            print(f"{name}: {step['status']} ({step['seconds']:.0f} s)", flush=True)
    save()
    show(results)
    return results


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = ROOT / "gpu-kit"
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument(
        "--kit",
        type=Path,
        default=default if default.is_dir() else None,
        help="folder of wheels (default: gpu-kit, where there is one; else what is installed)",
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda, where there is one")
    parser.add_argument("--minutes", type=float, default=6.0, help="for everything together")
    parser.add_argument("--tiny", action="store_true", help="shrink every step, to show that it works")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="only these")
    return parser.parse_args(arguments)


def environment_of_steps(folder: Path, device: str | None) -> dict[str, str]:
    """Return the environment of the steps: the kit comes first on the path, and then the checkout."""
    path = [str(folder / "site"), str(ROOT / "src"), str(HERE), os.environ.get("PYTHONPATH", "")]
    added = {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYTHONUNBUFFERED": "1",
        "AUDIOTOK_CACHE": str(folder / "cache"),
    }
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return {**os.environ, **added, **hidden}


def install(kit: Path, target: Path, deadline: float) -> Results:
    """Unpack the wheels of the kit into a folder."""
    wheels = sorted(map(str, kit.glob("*.whl")))
    if not wheels:
        return {"status": f"failed: {kit} holds no wheels", "seconds": 0.0, "wheels": 0}
    how = (
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--no-cache-dir",
        "--disable-pip-version-check",
    )
    command = [sys.executable, "-m", "pip", "install", *how, "--target", str(target), *wheels]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=max(1.0, deadline - time.monotonic())
        )
        failure = last_line((done.stdout + done.stderr).splitlines()) if done.returncode else ""
    except subprocess.TimeoutExpired:
        failure = "no time was left"
    status = f"failed: {failure}" if failure else "done"
    return {"status": status, "seconds": time.monotonic() - start, "wheels": len(wheels)}


def share_of_time(name: str, names: Sequence[str], seconds_left: float) -> float:
    """Return the seconds that a step may take: those left are shared with the steps after it."""
    rest = list(names)[list(names).index(name) :]
    return max(1.0, seconds_left) * STEPS[name] / sum(STEPS[other] for other in rest)


def command_of(name: str, options: argparse.Namespace, folder: Path, limit: float) -> list[str]:
    """Return the command of a step."""
    command = [sys.executable, "-m", "gpu_steps", name, f"--folder={folder}", f"--seconds={limit:.1f}"]
    device = [f"--device={options.device}"] if options.device else []
    return [*command, *device, *(["--tiny"] if options.tiny else [])]


def run_step(
    command: Sequence[str], environment: dict[str, str], limit: float, step: Results, save: Callable[[], None]
) -> None:
    """Run a step until it ends or its time is up, and save what it finds as soon as it is printed.

    Args:
        command: Its lines that begin with `FOUND` hold results; the end of its other output is printed if
            it fails.
        environment: Of the command.
        limit: Seconds, after which it is killed with all processes that it has started.
        step: Takes `status`, `seconds` and what is found.
        save: Writes the file of results.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    )
    timer = threading.Timer(limit, os.killpg, [process.pid, signal.SIGKILL])
    timer.start()
    rest: deque[str] = deque(maxlen=60)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(FOUND):
            step.update(json.loads(line.removeprefix(FOUND)))
            save()
        else:
            rest.append(line.rstrip())
    process.wait()
    timer.cancel()
    step["seconds"] = time.monotonic() - start
    step["status"] = "done"
    if process.returncode:
        step["status"] = f"failed: {last_line(rest)}"
        if process.returncode < 0:
            is_late = process.returncode == -signal.SIGKILL and step["seconds"] >= limit
            name = signal.Signals(-process.returncode).name
            step["status"] = f"stopped after {limit:.0f} s" if is_late else f"failed: killed by {name}"
        print("\n".join(rest), flush=True)


def last_line(lines: Sequence[str]) -> str:
    """Return the line in which a traceback names its error, or else the last one that says something."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if _ERROR.match(line)]
    return (errors or said or ["it said nothing"])[-1]


def show(results: Results) -> None:
    """Print what was found, a line for each figure."""
    for name, step in results["steps"].items():
        print(f"\n{name}: {step['status']}, {step.get('seconds', 0):.0f} s")
        for key, value in flatten(step):
            if key not in ("status", "seconds"):
                print(f"  {key:<56} {value:,.4g}" if isinstance(value, float) else f"  {key:<56} {value}")


def flatten(found: Results, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the figures of nested dictionaries, each with all of its names."""
    pairs: list[tuple[str, Any]] = []
    for key, value in found.items():
        name = f"{prefix}{key}"
        pairs += flatten(value, f"{name}, ") if isinstance(value, dict) else [(name, value)]
    return pairs


if __name__ == "__main__":
    main()
