"""A process that follows another one on a device of its own: `python -m audiotok.follower FOLDER MODULE...`.

`audiotok.run.processes` starts it. It does what the leading process does, by the configuration in the run's
folder, and writes nothing. Modules after the folder are those that the run's configuration may name.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from audiotok import experiment
from audiotok.errors import UserError
from audiotok.nodes.trust import check_trust
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder
from audiotok.run.plugins import search_current_folder


def main() -> None:
    """Run the program that the leading process runs.

    The leading process handles signals: this one ends when it is killed, or when the leading process
    ends, which closes the pipe of this one's input.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_leader, daemon=True).start()
    search_current_folder()
    path, *trusted = sys.argv[1:]
    folder = RunFolder(Path(path))
    try:
        stored, program = folder.read_config(), folder.program
    except (OSError, ValueError) as error:
        raise SystemExit(f"{folder.config} cannot be read ({error}).") from None
    try:
        check_trust(folder.config, stored, trusted)
        config = OmegaConf.create(stored)
        assert isinstance(config, DictConfig)
        getattr(experiment, program)(
            config, Destination(folder, folder.path.name, None, leads=False, program=program)
        )
    except UserError as error:
        raise SystemExit(str(error)) from None


def _end_with_leader() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
