"""Where a run writes and what it is called: the command line knows it, the configuration does not."""

from dataclasses import dataclass

from audiotok.run.folder import RunFolder
from audiotok.run.provenance import begin_provenance


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run writes and what it is called.

    Args:
        folder: The run's folder.
        name: What distinguishes the run from others: its overrides.
        group: The sweep that it belongs to, or None.
        leads: Whether this process writes to the folder; those that follow it, on other devices, do not.
        overrides: What the command line, or a sweep, changed.
        program: The program that runs: train, pretrain, prepare or doctor.
    """

    folder: RunFolder
    name: str
    group: str | None
    leads: bool = True
    overrides: tuple[str, ...] = ()
    program: str = "train"

    def begin(self) -> None:
        """Create the folder, write what this run comes from, and remove results of an earlier run.

        A folder that cannot be written keeps those results. A process that follows another one leaves the
        folder as it is.
        """
        if self.leads:
            self.folder.write_provenance(begin_provenance(self.program))
            self.folder.clear_results()
