"""A finished tokenizer: `tokenizer=DIR` in an experiment instead of fitting, and for other verbs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from audiotok.errors import UserError
from audiotok.nodes.trust import check_trust, modules_of
from audiotok.run.folder import RunFolder
from audiotok.store import StaleError
from audiotok.tokens.sidecar import SIDECAR, folder_of, read_about

if TYPE_CHECKING:
    from audiotok.store import Store
    from audiotok.tokens.tokenizer import Tokenizer
    from audiotok.tokens.vocabulary import TrainingClips, Vocabulary

GROUPS = ("features", "clustering", "sample")  # that a tokenizer brings
_SAMPLING = "audiotok.tokens.sample.Sampling"


def take_tokenizer(config: DictConfig, overrides: Sequence[str]) -> None:
    """Replace features, clustering and sample of a configuration by those of `tokenizer=DIR`; needs no torch.

    Args:
        config: Composed; changed in place.
        overrides: What the command line changed.

    Raises:
        UserError: The folder has no tokenizer, the tokenizer names code from outside audiotok, or the command
            line chooses features or clustering as well.
    """
    path = config.get("tokenizer")
    if path is None:
        return
    for override in overrides:
        if override.lstrip("+~").partition("=")[0].partition(".")[0] in GROUPS:
            raise UserError(
                f"{override} contradicts tokenizer={path}, which brings its features and clustering; leave "
                "one of them out."
            )
    if OmegaConf.select(config, "model.init_from") is not None:
        raise UserError(
            f"model.init_from={config.model.init_from} and tokenizer={path} both bring a vocabulary; leave "
            "one of them out."
        )
    nodes = _nodes(Path(path).expanduser())
    if foreign := sorted(modules_of(nodes)):
        raise UserError(
            f"tokenizer={path} names code from outside audiotok ({', '.join(foreign)}), which a tokenizer "
            "may not bring; choose features and clustering of your own by their options."
        )
    with open_dict(config):
        for group in GROUPS:
            config[group] = nodes[group]


def vocabulary_for(
    config: DictConfig, tokenizer: "Tokenizer", clips: "TrainingClips", store: "Store"
) -> "Vocabulary":
    """Return the vocabulary of an experiment: the one that it is given or continues, or one that is fitted.

    Args:
        config: Of train, pretrain, doctor, prepare or fit.
        tokenizer: Not fitted.
        clips: The training clips.
        store: Where vocabularies are cached.

    Raises:
        UserError: The tokenizer that it is given is damaged, or none can be fitted.
    """
    from audiotok.tokens.vocabulary import fit_or_load, load_run_vocabulary

    if config.get("tokenizer"):
        tokenizer.clip_seconds = clips.clip_seconds
        return load_run_vocabulary(tokenizer, folder_of(Path(config.tokenizer).expanduser()))
    start = OmegaConf.select(config, "model.init_from")
    before = RunFolder(Path(start)).vocabulary if start else None
    if config.get("ckpt_path"):
        before = RunFolder.of_checkpoint(Path(config.ckpt_path)).vocabulary
    return fit_or_load(tokenizer, clips, store, before, of_any_clips=bool(start))


def open_tokenizer(path: Path, trust: Iterable[str] = ()) -> "Tokenizer":
    """Read a tokenizer from its folder, or from that of a run of any version; see `Tokenizer.load`.

    Args:
        path: The folder.
        trust: Modules whose classes it may name.

    Raises:
        UserError: It is neither, is damaged, or names other code.
    """
    from audiotok.experiment.restoration import restore_tokenizer
    from audiotok.tokens.tokenizer import Tokenizer

    path = path.expanduser()
    if _describes_itself(_about(folder_of(path))):
        return Tokenizer.load(path, trust)
    return restore_tokenizer(_run_of(path), tuple(trust))


def _nodes(path: Path) -> dict[str, Any]:
    """Return the nodes of a tokenizer by group; of earlier versions, the run's configuration has them."""
    folder = folder_of(path)
    about = _about(folder)
    if _describes_itself(about):
        nodes = {group: about.get(group) for group in GROUPS}
        sample = nodes["sample"]
        nodes["sample"] = {"_target_": _SAMPLING, **(sample if isinstance(sample, dict) else {})}
        check_trust(folder / SIDECAR, nodes, modules_of(nodes))
        return nodes
    config = _run_of(path).read_config()
    return {group: config.get(group) for group in GROUPS}


def _about(folder: Path) -> dict[str, Any]:
    try:
        return read_about(folder)
    except StaleError as reason:
        raise UserError(f"{folder}: {reason}; copy it again from where it was made.") from reason


def _describes_itself(about: Mapping[str, Any]) -> bool:
    return bool(about.get("format")) and None not in (about.get("features"), about.get("clustering"))


def _run_of(path: Path) -> RunFolder:
    """Return the run of a vocabulary that does not say its classes."""
    for run in (RunFolder(path), RunFolder(path.absolute().parent)):
        if run.config.is_file():
            return run
    raise UserError(
        f"{path} does not say the classes of its features and clustering, as those of earlier versions and "
        "of code in notebooks do not; give the folder of the run that it is in."
    )
