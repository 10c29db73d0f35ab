"""Whether what a configuration asks for fits into memory and on the disk: it is refused before it is made.

Estimates are of the largest arrays alone, so that what is refused cannot work. Elsewhere an allocation that
is too large ends the process, or the machine begins to swap.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from audiotok.errors import UserError

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_memory(n_bytes: float, asks: str) -> None:
    """Refuse what cannot fit into the memory that this process may use.

    Args:
        n_bytes: The least that is needed.
        asks: The keys with their values that ask for it, `features.n_mels=64` for example.

    Raises:
        UserError: It does not fit.
    """
    room = memory_room()
    if room is not None and n_bytes > room:
        raise UserError(
            f"{asks} would take {n_bytes / 1e9:,.1f} GB of memory, and this process may have "
            f"{room / 1e9:,.1f} GB; choose less."
        )


def check_disk(n_bytes: float, folder: Path, asks: str) -> None:
    """Refuse files that cannot fit on the disk of a folder, which need not exist.

    Args:
        n_bytes: The least that is written.
        folder: Where.
        asks: The keys with their values that ask for it.

    Raises:
        UserError: They do not fit.
    """
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    free = shutil.disk_usage(there).free if there else None
    if free is not None and n_bytes > free:
        raise UserError(
            f"{asks} would take {n_bytes / 1e9:,.1f} GB on the disk of {folder}, which has "
            f"{free / 1e9:,.1f} GB free; choose less, or another cache_dir."
        )


def memory_room() -> int | None:
    """Return the bytes that this process may have in all: of the machine, its container and its limits.

    None where the system does not say.
    """
    found: list[int] = []
    with suppress(AttributeError, OSError, ValueError):  # Windows
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUPS:
        with suppress(OSError, ValueError):  # the word `max`, for no limit
            found.append(int(Path(path).read_text(encoding="utf-8")))
    with suppress(OSError, ValueError):  # not Linux, or the word `unlimited`
        limits = Path("/proc/self/limits").read_text(encoding="utf-8").splitlines()
        [of_addresses] = [line for line in limits if line.startswith("Max address space")]
        limit = int(of_addresses.split()[3])
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        found.append(max(0, limit - pages * os.sysconf("SC_PAGE_SIZE")))
    return min(found, default=None)
