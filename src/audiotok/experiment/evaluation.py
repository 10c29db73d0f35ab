"""What `evaluate.yaml` asks for, checked and built."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from audiotok.data.source import Source
from audiotok.errors import UserError
from audiotok.experiment.configuration import begin, build_node
from audiotok.experiment.session import quieten
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder
from audiotok.run.trained import find_trained, stored_clip_seconds
from audiotok.store import Store
from audiotok.training.metrics import Metrics


@dataclass(frozen=True)
class Evaluation:
    """A run, and the data that it is scored on.

    Args:
        run: Its folder, or a checkpoint in it.
        trust: Modules whose classes its configuration may name.
        device: "auto", "cpu" and so on.
        source: The data, with clips of the length of the run's.
        store: The cache.
        split: "train", "val", "test" or "all".
        metrics: Builds the scores from `n_classes` and the `prefix` of their names.
        events: A table of strong labels, or None.
        window: Of the windows in which events are looked for, s.
        overlap: What these share, s.
        folder: Where results are written.
    """

    run: Path
    trust: Sequence[str]
    device: str
    source: Source
    store: Store
    split: str
    metrics: Callable[..., Metrics]
    events: str | None
    window: float
    overlap: float
    folder: RunFolder


def open_evaluation(config: DictConfig, destination: Destination) -> Evaluation:
    """Check a configuration, write it to the folder of the results, and build what it names.

    Args:
        config: Composed from `configs/evaluate.yaml`.
        destination: The folder of the results.

    Raises:
        UserError: Something in it is wrong.
    """
    quieten(destination.leads)
    find_trained(Path(config.run))  # a tokenizer has no scores
    if (seconds := stored_clip_seconds(Path(config.run))) is not None:
        OmegaConf.update(config, "data.clip_seconds", seconds)
    begin(config, destination)
    if destination.group is not None:
        raise UserError("audiotok evaluate scores one run; leave out -m, and give each key one value.")
    return Evaluation(
        run=Path(config.run),
        trust=list(config.trust),
        device=config.device,
        source=build_node(config.data),
        store=Store(config.cache_dir),
        split=config.split,
        metrics=lambda **sizes: build_node(config.metrics, **sizes),
        events=config.events,
        window=config.window,
        overlap=config.overlap,
        folder=destination.folder,
    )
