"""The programs: each reads `sys.argv`, composes a YAML of `configs/`, and does a job with it.

A line says at once what runs. Hydra is imported after it, and torch by the job, once the configuration is
known to be sound.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from audiotok import __version__
from audiotok.errors import UserError
from audiotok.programs.arguments import (
    check_choices,
    check_flags,
    check_plugins,
    split,
    with_data,
    with_run,
    without_passwords,
)
from audiotok.programs.options import config_folder, config_folders, groups_of
from audiotok.run.plugins import search_current_folder
from audiotok.run.processes import is_first
from audiotok.run.stopping import handling_signals
from audiotok.run.streams import keep_streams
from audiotok.run.threads import remember_environment

_HELP, _VERSION = {"--help", "-h"}, {"--version"}
_SHOWING = {"--cfg", "-c", "--hydra-help", "--info", "-i", "--shell-completion", "-sc"}  # instead of running


def program(name: str, job: str = "run") -> Callable[[], None]:
    """Return the Hydra program of a YAML of `configs/`.

    Args:
        name: Of the YAML.
        job: What it does with a configuration: a function of `job`.
    """

    def start() -> None:
        keep_streams()
        with handling_signals():
            begin()

    def begin() -> None:
        search_current_folder()
        remember_environment()
        try:
            check_flags(sys.argv[1:])
            flags, overrides = split(sys.argv[1:])
            if name in ("evaluate", "explore"):
                is_shown = bool({*flags} & {*_HELP, *_VERSION, *_SHOWING})
                overrides = with_run(name, overrides, needed=not is_shown, with_data=name == "evaluate")
            overrides = without_passwords(with_data(overrides))
            folders = config_folders(flags)
            check_plugins(overrides)
            check_choices(overrides, groups_of(folders))
        except UserError as error:
            raise SystemExit(str(error)) from None
        given = {flag.partition("=")[0] for flag in flags}
        if given & _VERSION:
            _say(f"audiotok {__version__}")
        elif given & _HELP:
            _help(name, overrides, folders)
        else:
            if is_first() and not given & _SHOWING:
                _say(f"{time.strftime('%H:%M:%S')} audiotok {__version__}: {name}")
            sys.argv[1:] = flags + overrides
            _run(name, job, overrides, folders)

    return start


def _help(name: str, overrides: Sequence[str], folders: Sequence[Path]) -> None:
    from hydra.errors import HydraException

    from audiotok.programs.help import help_text

    try:
        _say(help_text(Path(sys.argv[0]).name, name, overrides, folders))
    except HydraException as error:
        _suggest(name, overrides, folders)
        raise SystemExit(str(error)) from None


def _run(name: str, job: str, overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Let Hydra compose the configuration and run the job; say what misspelt overrides may have meant."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from audiotok.programs import job as jobs
    from audiotok.programs.unwritable import disk_errors_in_a_sentence

    HydraConfig.instance().cfg = None
    main = hydra.main(config_name=name, version_base="1.3", config_path=str(config_folder()))
    try:
        with disk_errors_in_a_sentence():
            main(getattr(jobs, job))()
    except SystemExit as end:
        is_sweep = bool({"-m", "--multirun"} & set(sys.argv))
        if end.code == 1 and (is_sweep or not HydraConfig.initialized()):  # Hydra may have refused overrides
            _suggest(name, overrides, folders)
        raise


def _suggest(name: str, overrides: Sequence[str], folders: Sequence[Path]) -> None:
    from audiotok.programs.spelling import suggestions

    for sentence in suggestions(name, overrides, folders):
        _say(sentence, sys.stderr)


def _say(text: str, stream: TextIO | None = None) -> None:
    """Write a line where nothing logs yet."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


train, pretrain, prepare = program("train"), program("pretrain"), program("prepare")
doctor, evaluate, explore = program("doctor", "examine"), program("evaluate"), program("explore")
fit = program("fit")
