"""What a logger is told of the run that it serves; the command line knows it, the config does not."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run's figures go and what the run is called.

    Args:
        folder: The run's folder.
        name: What tells the run from others: its overrides.
        group: The sweep that it belongs to, or None.
        leads: Whether this process writes there; those that follow it, on other devices, do not.
        overrides: What the command line, or a sweep, changed.
        program: train or pretrain.
    """

    folder: Path
    name: str
    group: str | None
    leads: bool = True
    overrides: tuple[str, ...] = ()
    program: str = "train"
