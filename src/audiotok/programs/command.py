"""The programs: each reads `sys.argv`, composes a YAML of `configs/`, and does a job with it."""

import sys
from collections.abc import Callable

from audiotok.errors import UserError
from audiotok.programs.arguments import check_plugins, options_first
from audiotok.programs.options import config_folder
from audiotok.run.plugins import search_current_folder


def program(name: str, job: str = "run") -> Callable[[], None]:
    """Return the Hydra program of a YAML of `configs/`.

    Args:
        name: Of the YAML.
        job: What it does with a configuration: a function of `job`.
    """

    def start() -> None:
        search_current_folder()
        sys.argv[1:] = options_first(sys.argv[1:])
        try:
            check_plugins(sys.argv[1:])
        except UserError as error:
            raise SystemExit(str(error)) from None
        import hydra  # takes half a second, which the above does without

        from audiotok.programs import job as jobs

        main = hydra.main(config_name=name, version_base="1.3", config_path=str(config_folder()))
        main(getattr(jobs, job))()

    return start


train, pretrain, prepare = program("train"), program("pretrain"), program("prepare")
doctor = program("doctor", "examine")
