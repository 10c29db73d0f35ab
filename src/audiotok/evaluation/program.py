"""The verb `audiotok evaluate`: a finished run, scored on any data."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from audiotok.data.corpus.catalogue import USABLE, Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.data.corpus.manifest import open_manifest
from audiotok.errors import UserError
from audiotok.evaluation.events import read_events
from audiotok.evaluation.matching import Matching, match
from audiotok.evaluation.tagging import predictions_of, scored
from audiotok.evaluation.timeline import COMPARE, chance, choose, counts, listen
from audiotok.experiment.evaluation import Evaluation, open_evaluation
from audiotok.prediction.tagger import TrainedRun, load
from audiotok.run.destination import Destination
from audiotok.run.results import summary, write_results
from audiotok.run.trained import find_trained

log = logging.getLogger(__name__)


def evaluate(config: Any, destination: Destination) -> dict[str, Any]:
    """Score a finished run on the clips of a split, and write the results.

    Args:
        config: Composed from `configs/evaluate.yaml`.
        destination: The folder of the results.

    Returns:
        What metrics.json holds.

    Raises:
        UserError: The user can fix something.
    """
    asked = open_evaluation(config, destination)
    run = load(asked.run, asked.device, asked.trust)
    manifest = open_manifest(asked.source, asked.store)
    listed = Catalogue(manifest.table)
    usable = listed.select(listed.where("status", USABLE))
    clips = usable if asked.split == "all" else usable.select(usable.where("split", asked.split))
    if not len(clips):
        raise UserError(f"split={asked.split} has no usable clip in these data; choose another, or all.")
    _check_new(asked, usable)
    matching = match(manifest.classes, run.classes)
    for sentence in matching.sentences():
        log.info("%s", sentence)
    skipped = listed.select(~listed.where("status", USABLE))
    corpus = Corpus(
        tuple(matching.classes), {"test": clips}, run.clip_seconds, skipped=skipped  # named as in training
    )  # fmt: skip
    corpus.write_skipped(asked.folder.skipped)
    log.info("Scoring %s clips with %d classes.", f"{len(clips):,}", len(matching.classes))
    predictions, results = scored(
        predictions_of(run, corpus, matching), asked.metrics, _tuned_threshold(asked)
    )
    results |= {"n_classes": len(matching.classes), "n_skipped_clips": len(skipped)}
    if asked.events is not None:
        results |= _timeline(asked, run, matching, usable, clips)
    write_results(asked.folder, corpus, predictions, results)
    for line in summary(corpus, predictions, results):
        log.info("%s", line)
    log.info("The results are in %s.", asked.folder)
    return results


def _tuned_threshold(asked: Evaluation) -> float:
    """Return the threshold that the run's validation has chosen for all classes; 0.5 if unknown."""
    with suppress(OSError, ValueError):
        tuned = find_trained(asked.run).folder.read_metrics().get("val/tuned_threshold")
        if isinstance(tuned, float) and 0 <= tuned <= 1:
            return tuned
    return 0.5


def _check_new(asked: Evaluation, usable: Catalogue) -> None:
    """Refuse to score the clips that the run was trained on, as far as they are those of its data."""
    trained_on: Any = None
    with suppress(OSError, ValueError):
        trained_on = find_trained(asked.run).folder.read_provenance().get("data")
    training = usable.select(usable.where("split", "train"))
    is_same = isinstance(trained_on, dict) and trained_on.get("train") == training.fingerprint()
    if is_same and asked.split in ("train", "all"):
        raise UserError(
            f"split={asked.split} contains the {len(training):,} clips that {asked.run} was trained on; "
            "choose split=test or split=val."
        )
    if asked.split in ("train", "all"):
        log.info("These are not the data of the run, so that all clips of split=%s are scored.", asked.split)


def _timeline(
    asked: Evaluation, run: TrainedRun, matching: Matching, usable: Catalogue, clips: Catalogue
) -> dict[str, float]:
    """Return F1 of segments and of events; validation clips choose thresholds where they have events."""
    assert asked.events is not None
    events = read_events(asked.events, matching.classes)
    tuning = [] if asked.split in ("val", "all") else _heard(asked, run, matching, usable, events)
    heard = list(listen(run, matching.of_run, clips, events, asked.window, asked.overlap))
    if not heard:
        raise UserError(f"events={asked.events} names no clip of split={asked.split}; give another.")
    where = f"{len(tuning):,} validation clips" if tuning else "the run's validation, for whole clips"
    log.info("Looked for events in %s clips; thresholds are from %s.", f"{len(heard):,}", where)
    results: dict[str, float] = {"n_event_clips": len(heard)}
    for name, compare in COMPARE.items():
        of_run = np.array(run.thresholds, np.float32)[matching.of_run]
        thresholds = choose(tuning, compare) if tuning else of_run
        found = counts(heard, thresholds, compare)
        results |= {f"test/{name}_f1": found.micro, f"test/{name}_f1_macro": found.macro}
        results[f"chance/{name}_f1"] = chance(heard, thresholds, compare).micro
        log.info("F1 by %s: %.4f (chance %.4f).", name, found.micro, results[f"chance/{name}_f1"])
    return results


def _heard(
    asked: Evaluation, run: TrainedRun, matching: Matching, usable: Catalogue, events: Mapping[str, Any]
) -> list[Any]:
    validation = usable.select(usable.where("split", "val"))
    return list(listen(run, matching.of_run, validation, events, asked.window, asked.overlap))
