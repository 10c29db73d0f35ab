"""`audiotok tokens`: it takes files and folders, or overrides of `configs/tokens.yaml`."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from rich.console import Console

from audiotok.errors import UserError
from audiotok.programs.arguments import check_choices, is_path, without_passwords
from audiotok.programs.options import config_folder, groups_of
from audiotok.programs.spelling import suggestions
from audiotok.tokenization.files import write_files
from audiotok.tokenization.request import Options
from audiotok.tokens.sidecar import folder_of


def tokens(path: Path, given: Sequence[str], options: Options, screen: Console, errors: Console) -> bool:
    """Write the tokens of files or of a corpus, and return whether all files could be read.

    Args:
        path: The folder of a tokenizer, or of a run.
        given: Files and folders, or overrides, among which is `data=OPTION`.
        options: What is wanted.
        screen: Where it is said what was written.
        errors: Where problems are.

    Raises:
        UserError: The user can fix something.
    """
    files = [Path(one) for one in given if is_path(one)]
    overrides = [one for one in given if not is_path(one)]
    if not overrides:
        return write_files(path, files, options, screen, errors)
    if files:
        raise UserError(f"{files[0]} and {overrides[0]} do not go together; give files, or data=OPTION.")
    if not any(override.startswith("data=") for override in overrides):
        raise UserError(f"{overrides[0]} needs data; add data=OPTION, and data.root=PATH where it has one.")
    folder_of(path.expanduser())
    config = _composed(without_passwords(overrides))
    from audiotok.tokenization.corpus import write_corpus  # torch, from here on

    screen.print(write_corpus(path, config, options))
    return True


def _composed(overrides: Sequence[str]) -> DictConfig:
    folders = [config_folder()]
    check_choices(overrides, groups_of(folders))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folders[0]), version_base="1.3"):
            return compose("tokens", list(overrides))
    except HydraException as error:
        meant = next(suggestions("tokens", overrides, folders), str(error).splitlines()[0])
        raise UserError(meant) from error
