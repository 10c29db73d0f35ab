"""Modules of the user's own: a configuration may name a class that lies in the current folder."""

import sys
from pathlib import Path


def search_current_folder() -> None:
    """Let Python find modules in the current folder, after everything that is installed.

    Every program and every process of a run calls this before it reads a configuration, however it was
    started: `python` itself searches the folder of the script, which is not always this one. Installed
    modules come first, so that a file called `random.py` in the folder does no harm.
    """
    folder = str(Path.cwd())
    if not {"", folder} & set(sys.path):
        sys.path.append(folder)
