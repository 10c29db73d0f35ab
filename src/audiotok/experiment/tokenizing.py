"""Fit a tokenizer to a corpus, and nothing more; open the corpus that tokens are asked of."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.source import Source
from audiotok.engine.engine import Engine
from audiotok.errors import UserError
from audiotok.experiment.configuration import begin, build_node, check
from audiotok.experiment.construction import build_tokenizer
from audiotok.experiment.session import quieten
from audiotok.experiment.tokenizer import vocabulary_for
from audiotok.loader.datamodule import default_workers
from audiotok.loader.training_clips import CorpusClips
from audiotok.run.destination import Destination
from audiotok.store import Store

log = logging.getLogger(__name__)


def fit(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Fit a tokenizer to the training clips of a corpus, or find it in the cache, and write its folder.

    Args:
        config: Composed from `configs/fit.yaml`.
        destination: The run's folder.

    Returns:
        What metrics.json of the run holds: figures of the fitting.

    Raises:
        UserError: The configuration or the files on disk are wrong in a way that the user can fix.
    """
    quieten(destination.leads)
    begin(config, destination)
    tokenizer, store = build_tokenizer(config), Store(config.cache_dir)
    corpus = open_corpus(build_node(config.data), store, destination.folder.skipped)
    clips = CorpusClips(corpus, tokenizer.features, n_workers=default_workers())
    vocabulary = vocabulary_for(config, tokenizer, clips, store)
    folder = destination.folder.vocabulary if config.to is None else Path(config.to).expanduser()
    tokenizer.save(folder)
    figures = {key: value for key, value in vocabulary.report.items() if not isinstance(value, list)}
    results = {f"vocabulary/{key}": value for key, value in figures.items()}
    results |= {"centroid_key": vocabulary.key, "vocab_size": vocabulary.size}
    destination.folder.write_metrics(results)
    shown = os.path.relpath(folder)
    log.info("The tokenizer is in %s. Next: `audiotok tokens %s FILE... --to tokens.npz`.", shown, shown)
    return results


@dataclass(frozen=True)
class Request:
    """The corpus that tokens are asked of.

    Args:
        source: Its data.
        engine: Works on its clips.
        store: The cache.
        split: "train", "val", "test" or "all".
    """

    source: Source
    engine: Engine
    store: Store
    split: str


def open_request(config: DictConfig, clip_seconds: float) -> Request:
    """Check a configuration, and build what it names.

    Args:
        config: Composed from `configs/tokens.yaml`.
        clip_seconds: Length of the clips that the tokenizer is for, s, which clips have here, too.

    Raises:
        UserError: Something in it is wrong.
    """
    quieten(True)
    OmegaConf.update(config, "data.clip_seconds", clip_seconds)
    check(config, "tokens")
    source = build_node(config.data)
    if not isinstance(source, Source):
        raise UserError(f"data={config.data._target_} is not a Source; choose one of its options.")
    source.check_tables()
    return Request(source, build_node(config.engine), Store(config.cache_dir), config.split)
