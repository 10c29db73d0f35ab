"""Prepare a corpus: its manifest and report, and what is kept of its clips."""

import logging
from typing import Any

from omegaconf import DictConfig

from audiotok.data.corpus import report
from audiotok.data.corpus.corpus import Corpus, corpus_of
from audiotok.data.corpus.manifest import update_manifest
from audiotok.engine.engine import Engine
from audiotok.experiment.configuration import begin, build_node
from audiotok.experiment.construction import build_tokenizer
from audiotok.experiment.session import quieten
from audiotok.experiment.tokenizer import vocabulary_for
from audiotok.loader.clip_rows import ClipRows
from audiotok.loader.datamodule import default_workers
from audiotok.loader.fill import fill_analysis, fill_tokens
from audiotok.loader.training_clips import CorpusClips
from audiotok.run.destination import Destination
from audiotok.store import Store

log = logging.getLogger(__name__)


def prepare(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Find out which clips of a corpus are there and usable, report, and keep their mel frames or tokens.

    Args:
        config: Composed from `configs/prepare.yaml`.
        destination: The run's folder.

    Returns:
        The report, as it is in the run's folder.

    Raises:
        UserError: The configuration or the files on disk are wrong in a way that the user can fix.
    """
    quieten(destination.leads)
    begin(config, destination)
    source, engine = build_node(config.data), build_node(config.engine)
    store = Store(config.cache_dir)
    manifest = update_manifest(source, store, engine)
    found = report.report(manifest, config.min_positives)
    destination.folder.write_report(found)
    report.show(found)
    log.info("The manifest is %s, the report %s.", manifest.folder, destination.folder.report)
    if config.fill != "none":
        _fill(config, corpus_of(manifest, source), store, engine)
    return found


def _fill(config: DictConfig, corpus: Corpus, store: Store, engine: Engine) -> None:
    """Keep the mel frames of all clips, or fit the centroids and keep the tokens."""
    tokenizer = build_tokenizer(config)
    if config.fill == "frames":
        cached: ClipRows = fill_analysis(corpus, tokenizer.features, store, engine)
    else:
        clips = CorpusClips(corpus, tokenizer.features, n_workers=default_workers())
        vocabulary_for(config, tokenizer, clips, store)
        cached = fill_tokens(corpus, tokenizer, store, engine)
    log.info("The %s of %s clips are in %s.", cached.name, f"{len(cached.rows):,}", cached.folder)
