"""The tests with the marker `gpu`: how many pass, and what the others say.

Tests whose file imports a package that neither the kit nor the machine has are named under `not_collected`.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gpu_steps.task import Found, Task

ROOT = Path(__file__).parents[2]
MARK = "pytest.mark.gpu"


def measure(task: Task) -> Found:
    """Run them in a process of their own, without the options and plugins that a developer's machine has."""
    files = [
        str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if MARK in path.read_text("utf-8")
    ]
    report = task.folder / "tests.xml"
    options = ["-m", "gpu", "-q", "-o", "addopts=--strict-markers", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "--continue-on-collection-errors"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command += [f"--junit-xml={report}", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if not report.is_file():
        raise RuntimeError(" ".join((done.stdout + done.stderr).split())[-500:])
    yield read_report(report)


def read_report(path: Path) -> dict[str, Any]:
    """Count the outcomes in a JUnit file, and keep the messages of those that did not pass."""
    counts = {"passed": 0, "skipped": 0, "failed": 0}
    not_collected: dict[str, str] = {}
    failures: dict[str, str] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = ".".join(filter(None, [case.get("classname"), case.get("name")]))
        problem = next((child for child in case if child.tag in ("failure", "error")), None)
        if problem is not None:
            said = (problem.text or "").strip().splitlines() or [problem.get("message") or ""]
            missing = next((line for line in said if "ModuleNotFoundError" in line), None)
            if missing and problem.tag == "error":
                not_collected[name] = missing.removeprefix("E").strip()
            else:
                counts["failed"] += 1
                failures[name] = next((line for line in said if line.startswith("E ")), said[-1])
        else:
            counts["skipped" if case.find("skipped") is not None else "passed"] += 1
    return {**counts, "failures": failures, "not_collected": not_collected}
