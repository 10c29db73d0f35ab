"""What `explore.yaml` asks for, checked and built."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from audiotok.data.source import Source
from audiotok.errors import UserError
from audiotok.experiment.configuration import begin, build_node
from audiotok.experiment.session import quieten
from audiotok.nodes.signature import check_signature, check_targets
from audiotok.nodes.trust import check_trust
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder
from audiotok.run.trained import find_trained, is_tokenizer, stored_clip_seconds, stored_config
from audiotok.store import Store


@dataclass(frozen=True)
class Exploration:
    """A run or a tokenizer, and the clips that it is shown with.

    Args:
        path: Its folder, or a checkpoint in one.
        trust: Modules whose classes its configuration may name.
        device: "auto", "cpu" and so on.
        source: The data, with clips of the length of the run's; None for none.
        store: The cache.
        split: "train", "val", "test" or "all".
        n_clips: Clips whose tokens are counted.
        n_heard: Of these, clips with their sound in the page.
        page: The file to write.
    """

    path: Path
    trust: Sequence[str]
    device: str
    source: Source | None
    store: Store
    split: str
    n_clips: int
    n_heard: int
    page: Path


def open_exploration(config: DictConfig, destination: Destination) -> Exploration:
    """Check a configuration, write it to the folder of the results, and build what it names.

    Args:
        config: Composed from `configs/explore.yaml`; without data, those of the run are used.
        destination: The folder of the results.

    Raises:
        UserError: Something in it is wrong.
    """
    quieten(destination.leads)
    path = Path(config.run).expanduser()
    if config.get("data") is None:
        if stored := _stored_data(path, config.trust):
            with open_dict(config):
                config.data = stored
    elif (seconds := stored_clip_seconds(path)) is not None:
        OmegaConf.update(config, "data.clip_seconds", seconds)
    begin(config, destination)
    if destination.group is not None:
        raise UserError("audiotok explore makes one page; leave out -m, and give each key one value.")
    return Exploration(
        path=path,
        trust=list(config.trust),
        device=config.device,
        source=build_node(config.data) if config.get("data") else None,
        store=Store(config.cache_dir),
        split=config.split,
        n_clips=config.n_clips,
        n_heard=config.n_heard,
        page=Path(config.to).expanduser() if config.to else destination.folder.page,
    )


def _stored_data(path: Path, trust: Sequence[str]) -> dict[str, Any] | None:
    """Return the node of the data that a run was trained on; None for a tokenizer that is of no run.

    No code is called but audiotok's.
    """
    folder = RunFolder(path) if is_tokenizer(path) else find_trained(path).folder
    if not folder.config.is_file():
        return None
    stored = stored_config(folder).get("data")
    if not isinstance(stored, dict) or "_target_" not in stored:
        raise UserError(f"{folder.config} names no data; give some with data=OPTION data.root=PATH.")
    check_trust(folder.config, {"data": stored}, trust)
    check_targets(f"{folder.config}: data", stored)
    check_signature(f"{folder.config}: data", stored)
    return stored
