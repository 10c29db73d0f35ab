"""The folder of a sweep: the folders of its jobs, and its tables."""

from dataclasses import dataclass
from pathlib import Path

from audiotok.disk.parsing import read_yaml
from audiotok.disk.writing import clear_parts, write_text
from audiotok.run.folder import RunFolder


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """The folder of a sweep: its jobs' folders, which are numbered, and its tables.

    Args:
        path: The folder.
    """

    path: Path

    @property
    def table(self) -> Path:
        """The jobs, best first."""
        return self.path / "sweep.csv"

    @property
    def means(self) -> Path:
        """The settings, averaged over replicates."""
        return self.path / "means.csv"

    @property
    def multirun(self) -> Path:
        """The configuration that the sweep began with, which Hydra writes, too."""
        return self.path / "multirun.yaml"

    def begin(self, multirun: str) -> None:
        """Create the folder with the configuration, as YAML, and remove what a kill has left there."""
        self.path.mkdir(parents=True, exist_ok=True)
        clear_parts(self.path)
        write_text(self.multirun, multirun)

    def jobs(self) -> list[RunFolder]:
        """Return the folders of the jobs, in the order of their numbers."""
        if not self.path.is_dir():
            return []
        numbered = [path for path in self.path.iterdir() if path.name.isdigit() and path.is_dir()]
        return [RunFolder(path) for path in sorted(numbered, key=lambda path: int(path.name))]

    def read_overrides(self) -> list[str]:
        """Read the overrides of the command line that began the sweep, as Hydra left them.

        Raises:
            OSError: There are none.
            ValueError: They are damaged.
        """
        multirun = read_yaml(self.multirun)
        try:
            return [str(override) for override in multirun["hydra"]["overrides"]["task"]]
        except (LookupError, TypeError) as error:
            raise ValueError(f"it names no overrides ({error!r})") from error
