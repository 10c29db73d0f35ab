"""Collect the wheels that `benchmarks/gpu.py` needs on a GPU machine without a network: `make gpu-kit`.

    python benchmarks/gpu_kit.py gpu-kit        into the folder gpu-kit, which replaces an earlier one

The machine has Python 3.12 on x86-64 Linux, torch, torchaudio, transformers, pytorch-lightning and
torchmetrics, with what these depend on. `PACKAGES` is what else the benchmark imports, in the versions of
`constraints.txt` where they are pinned there. audiotok itself runs from the checkout.

The kit must stay below 60 MB, and pyarrow and FAISS alone would take 74. So pyarrow's wheel is packed again:
without Flight, the S3 client, its tests, headers and sources, none of which audiotok imports, and with LZMA,
which pip reads as it reads any other zip. That leaves 24 of its 55 MB. This file needs pip and a network,
and nothing else: no virtual environment.
"""

import argparse
import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

MACHINE = ("torch", "torchaudio", "transformers", "pytorch-lightning", "torchmetrics")  # already installed
PACKAGES = (
    "hydra-core", "omegaconf", "pydantic", "pydantic-core", "annotated-types", "typing-inspection",
    "typing-extensions", "faiss-cpu", "pyarrow", "fsspec", "soundfile", "cffi", "pycparser", "soxr",
    "filelock", "tqdm", "rich", "markdown-it-py", "mdurl", "pygments", "pytest", "iniconfig", "pluggy",
    "packaging", "hypothesis", "sortedcontainers", "pillow",
)  # fmt: skip
SOURCES = ("antlr4-python3-runtime==4.9.3",)  # of Hydra; comes as source, so its wheel is built here
MOST_BYTES = 60_000_000
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34)))
NOT_IMPORTED = re.compile(  # of pyarrow
    r"^pyarrow/(tests|include|includes|src)/|\.(pyx|pxd|pxi)$|flight|s3|/libarrow_python\.so(\.\d+\.\d+\.\d+)?$"
)


def main(arguments: Sequence[str] | None = None) -> Path:
    """Collect the wheels, print them with their sizes, and return their folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("gpu-kit"))
    parser.add_argument("--python", default="3.12", help="Python of the GPU machine")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        download(folder, options.python)
        for wheel in folder.glob("pyarrow-*.whl"):
            repack(wheel)
        check_size(sorted(folder.glob("*.whl")))
        shutil.rmtree(options.folder, ignore_errors=True)
        shutil.copytree(folder, options.folder)
    return options.folder


def download(folder: Path, python: str) -> None:
    """Fetch the wheels for a version of Python, and build those that come as source."""
    platforms = [f"--platform={name}" for name in PLATFORMS]
    target = [f"--python-version={python}", "--implementation=cp", "--only-binary=:all:", *platforms]
    pip("download", f"--dest={folder}", f"--constraint={CONSTRAINTS}", *target, *PACKAGES)
    pip("wheel", f"--wheel-dir={folder}", *SOURCES)


def pip(verb: str, *arguments: str) -> None:
    """Run pip without resolving dependencies: `PACKAGES` names all of them."""
    common = ("--quiet", "--disable-pip-version-check", "--no-deps")
    command = [sys.executable, "-m", "pip", verb, *common, *arguments]
    if subprocess.run(command).returncode:
        raise SystemExit(f"pip {verb} failed; the kit needs pip and a package registry.")


def repack(wheel: Path) -> None:
    """Leave out of a wheel what is never imported, and compress the rest better."""
    smaller = wheel.with_suffix(".smaller")
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(smaller, "w", zipfile.ZIP_LZMA) as target,
    ):
        record: list[str] = []
        record_name = next(name for name in source.namelist() if name.endswith(".dist-info/RECORD"))
        for name in source.namelist():
            if name.endswith("/") or name == record_name or NOT_IMPORTED.search(name):
                continue
            content = source.read(name)
            target.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            record.append(f"{name},sha256={digest},{len(content)}")
        target.writestr(record_name, "\n".join([*record, f"{record_name},,", ""]))
    smaller.replace(wheel)


def check_size(wheels: Sequence[Path]) -> None:
    """Print the wheels and their sizes; refuse a kit that is too large to be carried."""
    sizes = {wheel.name: wheel.stat().st_size for wheel in wheels}
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        print(f"{size / 1e6:6.2f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total / 1e6:6.2f} MB  in {len(sizes)} wheels")
    if total > MOST_BYTES:
        raise SystemExit(
            f"The kit takes {total / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f}; "
            "leave a package out, or repack its wheel."
        )


if __name__ == "__main__":
    main()
