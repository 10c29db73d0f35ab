"""The folder of a run and the folder of a sweep: the only place that knows the names of their files.

A run's folder holds

    config.yaml             the resolved configuration
    provenance.json         program, command, code, packages; data and device once training begins
    metrics.json            one flat dictionary of scores and facts
    history.csv             the scores of every epoch
    calibration.json        from logits to probabilities, and the threshold of every class
    per_class.csv           the average precision and the area under the ROC curve of every class
    predictions.npz         scores, calibrated probabilities and targets of the test clips
    confusion.csv           test clips by class and most probable class, where each has one label
    reliability.csv         how often what has a probability is so, of the test clips
    reliability.png         the same as a diagram
    skipped.csv             clips that are listed and cannot be used
    checkpoints/            best.ckpt and last.ckpt
    vocabulary/             the centroids and what they were fitted to
    examples/               test clips with sound, picture and tokens, if asked for
    doctor.json             findings of `audiotok doctor`
    report.json             report of `audiotok prepare`
    explore.html            page of `audiotok explore`
    error.txt               why the run failed
    checksums.json          of the text files above (see `sums`)
    .hydra/overrides.yaml   what the command line changed, written by Hydra

depending on the program and on how far it came. Reading trusts nothing: a missing or unreadable file raises
OSError, a damaged one ValueError, and nothing in a file is executed. A configuration of an earlier version
is translated while it is read (see `upgrade`). Importing this module costs milliseconds: it loads neither
torch nor numpy.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotok.disk.parsing import parse_json, parse_yaml, read_bytes
from audiotok.disk.writing import clear_parts
from audiotok.run.sums import DamagedError, read_summed, record, write_summed
from audiotok.run.upgrade import upgraded

_MOST_BYTES = 4 * 2**20  # of the files but the tables
_MOST_SHOWN = 2000  # characters of an error


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run, whether it exists yet or not.

    Args:
        path: The folder.
    """

    path: Path

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> "RunFolder":
        """Return the folder of the run that left a checkpoint."""
        return cls(checkpoint.absolute().parent.parent)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Program, command, code, packages, data and device."""
        return self.path / "provenance.json"

    @property
    def metrics(self) -> Path:
        """Scores and facts, one flat dictionary."""
        return self.path / "metrics.json"

    @property
    def history(self) -> Path:
        """The scores of every epoch."""
        return self.path / "history.csv"

    @property
    def calibration(self) -> Path:
        """From logits to probabilities, and the threshold of every class."""
        return self.path / "calibration.json"

    @property
    def per_class(self) -> Path:
        """The average precision of every class."""
        return self.path / "per_class.csv"

    @property
    def confusion(self) -> Path:
        """Test clips by class and most probable class, where each has one label."""
        return self.path / "confusion.csv"

    @property
    def reliability(self) -> Path:
        """How often what has a probability is so, of the test clips."""
        return self.path / "reliability.csv"

    @property
    def reliability_diagram(self) -> Path:
        """The same as a picture."""
        return self.path / "reliability.png"

    @property
    def predictions(self) -> Path:
        """Scores, calibrated probabilities and targets of the test clips."""
        return self.path / "predictions.npz"

    @property
    def skipped(self) -> Path:
        """Clips that are listed and cannot be used, with the reason."""
        return self.path / "skipped.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch, to resume from."""
        return self.checkpoints / "last.ckpt"

    @property
    def vocabulary(self) -> Path:
        """Folder of the centroids."""
        return self.path / "vocabulary"

    @property
    def examples(self) -> Path:
        """Folder of test clips to look at and listen to."""
        return self.path / "examples"

    @property
    def doctor(self) -> Path:
        """Findings of `audiotok doctor`."""
        return self.path / "doctor.json"

    @property
    def report(self) -> Path:
        """Report of `audiotok prepare`."""
        return self.path / "report.json"

    @property
    def page(self) -> Path:
        """Page of `audiotok explore`."""
        return self.path / "explore.html"

    @property
    def error(self) -> Path:
        """Why the run failed."""
        return self.path / "error.txt"

    @property
    def overrides(self) -> Path:
        """What the command line changed."""
        return self.path / ".hydra" / "overrides.yaml"

    @property
    def is_run(self) -> bool:
        """Whether a run has left a configuration, results or an error here."""
        return any(path.is_file() for path in (self.config, self.metrics, self.error))

    @property
    def program(self) -> str:
        """The program that made the run: train, pretrain, prepare or doctor.

        Raises:
            OSError: The run has left no configuration.
            ValueError: Its configuration is damaged.
        """
        with suppress(OSError, ValueError):
            recorded = self.read_provenance().get("program")
            if recorded:
                return str(recorded)
        return _program_of(self.read_config())

    def read_config(self) -> dict[str, Any]:
        """Read the configuration; one of an earlier version is translated into today's.

        Also one that was changed by hand is read, see `config_is_changed`.
        """
        with suppress(DamagedError):
            return self._configuration(read_summed(self.config, most_bytes=_MOST_BYTES))
        return self._configuration(read_bytes(self.config, _MOST_BYTES))

    @property
    def config_is_changed(self) -> bool:
        """Whether the configuration has changed since the run wrote it."""
        try:
            read_summed(self.config, most_bytes=_MOST_BYTES)
        except DamagedError:
            return True
        except (OSError, ValueError):
            return False
        return False

    @staticmethod
    def _configuration(content: bytes) -> dict[str, Any]:
        config = _as_dictionary(parse_yaml(content.decode()))
        _check_keys(config)
        return upgraded(config)

    def read_metrics(self) -> dict[str, Any]:
        """Read scores and facts."""
        return _read_json(self.metrics)

    def read_calibration(self) -> dict[str, Any]:
        """Read how logits become probabilities."""
        return _read_json(self.calibration)

    def read_provenance(self) -> dict[str, Any]:
        """Read what the run came from."""
        return _read_json(self.provenance)

    def read_error(self) -> str:
        """Read why the run failed; "" for a run that did not. A damaged file gives what is wrong with it."""
        try:
            said = read_summed(self.error, most_bytes=_MOST_BYTES).decode(errors="replace").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            return f"{self.error.name} cannot be read ({error})"
        return said[:_MOST_SHOWN]

    def read_overrides(self) -> dict[str, str]:
        """Read what the command line changed: keys and values as they were written there."""
        content = read_summed(self.overrides, self.path, _MOST_BYTES)
        overrides = parse_yaml(content.decode()) or []
        if not isinstance(overrides, list):
            raise ValueError(f"expected a list, found {type(overrides).__name__}")
        pairs = [str(override).lstrip("+~").partition("=") for override in overrides]
        return {key: value for key, _, value in pairs}

    def write_config(self, text: str) -> None:
        """Write the configuration, given as YAML; note the checksum of what Hydra has written."""
        write_summed(self.config, text)
        with suppress(OSError, ValueError):
            name = self.overrides.relative_to(self.path).as_posix()
            record(self.path, name, read_bytes(self.overrides, _MOST_BYTES))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write scores and facts."""
        _write_json(self.metrics, metrics)

    def write_calibration(self, calibration: Mapping[str, Any]) -> None:
        """Write how logits become probabilities."""
        _write_json(self.calibration, calibration, allow_nan=False)

    def write_provenance(self, provenance: Mapping[str, Any]) -> None:
        """Create the folder, and write what the run comes from."""
        self.path.mkdir(parents=True, exist_ok=True)
        _write_json(self.provenance, provenance)

    def write_doctor(self, findings: Mapping[str, Any]) -> None:
        """Write the findings of the doctor."""
        _write_json(self.doctor, findings, allow_nan=False)

    def write_report(self, report: Mapping[str, Any]) -> None:
        """Write the report on a corpus."""
        _write_json(self.report, report)

    def write_error(self, message: str) -> None:
        """Write why the run failed."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_summed(self.error, message + "\n")

    def clear_results(self) -> None:
        """Create the folder, and remove from it results, errors and unfinished files of an earlier run."""
        self.path.mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self.checkpoints):
            clear_parts(folder)
        for path in (self.metrics, self.calibration, self.confusion, self.error, self.doctor, self.report):
            path.unlink(missing_ok=True)


def _program_of(config: dict[str, Any]) -> str:
    """Tell by its configuration which program made a run: earlier versions did not record it."""
    if "doctor" in config:
        return "doctor"
    if "objective" in config:
        return "pretrain"
    return "train" if "trainer" in config else "prepare"


def _as_dictionary(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"expected keys and values, found {type(content).__name__}")
    return content


def _check_keys(node: Any) -> None:
    """Check that every key in a tree is text, as those of a configuration are."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key} is not text")
            _check_keys(value)
    elif isinstance(node, list):
        for value in node:
            _check_keys(value)


def _read_json(path: Path) -> dict[str, Any]:
    return _as_dictionary(parse_json(read_summed(path, most_bytes=_MOST_BYTES)))


def _write_json(path: Path, content: Mapping[str, Any], allow_nan: bool = True) -> None:
    write_summed(path, json.dumps(content, indent=1, allow_nan=allow_nan) + "\n")
